"""Alerts, the outbox of what is said of them, silences and channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OPEN = sa.text("delivered_at IS NULL AND given_up_at IS NULL")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alerts",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        *_texts("alert_id", "key", "kind", "severity", "agent_id", "host", "text"),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("openings", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("told_at", "escalated_at", "resolved_at")),
        *_texts("acknowledged_by", "acknowledgement"),
        sa.PrimaryKeyConstraint("sequence", name="pk_alerts"),
        sa.UniqueConstraint("alert_id", name="uq_alerts_alert_id"),
    )
    op.create_index("ix_alerts_resolved_at", "alerts", ["resolved_at"])
    op.create_index("ix_alerts_told_at", "alerts", ["told_at"])
    op.create_table(
        "alert_messages",
        *_texts("message_id"),
        sa.Column("at", sa.BigInteger, nullable=False),
        *_texts("said", "kind", "severity", "title", "body", "alerts", "hosts"),
        sa.PrimaryKeyConstraint("message_id", name="pk_alert_messages"),
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        *_texts("message_id", "channel"),
        sa.Column("attempts", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("delivered_at", "given_up_at")),
        *_texts("error"),
        sa.PrimaryKeyConstraint("sequence", name="pk_alert_deliveries"),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["alert_messages.message_id"],
            name="fk_alert_deliveries_message_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_alert_deliveries_message_id", "alert_deliveries", ["message_id"])
    op.create_index(
        "ix_alert_deliveries_open",
        "alert_deliveries",
        ["sequence"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "alert_silences",
        *_texts("silence_id"),
        sa.Column("until", sa.BigInteger, nullable=False),
        *_texts("kinds", "hosts", "reason", "created_by"),
        sa.PrimaryKeyConstraint("silence_id", name="pk_alert_silences"),
    )
    op.create_table(
        "alert_channels",
        *_texts("name", "kind", "shown", "sealed_url", "sealed_secret"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        *_texts("created_by"),
        sa.PrimaryKeyConstraint("name", name="pk_alert_channels"),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
