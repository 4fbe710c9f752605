"""The first tables.

A migration is never changed after a release, so nothing here is taken from schema.py.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OPEN = sa.text("state IN ('ACCEPTED', 'DISPATCHED', 'RUNNING')")


def upgrade() -> None:
    """Make every table of the first release."""
    _make_fleet()
    _make_tokens()
    _make_commands()
    _make_circuits()
    op.create_table(
        "controller",
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_controller"),
        sa.CheckConstraint("row = 1", name=op.f("ck_controller_single")),
    )


def _make_fleet() -> None:
    op.create_table(
        "agents",
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("docker_version", sa.Text, nullable=False),
        sa.Column("operations", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("agent_id", name="pk_agents"),
    )
    live = sa.text("revoked_at IS NULL")
    op.create_index(
        "uq_agents_live_name", "agents", ["name"], unique=True, sqlite_where=live, postgresql_where=live
    )


def _make_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("token_id", name="pk_api_tokens"),
        sa.UniqueConstraint("secret_hash", name="uq_api_tokens_secret_hash"),
    )
    op.create_table(
        "join_tokens",
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("used_by", sa.Text),
        sa.PrimaryKeyConstraint("token_id", name="pk_join_tokens"),
        sa.UniqueConstraint("secret_hash", name="uq_join_tokens_secret_hash"),
    )


def _make_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("command_id", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("timeout_seconds", sa.Float, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("queue", sa.Boolean, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("response", sa.Text),
        sa.Column("total_attempts", sa.Integer, nullable=False),
        sa.Column("duration_seconds", sa.Float, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("retry_after_seconds", sa.Float),
        sa.PrimaryKeyConstraint("sequence", name="pk_commands"),
        sa.UniqueConstraint("command_id", name="uq_commands_command_id"),
    )
    has_key = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "uq_commands_idempotency_key",
        "commands",
        ["idempotency_key"],
        unique=True,
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    op.create_index("ix_commands_agent_id_sequence", "commands", ["agent_id", "sequence"])
    op.create_index("ix_commands_open", "commands", ["sequence"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "attempts",
        sa.Column("command_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("error_code", sa.Text),
        sa.Column("circumstance", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("command_id", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.command_id"], name="fk_attempts_command_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )


def _make_circuits() -> None:
    op.create_table(
        "circuit_transitions",
        sa.Column("sequence", _SEQUENCE, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_circuit_transitions"),
    )
    op.create_index(
        "ix_circuit_transitions_agent_id_sequence", "circuit_transitions", ["agent_id", "sequence"]
    )
