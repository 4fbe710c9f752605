"""What a run leaves behind: its events, in one order, as an observer of the whole world saw them.

A simulated world and a run of real processes write the same events; `checker.check` reads them and knows nothing else.
Every event stands where the thing had become true: a commit when it is durable, an effect when dockerd is through with
it, an answer when the client holds it. `at` is the world's one clock (seconds; no node's own), `order` a running
number.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum
from typing import TypeAlias, Union

import msgspec
from msgspec import Struct

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode


class Place(Enum):
    """Where something happens. What happens to the controller concerns every command."""

    CONTROLLER = "controller"
    AGENT = "agent"
    LINK = "link"
    DOCKER = "docker"


class FaultKind(Enum):
    """What goes wrong."""

    CRASH = "crash"
    POWER_LOSS = "power loss"
    """Everything that was not flushed is gone."""
    PARTITION = "partition"
    FRAMES = "frames"
    """Frames are lost, repeated, reordered, mangled or late."""
    DOCKER_DEAD = "docker dead"
    DOCKER_HANGS = "docker hangs"
    DOCKER_FAILS = "docker fails"
    """It answers 5xx, or breaks connections off before or after the effect."""
    DISK = "disk"
    """Full, or an I/O error."""
    LEDGER_LOST = "ledger lost"
    """The agent's ledger is wiped, or replaced by an older copy."""
    RESTORED = "restored"
    """The controller's store is replaced by a backup: see `Fault.backup_order`."""
    CLOCK_JUMP = "clock jump"
    CLONE = "clone"
    """A second process lives with the identity of the agent."""
    REVOKED = "revoked"
    """The agent's credential; it isn't expected back until the fault ends."""
    STALE_CONTROLLER = "stale controller"
    """A controller of an earlier term is still at work."""
    OVERLOAD = "overload"


class Rare(StrEnum):
    """The rare states that a proof must have reached; names for `Reached`, others are counted as well.

    Those marked * are derived from other events and needn't be emitted.
    """

    UNKNOWN = "unknown"  # *
    UNKNOWN_SETTLED = "unknown settled later"  # *
    UNKNOWN_RESOLVED = "unknown resolved by an operator"  # *
    EXPIRED = "expired"  # *
    EXPIRED_BY_AGENT = "expired by the agent"  # *
    CANCELLED = "cancelled"  # *
    CANCELLED_BY_AGENT = "cancelled by the agent"  # *
    REJECTED = "rejected"  # *
    IMPORTED = "import after restore"  # *
    RESUMED = "resume of a partial execution"  # *
    QUARANTINED = "quarantine"  # *
    CIRCUIT_OPEN = "circuit open"  # *
    KEY_REPEATED = "same key, same command"  # *
    KEY_CONFLICT = "same key, another body"  # *
    AMNESIA = "amnesia"
    STALE_EPOCH = "stale epoch"
    STALE_TERM = "stale term"
    STRANGER = "answer of another agent refused"
    WATERMARK_REFUSAL = "watermark refusal"
    JOINED = "join of a running duplicate"
    REPLAYED = "replay of a finished duplicate"
    REPEATED_ANSWER = "same answer again within a session"
    VOID = "void"
    PARTIAL = "partial"
    VERIFIED = "verified"
    UNDECIDED = "undecided"
    REDELIVERED = "redelivery"
    RESENT_RESULT = "result resent"
    DUPLICATE_RESULT = "duplicate result acknowledged"
    QUESTION = "question"
    LATE_FRAME = "late frame shortened"
    STOPPED_ACCEPTING = "stopped accepting"


