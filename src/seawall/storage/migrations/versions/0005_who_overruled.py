"""Who overruled a circuit stands in a column of its own."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BY_HAND = re.compile(r".* \((?:open|close|reset) by (?P<by>.*)\)\Z", re.DOTALL)

_transitions = sa.table(
    "circuit_transitions", sa.column("sequence"), sa.column("reason", sa.Text), sa.column("by", sa.Text)
)


def upgrade() -> None:
    """Add the column; the versions before ended the reason with it, which stays as it was said."""
    op.add_column("circuit_transitions", sa.Column("by", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    for sequence, reason in connection.execute(
        sa.select(_transitions.c.sequence, _transitions.c.reason)
    ).fetchall():
        by_hand = _BY_HAND.match(reason)
        if by_hand is not None:
            this = _transitions.c.sequence == sequence
            connection.execute(sa.update(_transitions).where(this).values(by=by_hand["by"]))
