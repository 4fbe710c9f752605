"""Sequences, ledgers and what is known of an unknown outcome.

What was open before belongs to no ledger: it has no sequence, and ends as the version before would have ended it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UNSETTLED = sa.text("settled IS 0")
_RECORDED = sa.text("recorded IS 1")


def upgrade() -> None:
    """Add columns and the table of decisions; trade the index of open commands for that of unsettled ones."""
    op.add_column("agents", sa.Column("quarantined_at", sa.BigInteger))
    op.add_column("agents", sa.Column("last_sequence", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("agents", sa.Column("ledger_id", sa.Text, nullable=False, server_default=""))
    op.add_column("agents", sa.Column("proven_epoch", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("agents", sa.Column("lost_sequence", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("commands", sa.Column("agent_sequence", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("commands", sa.Column("settled", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("commands", sa.Column("recorded", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("commands", sa.Column("evidence", sa.Text))
    op.add_column("commands", sa.Column("stopped_by", sa.Text))
    op.add_column("commands", sa.Column("fallback", sa.Text))
    op.add_column("commands", sa.Column("resolved_by", sa.Text, nullable=False, server_default=""))
    op.add_column("commands", sa.Column("resolution", sa.Text, nullable=False, server_default=""))
    op.execute("UPDATE commands SET settled = 0 WHERE state IN ('ACCEPTED', 'DISPATCHED', 'RUNNING')")
    op.drop_index("ix_commands_open", "commands")
    for name, condition in (("ix_commands_unsettled", _UNSETTLED), ("ix_commands_recorded", _RECORDED)):
        op.create_index(
            name,
            "commands",
            ["agent_id", "agent_sequence"],
            sqlite_where=condition,
            postgresql_where=condition,
        )
    op.create_table(
        "decisions",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("command_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_decisions"),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.command_id"], name="fk_decisions_command_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_decisions_command_id_sequence", "decisions", ["command_id", "sequence"])