class Event(Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened. `at` in seconds of the world's clock; `order` grows by one and breaks ties of `at`."""

    at: float
    order: int


class Asked(Event, frozen=True, kw_only=True):
    """A client sent a request. `fingerprint` stands for its body; `key` is "" if it has no idempotency key."""

    client: str
    key: str
    fingerprint: str
    operation: str
    agent: str
    container: str = ""


class Answered(Event, frozen=True, kw_only=True):
    """A client holds the answer to the request it sent with `key` and `fingerprint`.

    `status` is the HTTP status. A 2xx names the command; its state is a `StateShown` of its own. No answer, no event.
    """

    client: str
    key: str
    fingerprint: str
    status: int
    command_id: str = ""


class AcceptedDurable(Event, frozen=True, kw_only=True):
    """The accept transaction is durable. `deadline_at` is a point on the world's clock (not the controller's).

    `container` as named in the request. `imported` says that a restored controller learned of it from the agent.
    """

    command_id: str
    agent: str
    sequence: int
    operation: str
    container: str
    safety: SafetyClass
    deadline_at: float
    key: str = ""
    imported: bool = False


class StateShown(Event, frozen=True, kw_only=True):
    """A reader was shown a state: by an answer, a read, a wait or an event stream.

    `reader` names one sequence of looks that must not go backwards (a client and its door: "c1 wait").
    """

    reader: str
    command_id: str
    state: CommandState


class NotFound(Event, frozen=True, kw_only=True):
    """A reader asked for a command and was told that there is none."""

    reader: str
    command_id: str


class StateCommitted(Event, frozen=True, kw_only=True):
    """A state is durable at the controller. `by` says in a word who decided ("agent", "dispatcher", "amnesia" ...).

    An UNKNOWN that isn't `settled` may still be told by the agent's ledger.
    """

    command_id: str
    state: CommandState
    settled: bool = True
    by: str = ""


class OperatorResolved(Event, frozen=True, kw_only=True):
    """An operator decided what an UNKNOWN is to count as. Emitted before its `StateCommitted`."""

    command_id: str
    state: CommandState
    operator: str = ""


class Effect(Event, frozen=True, kw_only=True):
    """The truth, from dockerd's own log: it performed a changing call on `agent`'s host. Emitted when it is through.

    `command_id` is None if a restart policy or a person did it. `step` tells the steps of one command apart
    ("stop", "start", "resume" ...). `changed` is False if nothing was left to do (started already, gone already).
    `began_at` is when dockerd got the call, `ended_at` when the change was complete. `epoch` is that of the session
    that asked for the execution, 0 if not known.
    """

    agent: str
    container: str
    operation: str
    command_id: str | None
    began_at: float
    ended_at: float
    step: str = ""
    changed: bool = True
    epoch: int = 0


class LedgerDone(Event, frozen=True, kw_only=True):
    """A DONE row is durable in the ledger `ledger_id`. `code` None is a success; `digest` stands for all else in it."""

    agent: str
    ledger_id: str
    command_id: str
    code: CommandErrorCode | None
    digest: str = ""


class ResultCommitted(Event, frozen=True, kw_only=True):
    """A result is durable at the controller; its `StateCommitted` stands beside it. Imports count.

    `agent` is who delivered it, "" for a conclusion of the controller itself (no answer, never sent).
    `digest` as in `LedgerDone`, where the result came from a ledger.
    """

    command_id: str
    agent: str
    code: CommandErrorCode | None
    digest: str = ""


class Acknowledged(Event, frozen=True, kw_only=True):
    """The controller sent the agent an acknowledgement of this command's result."""

    agent: str
    command_id: str


class SessionOpened(Event, frozen=True, kw_only=True):
    """A controller's hello transaction is durable. `controller` names the process."""

    agent: str
    epoch: int
    term: int
    controller: str = "controller"


class SessionClosed(Event, frozen=True, kw_only=True):
    """The controller has put this session away.

    `socket_epoch` is the epoch of the socket whose end was the reason, 0 if there was another.
    """

    agent: str
    epoch: int
    socket_epoch: int = 0
    controller: str = "controller"


class FrameTaken(Event, frozen=True, kw_only=True):
    """A frame that has an effect was acted on (Execute, Cancel, Completed ...); a refused frame is no event.

    `taker` is the end that acted: Place.AGENT or Place.CONTROLLER. `agent` is the agent's end of the session that it
    came through, `sender` who really sent it (an agent's id, or a controller's name). `epoch` and `term` are those of
    the session that brought it, `current_epoch` and `current_term` the newest that the taker knows durably.
    """

    kind: str
    taker: Place
    agent: str
    sender: str
    epoch: int
    current_epoch: int
    term: int = 0
    current_term: int = 0
    command_id: str = ""


class Quarantined(Event, frozen=True, kw_only=True):
    """The agent is kept out until an operator releases it."""

    agent: str
    released: bool = False


class Fault(Event, frozen=True, kw_only=True):
    """A fault begins, or (`ended`) ends; the end has the same kind, place and agent. What lasts no time has both.

    `agent` is whose process, link or Docker it is; "" at the controller, or for all links at once. A crash ends with
    the start of the process. RESTORED has `backup_order`: the backup holds what was durable up to that `order`.
    """

    kind: FaultKind
    place: Place
    agent: str = ""
    ended: bool = False
    backup_order: int = 0


class Healed(Event, frozen=True, kw_only=True):
    """From here on there are no faults; the time to settle starts. At most one a history."""


class Ended(Event, frozen=True, kw_only=True):
    """The observer stopped looking: the last event. Without it the history ends with the last thing that happened."""


class CircuitState(Event, frozen=True, kw_only=True):
    """A circuit is in this state from now on. One never mentioned is CLOSED."""

    agent: str
    domain: str
    state: Circuit


class QueueDepth(Event, frozen=True, kw_only=True):
    """So many wait from now on in a queue ("dispatcher", "outbox agent-1" ...)."""

    queue: str
    depth: int


class CursorRead(Event, frozen=True, kw_only=True):
    """A reader of the event stream got the event numbered `cursor` when the last it had was `after`.

    Cursors number the events of a stream without gaps. A reader's first `after` is where it chose to begin; one that
    was told to begin anew is a new reader.
    `about` stands for the content ("command-1 SUCCEEDED"), the same for every reader.
    """

    reader: str
    cursor: int
    after: int
    about: str = ""
    stream: str = "events"


class AuditEntry(Event, frozen=True, kw_only=True):
    """An entry of the audit log, durable. `digest` is made by `invariants.audit.link_digest`.

    `number` counts from 1 and `previous` is the digest of the entry before ("" for the first).
    """

    number: int
    content: str
    previous: str
    digest: str


class Reached(Event, frozen=True, kw_only=True):
    """The run passed through a rare state, one of `Rare` or a name of its own."""

    name: str
    agent: str = ""
    command_id: str = ""


AnyEvent: TypeAlias = Union[  # noqa: UP007  (msgspec reads it as a tagged union)
    Asked,
    Answered,
    AcceptedDurable,
    StateShown,
    NotFound,
    StateCommitted,
    OperatorResolved,
    Effect,
    LedgerDone,
    ResultCommitted,
    Acknowledged,
    SessionOpened,
    SessionClosed,
    FrameTaken,
    Quarantined,
    Fault,
    Healed,
    Ended,
    CircuitState,
    QueueDepth,
    CursorRead,
    AuditEntry,
    Reached,
]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


def write_lines(history: Iterable[Event]) -> bytes:
    """One JSON object a line: what a failed run leaves for whoever looks into it."""
    return b"".join(_encoder.encode(event) + b"\n" for event in history)


def read_lines(lines: bytes) -> list[Event]:
    """The events of `write_lines`. Raises `msgspec.ValidationError` at a line that is none."""
    return [_decoder.decode(line) for line in lines.splitlines() if line]
