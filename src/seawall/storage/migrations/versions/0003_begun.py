"""That an agent has begun a command is known for good, however the command goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what can be seen of it in other columns is taken over."""
    op.add_column("commands", sa.Column("begun", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE commands SET begun = 1 WHERE settled IS 0 AND (state = 'RUNNING' OR evidence IS NOT NULL)"
    )
