"""The tables, but for those of alerts. migrations/ leads up to them.

Times are microseconds since 1970 in UTC, JSON is text.
"""

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
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    false,
    literal_column,
    or_,
    true,
)

from seawall.core.command import CommandState
from seawall.engine.audit import Action, user_actor

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The order in which rows came: ids carry a wall clock, which may jump between two starts.
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

agents = Table(
    "agents",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    Column("labels", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("version", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("docker_version", Text, nullable=False),
    Column("operations", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("quarantined_at", BigInteger),
    Column("last_sequence", BigInteger, nullable=False, server_default="0"),
    Column("ledger_id", Text, nullable=False, server_default=""),
    Column("proven_epoch", BigInteger, nullable=False, server_default="0"),
    Column("lost_sequence", BigInteger, nullable=False, server_default="0"),
)
Index(
    "uq_agents_live_name",
    agents.c.name,
    unique=True,
    sqlite_where=agents.c.revoked_at.is_(None),
    postgresql_where=agents.c.revoked_at.is_(None),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("used_at", BigInteger),
    Column("used_by", Text),
)

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
)
Index(
    "uq_users_live_name",
    users.c.name,
    unique=True,
    sqlite_where=users.c.removed_at.is_(None),
    postgresql_where=users.c.removed_at.is_(None),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("sign_in_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.user_id"), nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("ended_at", BigInteger),
)

# A command outlives its agent, so nothing refers to that table.
commands = Table(
    "commands",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("command_id", Text, nullable=False, unique=True),
    Column("operation", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger, nullable=False),
    Column("timeout_seconds", Float, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("queue", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("fingerprint", Text, nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("response", Text),
    Column("total_attempts", Integer, nullable=False),
    Column("duration_seconds", Float, nullable=False),
    Column("finished_at", BigInteger),
    Column("retry_after_seconds", Float),
    Column("agent_sequence", BigInteger, nullable=False, server_default="0"),
    Column("settled", Boolean, nullable=False, server_default=true()),
    Column("recorded", Boolean, nullable=False, server_default=false()),
    Column("evidence", Text),
    Column("stopped_by", Text),
    Column("fallback", Text),
    Column("resolved_by", Text, nullable=False, server_default=""),
    Column("resolution", Text, nullable=False, server_default=""),
    Column("begun", Boolean, nullable=False, server_default=false()),
)

# Written out, not bound: an index with a condition serves only a query that shows the same condition.
command_is_open = commands.c.state.in_(
    [literal_column(f"'{state.value}'") for state in CommandState if not state.final]
)
Index(
    "uq_commands_idempotency_key",
    commands.c.idempotency_key,
    unique=True,
    sqlite_where=commands.c.idempotency_key.is_not(None),
    postgresql_where=commands.c.idempotency_key.is_not(None),
)
Index("ix_commands_agent_id_sequence", commands.c.agent_id, commands.c.sequence)
command_is_unsettled = commands.c.settled.is_(false())
Index(
    "ix_commands_unsettled",
    commands.c.agent_id,
    commands.c.agent_sequence,
    sqlite_where=command_is_unsettled,
    postgresql_where=command_is_unsettled,
)
command_is_recorded = commands.c.recorded.is_(true())
Index(
    "ix_commands_recorded",
    commands.c.agent_id,
    commands.c.agent_sequence,
    sqlite_where=command_is_recorded,
    postgresql_where=command_is_recorded,
)
# One comparison after the other: of a list of three or more, SQLite makes a table of its own for each row it looks at.
WITHOUT_SUCCESS = tuple(
    state for state in CommandState if state.final and state is not CommandState.SUCCEEDED
)
command_had_no_success = or_(
    *(commands.c.state == literal_column(f"'{state.value}'") for state in WITHOUT_SUCCESS)
)
# In the order of the lists, and with what these ask for. A command that succeeds is never in it: it only pays the look.
Index(
    "ix_commands_without_success",
    commands.c.sequence,
    commands.c.state,
    commands.c.agent_id,
    sqlite_where=command_had_no_success,
    postgresql_where=command_had_no_success,
)

attempts = Table(
    "attempts",
    metadata,
    Column("command_id", Text, ForeignKey("commands.command_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("correlation_id", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error_code", Text),
    Column("circumstance", Text, nullable=False),
    Column("error", Text),
    sqlite_with_rowid=False,
)

# What was decided about a command, in order; a command without retries, waits and doubts has none.
decisions = Table(
    "decisions",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("command_id", Text, ForeignKey("commands.command_id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False),
)
Index("ix_decisions_command_id_sequence", decisions.c.command_id, decisions.c.sequence)

circuit_transitions = Table(
    "circuit_transitions",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False, server_default=""),
)
Index(
    "ix_circuit_transitions_agent_id_sequence", circuit_transitions.c.agent_id, circuit_transitions.c.sequence
)

# The circuits that somebody holds, until they are reset: a controller that starts goes on with it.
circuit_holds = Table(
    "circuit_holds",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# When a host had no session. One that goes on has no end, and there is one of a host at most.
absences = Table(
    "absences",
    metadata,
    Column("sequence", SEQUENCE, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)
absence_goes_on = absences.c.ended_at.is_(None)
Index(
    "uq_absences_going_on",
    absences.c.agent_id,
    unique=True,
    sqlite_where=absence_goes_on,
    postgresql_where=absence_goes_on,
)

# A chain: each row holds the hash of the one before. Rows are only added, and pruned from the beginning.
audit = Table(
    "audit",
    metadata,
    Column("position", SEQUENCE, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
# What commands leave behind is in no index: each would cost every command a tenth of its time at the writer. So what
# people do is found at once, and what happens seldom; the rest is read back from the newest.
OF_EVERY_COMMAND = (Action.COMMAND_ACCEPTED, Action.COMMAND_DISPATCHED, Action.COMMAND_FINISHED)
entry_is_rare = and_(*(audit.c.action != literal_column(f"'{action.value}'") for action in OF_EVERY_COMMAND))
Index("ix_audit_rare", audit.c.action, sqlite_where=entry_is_rare, postgresql_where=entry_is_rare)
# The character after the colon ends the range of the names that begin so.
entry_is_a_persons = and_(
    audit.c.actor >= literal_column(f"'{user_actor('')}'"), audit.c.actor < literal_column("'user;'")
)
Index("ix_audit_people", audit.c.actor, sqlite_where=entry_is_a_persons, postgresql_where=entry_is_a_persons)

# One row: who this controller is, and how often it was started.
controller = Table(
    "controller",
    metadata,
    Column("row", Integer, CheckConstraint("row = 1", name="single"), primary_key=True),
    Column("id", Text, nullable=False),
    Column("term", BigInteger, nullable=False),
)
