"""The messages on the wire: one page, the whole contract.

Unknown fields are ignored, so a newer peer may add some; an unknown kind is answered with a `Complaint`. Durations are
relative, so that the two clocks need not agree; `sent_at` and `heard_at` are the controller's monotonic clock, by which
an agent sees how long a frame was under way.

A stream is a sequence of bytes counted from 0, between a reader and the agent: see `wire.stream`.

A command that changes something has a `sequence`, counted by agent from 1, and a row in the agent's ledger. Its
`Completed` is `recorded` once the ledger holds it for good, and comes again until it is acknowledged.
"""

from __future__ import annotations

from msgspec import Struct, field

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1


class Challenge(Struct, frozen=True, tag="challenge"):
    """Controller, first of all: prove who you are over this fresh nonce. `now` is the controller's time of day."""

    nonce: bytes
    controller_id: str
    term: int
    now: str
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


class Hello(Struct, frozen=True, tag="hello"):
    """Agent: who I am, signed, what I can do, and how far my ledger goes.

    `operations` are the names that this agent performs, `instance` tells this process of the agent from all others.
    Of the ledger: its id, the newest epoch that it has seen, the sequence up to which it has forgotten what was
    acknowledged, the highest sequence that it has seen, and how many results wait for their acknowledgement.
    `level` and `may_exec` are what the host's own policy says of whole operations; an agent of before tells no level.
    """

    agent_id: str
    signature: bytes
    protocol: int
    version: str
    hostname: str = ""
    docker_version: str = ""
    simulated: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)
    instance: str = ""
    ledger_id: str = ""
    ledger_epoch: int = 0
    watermark: int = 0
    last_sequence: int = 0
    unacknowledged: int = 0
    level: str = ""
    may_exec: bool = False


class Welcome(Struct, frozen=True, tag="welcome"):
    """Controller: the session is open. Frames of an older epoch have no effect.

    Every command up to `acknowledged_up_to` is over: the ledger may forget it, and must not begin it any more. The
    hello was `heard_at`.
    """

    epoch: int
    heartbeat_seconds: float
    acknowledged_up_to: int = 0
    heard_at: float = 0.0


class Execute(Struct, frozen=True, tag="execute", omit_defaults=True):
    """Controller: perform this attempt. `remaining_seconds` is what is left until the attempt is given up.

    Nothing left means a question: say what became of the command, and if it has not begun, it never will.
    `traceparent` is the attempt's span, as W3C writes it, where the controller makes traces.
    """

    command_id: str
    correlation_id: str
    attempt: int
    operation: str
    arguments: dict[str, object]
    remaining_seconds: float
    epoch: int
    sequence: int = 0
    sent_at: float = 0.0
    traceparent: str = ""


class Started(Struct, frozen=True, tag="started"):
    """Agent: the command is in the ledger and its effect begins."""

    command_id: str
    correlation_id: str
    epoch: int
    sequence: int


class Progress(Struct, frozen=True, tag="progress", omit_defaults=True):
    """Agent: the work moves. `text` is for people, `detail` the same for programs: the last one says it all."""

    correlation_id: str
    text: str
    detail: dict[str, object] | None = None


class Origin(Struct, frozen=True):
    """What a ledger knows of a command, for a controller that has lost it; times are RFC 3339."""

    operation: str
    arguments: dict[str, object]
    started_at: str | None = None
    finished_at: str | None = None


class Completed(Struct, frozen=True, tag="completed"):
    """Agent: how the attempt ended. No `code` is a success; code and circumstance are the values of core.errors.

    A `recorded` one speaks for the command, whatever attempt it answers. `evidence` is what the agent can show where it
    doesn't know the outcome. One that comes unasked, from the ledger, says in `origin` what it is about.
    """

    command_id: str
    correlation_id: str
    epoch: int
    code: str | None = None
    circumstance: str = "none"
    error: str | None = None
    response: object = None
    sequence: int = 0
    recorded: bool = False
    evidence: dict[str, object] | None = None
    origin: Origin | None = None


class Acknowledge(Struct, frozen=True, tag="acknowledge"):
    """Controller: these results are durable here, and every command up to `up_to` is over."""

    sequences: list[int]
    up_to: int


