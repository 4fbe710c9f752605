"""The nouns: a Command is carried by Attempts, each ends in an Outcome, the last of them makes the Result."""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import Struct

from seawall.core.errors import Circumstance, CommandErrorCode, verdict


class CommandStatus(Enum):
    """The coarse answer of the embedded API; `CommandState` is the precise one."""

    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"


class CommandState(Enum):
    """Where a command is in its life. REJECTED, EXPIRED and CANCELLED prove that it never started."""

    ACCEPTED = "ACCEPTED"
    DISPATCHED = "DISPATCHED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"

    @property
    def final(self) -> bool:
        """Whether no attempt follows. UNKNOWN counts: only verification may move it further."""
        return self not in _OPEN_STATES


_OPEN_STATES = frozenset({CommandState.ACCEPTED, CommandState.DISPATCHED, CommandState.RUNNING})


class SafetyClass(Enum):
    """How often an operation may be performed when the first answer is in doubt."""

    SAFE_READ = "safe_read"
    IDEMPOTENT = "idempotent"
    VERIFIABLE = "verifiable"
    OPAQUE = "opaque"

    @property
    def repeatable(self) -> bool:
        """Whether a second execution is harmless."""
        return self is SafetyClass.SAFE_READ or self is SafetyClass.IDEMPOTENT


class Domain(Enum):
    """A failure domain of a host; each has a circuit of its own."""

    AGENT = "agent"
    DOCKER = "docker"
    REGISTRY = "registry"
    """The way from the host to the registries that its images come from."""


_ALL_DOMAINS = tuple(Domain)
_AGENT_ALONE, _AGENT_AND_DOCKER = _ALL_DOMAINS[:1], _ALL_DOMAINS[:2]


class Lane(Enum):
    """Where a command queues: CONTROL is for what must get through, BULK for what moves much data."""

    CONTROL = "control"
    DEFAULT = "default"
    BULK = "bulk"


class Source(Enum):
    """Whose word an outcome is."""

    LINK = "link"
    """What this end saw of the connection; the agent may know better."""
    AGENT = "agent"
    """The agent's answer about how things stand now. If it says that nothing was done, nothing was."""
    LEDGER = "ledger"
    """The agent's last word: it is in its ledger, and no later attempt changes it."""


class StoppedBy(Enum):
    """Why no further attempt was made, where one could have followed by its outcome."""

    ATTEMPTS = "attempts"
    DEADLINE = "deadline"
    CIRCUIT = "circuit"
    BULKHEAD = "bulkhead"
    AGENT_BUDGET = "agent_budget"
    PLANE_BUDGET = "plane_budget"
    HISTORY = "history"
    CANCELLED = "cancelled"


class Command(Struct, frozen=True):
    """One accepted intent. `command_id` is its name for life, through all attempts.

    `timeout_seconds` bounds each attempt; `deadline` is a monotonic point in time after which nothing starts;
    `touches_docker` and `touches_registry` say whether the circuits of these have a say; a registry is only reached by
    way of Docker. `sequence` counts an agent's changing commands from 1: such a command is kept in the agent's ledger,
    so that sending it again only asks what became of it. 0 is a command that no ledger knows.
    """

    command_id: str
    operation: str
    agent_id: str
    arguments: dict[str, object]
    safety: SafetyClass = SafetyClass.OPAQUE
    touches_docker: bool = False
    timeout_seconds: float = 30.0
    deadline: float = float("inf")
    waits_for_agent: bool = False
    lane: Lane = Lane.DEFAULT
    sequence: int = 0
    touches_registry: bool = False

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The failure domains that it depends on, from the nearest to the farthest."""
        if self.touches_docker:
            return _ALL_DOMAINS if self.touches_registry else _AGENT_AND_DOCKER
        return _AGENT_ALONE

    @property
    def redeliverable(self) -> bool:
        """Whether sending it again does no harm: the operation may be repeated, or the agent's ledger knows it."""
        return self.sequence > 0 or self.safety.repeatable


class Attempt(Struct, frozen=True):
    """One delivery of a command. `number` counts from 1; `timeout_seconds` is what is left for this one.

    One that only `asks` starts nothing: the agent says what became of the command.
    """

    number: int
    correlation_id: str
    timeout_seconds: float
    asks: bool = False


class Outcome(Struct, frozen=True):
    """How an attempt ended. `code=None` is a success; expected failures are data, never exceptions.

    `evidence` is what an agent can show for an outcome that it doesn't know.
    """

    code: CommandErrorCode | None = None
    error: str | None = None
    response: object = None
    circumstance: Circumstance = Circumstance.NONE
    retry_after_seconds: float | None = None
    source: Source = Source.LINK
    evidence: dict[str, object] | None = None


class CommandResult(Struct):
    """How a command ended.

    `attempt` is the attempt that made the result (from 1), `total_attempts` how many were made, `retried` whether
    there was more than one. `duration_seconds` spans all of them with their waits. It is `recorded` if it is the
    last word of the agent's ledger, which may also tell later what an UNKNOWN was. `stopped_by` says what kept a retry
    from following.
    """

    status: CommandStatus
    success: bool
    response: object = None
    error: str | None = None
    error_code: CommandErrorCode | None = None
    duration_seconds: float = 0.0
    attempt: int = 1
    total_attempts: int = 1
    retried: bool = False
    command_id: str = ""
    state: CommandState | None = None
    retry_after_seconds: float | None = None
    circumstance: Circumstance = msgspec.field(default=Circumstance.NONE)
    recorded: bool = False
    evidence: dict[str, object] | None = None
    stopped_by: StoppedBy | None = None

    @property
    def settled(self) -> bool:
        """Whether the state is the last word."""
        return self.state is not CommandState.UNKNOWN or self.recorded


_NEVER_STARTED = {
    CommandErrorCode.CIRCUIT_OPEN: CommandState.REJECTED,
    CommandErrorCode.BULKHEAD_FULL: CommandState.REJECTED,
    CommandErrorCode.UNSUPPORTED_OPERATION: CommandState.REJECTED,
    CommandErrorCode.INVALID_ARGUMENT: CommandState.REJECTED,
    CommandErrorCode.UPLOAD_MISSING: CommandState.REJECTED,
    CommandErrorCode.DEADLINE_EXCEEDED: CommandState.EXPIRED,
    CommandErrorCode.AGENT_NOT_CONNECTED: CommandState.REJECTED,
    CommandErrorCode.CANCELLED: CommandState.CANCELLED,
}


def final_state(outcome: Outcome, safety: SafetyClass, *, in_doubt: bool = False) -> CommandState:
    """The truth about a command whose last outcome this is.

    `in_doubt` says that an earlier attempt may have had an effect; a read has none, so it is never UNKNOWN.
    """
    if outcome.code is None:
        return CommandState.SUCCEEDED
    may_have_run = in_doubt or verdict(outcome.code, outcome.circumstance).may_have_run
    if may_have_run and safety is not SafetyClass.SAFE_READ:
        return CommandState.UNKNOWN
    if may_have_run:
        return CommandState.FAILED
    return _NEVER_STARTED.get(outcome.code, CommandState.FAILED)
