"""Remediation; and what is rare is found without reading what isn't: commands without success, and what people did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WITHOUT_SUCCESS = sa.text(
    "state = 'FAILED' OR state = 'REJECTED' OR state = 'EXPIRED' OR state = 'CANCELLED' OR state = 'UNKNOWN'"
)
_RARE = sa.text(
    "action != 'command_accepted' AND action != 'command_dispatched' AND action != 'command_finished'"
)
_PERSONS = sa.text("actor >= 'user:' AND actor < 'user;'")


def upgrade() -> None:
    """Make indexes and tables."""
    for name, table, columns, which in (
        ("ix_commands_without_success", "commands", ["sequence", "state", "agent_id"], _WITHOUT_SUCCESS),
        ("ix_audit_rare", "audit", ["action"], _RARE),
        ("ix_audit_people", "audit", ["actor"], _PERSONS),
    ):
        op.create_index(name, table, columns, sqlite_where=which, postgresql_where=which)
    op.create_table(
        "remediations",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("remediation_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *_texts("decision", "reason", "rule"),
        sa.Column("number", sa.Integer, nullable=False),
        *_texts("alert_id", "alert", "agent_id", "host", "operation", "arguments", "refusal"),
        sa.Column("timeout_seconds", sa.Float),
        sa.Column("judge_by", sa.BigInteger),
        *_texts("command_id", "state"),
        sa.Column("helped", sa.Boolean),
        *_texts("outcome"),
        sa.Column("judged_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("sequence", name="pk_remediations"),
        sa.UniqueConstraint("remediation_id", name="uq_remediations_remediation_id"),
    )
    op.create_index("ix_remediations_at", "remediations", ["at"])
    op.create_table(
        "remediation_stop",
        sa.Column("row", sa.Integer, nullable=False),
        *_texts("reason", "by"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_remediation_stop"),
        sa.CheckConstraint("row = 1", name="ck_remediation_stop_single"),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
