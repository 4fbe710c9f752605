"""What is kept of commands, agents, tokens and circuits, as every store and door sees it. Times are aware, UTC."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct, field

from seawall.core.command import CommandState
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import hidden


class AttemptRecord(Struct):
    """One delivery of a command. `finished_at` is None while it is under way, or if its end was never seen."""

    number: int
    correlation_id: str
    started_at: datetime
    finished_at: datetime | None = None
    error_code: str | None = None
    circumstance: str = "none"
    error: str | None = None


class DecisionRecord(Struct, frozen=True):
    """Something that was decided about a command: `kind` says what, `content` why, in plain values."""

    at: datetime
    kind: str
    content: dict[str, object] = field(default_factory=dict)


class CommandRecord(Struct):
    """An accepted command and what became of it. `deadline_at` is when nothing more is started.

    `sequence` counts the agent's changing commands from 1, it is 0 for a read. `settled` says that the state is the
    last word: an UNKNOWN that isn't may still be told by the agent's ledger; `recorded` says that the ledger told it.
    `evidence` is what can be shown of an UNKNOWN; `resolved_by` said by hand what it was, and why in `resolution`.
    `stopped_by` is what kept a retry from following. `fallback` is what is given in place of a response that couldn't
    be had; it never hides the error.
    """

    command_id: str
    operation: str
    agent_id: str
    agent: str
    arguments: dict[str, object]
    state: CommandState
    accepted_at: datetime
    deadline_at: datetime
    timeout_seconds: float
    max_attempts: int
    queue: bool = True
    requested_by: str = ""
    idempotency_key: str | None = None
    fingerprint: str = ""
    error_code: str | None = None
    error: str | None = None
    response: object = None
    total_attempts: int = 0
    duration_seconds: float = 0.0
    finished_at: datetime | None = None
    retry_after_seconds: float | None = None
    sequence: int = 0
    settled: bool = False
    recorded: bool = False
    evidence: dict[str, object] | None = None
    stopped_by: str | None = None
    fallback: dict[str, object] | None = None
    resolved_by: str = ""
    resolution: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)

    @property
    def safe_actions(self) -> list[str]:
        """What can be done about an UNKNOWN without making it worse."""
        return ["verify", "resolve", "force-retry"] if self.state is CommandState.UNKNOWN else []

    @property
    def retried(self) -> bool:
        """Whether there was more than one attempt."""
        return self.total_attempts > 1


class Unsettled(Struct, frozen=True):
    """As much of an unsettled command as is needed to wait for its agent; `sent` says that it may have reached it."""

    command_id: str
    agent_id: str
    sequence: int
    state: CommandState
    deadline_at: datetime

    @property
    def sent(self) -> bool:
        """Whether the agent may have it."""
        return self.state is not CommandState.ACCEPTED


class LedgerFacts(Struct, frozen=True):
    """What a hello says of the agent's ledger; see `wire.messages.Hello`."""

    ledger_id: str = ""
    epoch: int = 0
    watermark: int = 0
    last_sequence: int = 0


class SessionGrant(Struct, frozen=True):
    """What the store gives a new session.

    Everything up to `acknowledged_up_to` is over. `amnesia` says why the agent's ledger isn't the one that was known,
    "" if it is; `lost` are the commands that became UNKNOWN by that, with their sequences.
    """

    epoch: int
    acknowledged_up_to: int
    amnesia: str = ""
    lost: dict[str, int] = field(default_factory=dict)


class AgentRecord(Struct):
    """A host that joined. `epoch` counts its sessions; `revoked_at` ends its identity for good.

    `quarantined_at` keeps it out for now, because two hosts used its identity at once.
    """

    agent_id: str
    name: str
    public_key: bytes
    joined_at: datetime
    labels: dict[str, str] = field(default_factory=dict)
    simulated: bool = False
    version: str = ""
    hostname: str = ""
    docker_version: str = ""
    operations: list[str] = field(default_factory=list)
    epoch: int = 0
    last_seen_at: datetime | None = None
    revoked_at: datetime | None = None
    quarantined_at: datetime | None = None


class TokenRecord(Struct):
    """An API token, known by the hash of its secret."""

    token_id: str
    name: str
    role: str
    secret_hash: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class UserRecord(Struct):
    """A person who may sign in to the dashboard. A removed one stays on record."""

    user_id: str
    name: str
    password_hash: str
    role: str
    created_at: datetime
    removed_at: datetime | None = None


class SignInRecord(Struct):
    """One sign-in of a user in one browser, known by the hash of its secret; `expires_at` is its end at the latest."""

    sign_in_id: str
    user_id: str
    secret_hash: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str = ""
    ended_at: datetime | None = None


class JoinTokenRecord(Struct):
    """A join token, known by the hash of its secret; used once."""

    token_id: str
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    created_by: str = ""
    used_at: datetime | None = None
    used_by: str | None = None


class TransitionRecord(Struct):
    """A circuit's change of state; `by` is who overruled it, "" for the circuit's own decision."""

    at: datetime
    agent_id: str
    domain: str
    origin: str
    target: str
    reason: str
    by: str = ""


class HoldRecord(Struct, frozen=True):
    """A circuit that somebody holds open or closed until it is reset: `state` is that of `CircuitState`."""

    agent_id: str
    domain: str
    state: str
    reason: str
    by: str
    at: datetime


def command_document(record: CommandRecord) -> dict[str, object]:
    """The record as the API and the CLI show it: plain values, times as RFC 3339, `retried` spelled out."""
    document: dict[str, object] = msgspec.to_builtins(record)
    del document["fingerprint"], document["recorded"]
    document["arguments"] = hidden(OPERATIONS.get(record.operation), record.arguments)
    document["retried"] = record.retried
    document["safe_actions"] = record.safe_actions
    return document


def moment_from(text: str | None) -> datetime | None:
    """A time that a peer wrote, RFC 3339; None for one that can't be read or doesn't say its zone."""
    try:
        moment = None if text is None else msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
