"""When hosts had no session; what is known so far is what alerts said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_GOES_ON = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Make the table, and fill it with what there is."""
    op.create_table(
        "absences",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("sequence", name="pk_absences"),
    )
    op.execute(
        "INSERT INTO absences (agent_id, began_at, ended_at) SELECT agent_id, opened_at, resolved_at FROM alerts "
        "WHERE kind = 'agent_offline' ORDER BY sequence"
    )
    op.create_index(
        "uq_absences_going_on",
        "absences",
        ["agent_id"],
        unique=True,
        sqlite_where=_GOES_ON,
        postgresql_where=_GOES_ON,
    )
