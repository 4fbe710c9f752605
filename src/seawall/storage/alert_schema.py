"""The tables of alerts, and of what is done about them: see `schema`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    literal_column,
)

from seawall.core.remediation import Verdict
from seawall.storage.schema import SEQUENCE, metadata

alerts = Table(
    "alerts",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("alert_id", Text, nullable=False, unique=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("openings", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("told_at", BigInteger),
    Column("escalated_at", BigInteger),
    Column("resolved_at", BigInteger),
    Column("acknowledged_by", Text, nullable=False),
    Column("acknowledgement", Text, nullable=False),
)
Index("ix_alerts_resolved_at", alerts.c.resolved_at)
Index("ix_alerts_told_at", alerts.c.told_at)

# What was decided to be said, and its way to each channel: the outbox.
alert_messages = Table(
    "alert_messages",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("said", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("alerts", Text, nullable=False),
    Column("hosts", Text, nullable=False),
)
alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("message_id", Text, ForeignKey("alert_messages.message_id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("delivered_at", BigInteger),
    Column("given_up_at", BigInteger),
    Column("error", Text, nullable=False),
)
Index("ix_alert_deliveries_message_id", alert_deliveries.c.message_id)
delivery_is_open = and_(alert_deliveries.c.delivered_at.is_(None), alert_deliveries.c.given_up_at.is_(None))
Index(
    "ix_alert_deliveries_open",
    alert_deliveries.c.sequence,
    sqlite_where=delivery_is_open,
    postgresql_where=delivery_is_open,
)

alert_silences = Table(
    "alert_silences",
    metadata,
    Column("silence_id", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("hosts", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
)

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("sealed_url", Text, nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
)

# What was decided about an alert of the controller's own accord; those that acted are judged once, by how it went on.
remediations = Table(
    "remediations",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("remediation_id", Text, nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("alert_id", Text, nullable=False),
    Column("alert", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("refusal", Text, nullable=False),
    Column("timeout_seconds", Float),
    Column("judge_by", BigInteger),
    Column("command_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("helped", Boolean),
    Column("outcome", Text, nullable=False),
    Column("judged_at", BigInteger),
)
Index("ix_remediations_at", remediations.c.at)
remediation_is_unjudged = and_(
    remediations.c.decision == literal_column(f"'{Verdict.ACTED.value}'"), remediations.c.judged_at.is_(None)
)

# One row while somebody has stopped remediation.
remediation_stop = Table(
    "remediation_stop",
    metadata,
    Column("row", Integer, CheckConstraint("row = 1", name="single"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
