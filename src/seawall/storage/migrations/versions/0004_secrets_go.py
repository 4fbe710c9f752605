"""Secrets of commands that are over go; an UNKNOWN may be done over, so its own stay."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put in their place what is shown in their place."""
    op.execute(
        "UPDATE commands SET arguments = json_replace(arguments, '$.username', '***', '$.password', '***') "
        "WHERE operation IN ('image_pull', 'image_push', 'container_update') "
        "AND state IN ('SUCCEEDED', 'FAILED', 'REJECTED', 'EXPIRED', 'CANCELLED')"
    )
    op.execute(
        "UPDATE commands SET arguments = json_replace(arguments, '$.environment', '***') "
        "WHERE operation = 'compose_up' AND state IN ('SUCCEEDED', 'FAILED', 'REJECTED', 'EXPIRED', 'CANCELLED')"
    )
