"""What is rare is found without reading what isn't: commands without success, and what people and admins did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WITHOUT_SUCCESS = sa.text(
    "state = 'FAILED' OR state = 'REJECTED' OR state = 'EXPIRED' OR state = 'CANCELLED' OR state = 'UNKNOWN'"
)
_RARE = sa.text(
    "action != 'command_accepted' AND action != 'command_dispatched' AND action != 'command_finished'"
)
_PERSONS = sa.text("actor >= 'user:' AND actor < 'user;'")


def upgrade() -> None:
    """Make the indexes."""
    for name, table, columns, which in (
        ("ix_commands_without_success", "commands", ["sequence", "state", "agent_id"], _WITHOUT_SUCCESS),
        ("ix_audit_rare", "audit", ["action"], _RARE),
        ("ix_audit_people", "audit", ["actor"], _PERSONS),
    ):
        op.create_index(name, table, columns, sqlite_where=which, postgresql_where=which)