class Cancel(Struct, frozen=True, tag="cancel"):
    """Controller: stop this attempt if it can be stopped; `Completed` says what became of it."""

    command_id: str
    correlation_id: str


class OpenStream(Struct, frozen=True, tag="open_stream"):
    """Controller: begin this stream, or go on with it from `offset` if you have it already.

    The agent may send up to `offset + window` before it hears of credit. `again` says that it may have been opened
    before: an agent that doesn't know it has been restarted, and must not begin work twice that may have begun.
    """

    stream_id: str
    operation: str
    arguments: dict[str, object]
    offset: int
    window: int
    again: bool = False


class StreamCredit(Struct, frozen=True, tag="stream_credit"):
    """Controller: the reader holds everything up to this offset; the agent may send up to `up_to` and the window."""

    stream_id: str
    up_to: int


class StreamInput(Struct, frozen=True, tag="stream_input"):
    """Controller: what the reader sends, such as keys or a file; `offset` counts the input's bytes from 0."""

    stream_id: str
    offset: int
    data: bytes


class CloseStream(Struct, frozen=True, tag="close_stream"):
    """Controller: nobody reads this stream any more; what it does ends, and it is forgotten."""

    stream_id: str
    reason: str


class StreamData(Struct, frozen=True, tag="stream_data"):
    """Agent: bytes of a stream; `offset` is that of the first of them, counted from 0 over all sessions."""

    stream_id: str
    offset: int
    data: bytes


class StreamInputCredit(Struct, frozen=True, tag="stream_input_credit"):
    """Agent: the input up to this offset is taken; more may come up to `up_to` and the window.

    `again` answers an `OpenStream`: whatever was sent beyond `up_to` has to be sent again.
    """

    stream_id: str
    up_to: int
    again: bool = False


class StreamEnd(Struct, frozen=True, tag="stream_end"):
    """Agent: the stream has `offset` bytes in all, and no more. Sent after the last of them.

    No `code` is a success; else it is a value of core.errors, and `error` says more. `response` is what the work came
    to, such as an exit code.
    """

    stream_id: str
    offset: int
    code: str | None = None
    error: str | None = None
    response: object = None


class Ping(Struct, frozen=True, tag="ping"):
    """Controller: answer across your worker; with `docker`, ask the Docker Engine too."""

    sequence: int
    docker: bool = False
    sent_at: float = 0.0
    epoch: int = 0


class HostVitals(Struct, frozen=True, omit_defaults=True):
    """How the host is: its time of day, RFC 3339, and the space on the disk of its containers, 0 in all if unknown.

    `longest_running_seconds` is for how long the oldest work under way has shown no progress. `registries` says of
    those that were used lately whether they answered; it is empty where nothing new is known. `ledger_entries` counts
    the commands that its ledger holds, `ledger_unacknowledged` those of them whose results the controller doesn't hold
    for good yet; `ledger_full` says that nothing can begin, because its end might not be recorded.
    """

    now: str
    free_bytes: int = 0
    total_bytes: int = 0
    longest_running_seconds: float = 0.0
    registries: dict[str, bool] = field(default_factory=dict)
    ledger_entries: int = 0
    ledger_unacknowledged: int = 0
    ledger_full: bool = False


class Pong(Struct, frozen=True, tag="pong"):
    """Agent: the answer; `docker` says whether the Docker Engine answered, None if it wasn't asked."""

    sequence: int
    docker: bool | None = None
    vitals: HostVitals | None = None


class Goodbye(Struct, frozen=True, tag="goodbye"):
    """Either side, last of all: why, and after how many seconds a new session makes sense (None: don't come back)."""

    reason: str
    retry_after_seconds: float | None = 0.0


class Complaint(Struct, frozen=True, tag="complaint"):
    """Either side: a frame of yours was not understood and had no effect."""

    about: str
    reason: str


FromController = (
    Challenge
    | Welcome
    | Execute
    | Acknowledge
    | Cancel
    | Ping
    | OpenStream
    | StreamCredit
    | StreamInput
    | CloseStream
    | Goodbye
    | Complaint
)
FromAgent = (
    Hello
    | Started
    | Progress
    | Completed
    | Pong
    | StreamData
    | StreamInputCredit
    | StreamEnd
    | Goodbye
    | Complaint
)
Message = FromController | FromAgent
