"""The circuits that somebody holds. What was held before is forgotten, as it was with every start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "circuit_holds",
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("agent_id", "domain", "state", "reason", "by")
        ),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "domain", name="pk_circuit_holds"),
    )
