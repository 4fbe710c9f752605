"""What the API answers, typed. Unknown fields are ignored, so that a newer controller can be asked. Times are UTC."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field

from seawall.core.command import CommandState


class Attempt(Struct):
    """One delivery of a command. `finished_at` is None while it is under way, or if its end was never seen."""

    number: int
    correlation_id: str
    started_at: datetime
    finished_at: datetime | None = None
    error_code: str | None = None
    circumstance: str = "none"
    error: str | None = None


class Command(Struct):
    """An accepted command and what became of it. `agent` is the host's name.

    `sequence` counts the changing commands of its host from 1; a read has 0. An UNKNOWN one that isn't `settled` may
    still be cleared up by its agent. `evidence` is what that agent shows for it, in the agent's own words: started_at,
    last_frame_at, pre_image, now, reason. `safe_actions` are what may be done about it: verify, resolve, force-retry.
    `resolved_by` says who decided its state by hand, `resolution` why.
    """

    command_id: str
    operation: str
    agent_id: str
    agent: str
    arguments: dict[str, object]
    state: CommandState
    error_code: str | None = None
    error: str | None = None
    response: object = None
    attempts: list[Attempt] = field(default_factory=list)
    total_attempts: int = 0
    retried: bool = False
    duration_seconds: float = 0.0
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    accepted_at: datetime | None = None
    deadline_at: datetime | None = None
    finished_at: datetime | None = None
    requested_by: str = ""
    idempotency_key: str | None = None
    retry_after_seconds: float | None = None
    queue: bool = True
    sequence: int = 0
    settled: bool = True
    evidence: dict[str, object] | None = None
    stopped_by: str | None = None
    fallback: dict[str, object] | None = None
    safe_actions: list[str] = field(default_factory=list)
    resolved_by: str = ""
    resolution: str = ""


class CommandOrder(Struct, omit_defaults=True):
    """What to ask for. `agent` is an id or a name; None leaves a value to the controller.

    `max_attempts` counts the first one too. With `queue=False` a command to a host that isn't connected fails at once
    instead of waiting for it until its deadline.
    """

    operation: str
    agent: str
    arguments: dict[str, object] = field(default_factory=dict)
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    deadline_seconds: float | None = None
    queue: bool = True


class HealthView(Struct):
    """How a host is: `score` from 0 to 100, and what took the points away, the worst first."""

    state: str = ""
    score: int = 0
    reasons: list[str] = field(default_factory=list)


class Agent(Struct):
    """A host that joined. `state` is connected, disconnected, quarantined or revoked.

    `quarantined_at` is when two agents used its identity at once. `circuits` maps domains to their states.
    """

    agent_id: str
    name: str
    state: str
    simulated: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    version: str = ""
    hostname: str = ""
    docker_version: str = ""
    operations: list[str] = field(default_factory=list)
    epoch: int = 0
    joined_at: datetime | None = None
    last_seen_at: datetime | None = None
    quarantined_at: datetime | None = None
    circuits: dict[str, str] = field(default_factory=dict)
    in_flight: int = 0
    latency_seconds: float | None = None
    health: HealthView = field(default_factory=HealthView)


class TimelineEntry(Struct):
    """One thing that happened to a command; `kind` is a word for programs, `text` a sentence for people."""

    at: datetime
    kind: str
    text: str


class Explanation(Struct):
    """A command and its timeline, in order."""

    command: Command
    timeline: list[TimelineEntry] = field(default_factory=list)


class PolicyValue(Struct):
    """A setting that holds, and where it comes from."""

    value: object
    source: str


class PolicyView(Struct):
    """What holds now: by operation and setting, and for the plane by `table.setting`. `text` is the policy file."""

    preset: str
    file: str
    text: str = ""
    operations: dict[str, dict[str, PolicyValue]] = field(default_factory=dict)
    plane: dict[str, PolicyValue] = field(default_factory=dict)


class Transition(Struct, rename={"origin": "from", "target": "to"}):
    """A circuit's change of state; `by` is who overruled it, "" for the circuit's own decision."""

    at: datetime
    origin: str
    target: str
    reason: str = ""
    by: str = ""


class Circuit(Struct):
    """The circuit of one failure domain of a host. `forced` says that a person overruled it."""

    agent_id: str
    agent: str
    domain: str
    state: str
    forced: bool | str | None = None
    failures: int = 0
    successes: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    transitions: list[Transition] = field(default_factory=list)


class Token(Struct):
    """An API token without its secret. `role` is viewer, operator or admin."""

    token_id: str
    name: str
    role: str
    created_at: datetime | None = None
    expires_at: datetime | None = None


class NewToken(Struct):
    """An API token just made. `token` is the secret, shown this once."""

    token_id: str
    name: str
    role: str
    token: str
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"NewToken(token_id={self.token_id!r}, name={self.name!r}, role={self.role!r})"


class NewJoinToken(Struct):
    """A join token just made: it works once, until `expires_at`. `command` is what to run on the new host."""

    token: str
    expires_at: datetime
    command: str = ""

    def __repr__(self) -> str:
        return f"NewJoinToken(expires_at={self.expires_at!r})"


class OperationArgument(Struct):
    """An argument of an operation."""

    name: str
    kind: str = ""
    summary: str = ""
    required: bool = False
    default: object = None


class OperationSummary(Struct):
    """An operation that the controller knows. `supported` is False for one that only has its name yet."""

    name: str
    summary: str = ""
    safety: str = ""
    role: str = ""
    timeout_seconds: float = 0.0
    arguments: list[OperationArgument] = field(default_factory=list)
    supported: bool = True
