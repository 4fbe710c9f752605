"""What happened, for whoever counts, logs, shows or stores it. Emitted by the engine, never acted on by it.

`at` is monotonic seconds.
"""

from __future__ import annotations

from msgspec import Struct

from seawall.core.alert import Said
from seawall.core.alert_rules import AlertKind
from seawall.core.breaker import CircuitState
from seawall.core.command import Attempt, Command, CommandResult, CommandState, Domain, Outcome
from seawall.core.remediation import Verdict


class AttemptStarted(Struct, frozen=True):
    """An attempt has its slot and permits and is about to be sent."""

    at: float
    command: Command
    attempt: Attempt


class AttemptFinished(Struct, frozen=True):
    """An attempt ended; `duration_seconds` counts from its start."""

    at: float
    command: Command
    attempt: Attempt
    outcome: Outcome
    duration_seconds: float


class RetryScheduled(Struct, frozen=True):
    """Another attempt follows after `delay_seconds`, because of `outcome`."""

    at: float
    command: Command
    failed_attempts: int
    max_attempts: int
    delay_seconds: float
    outcome: Outcome


class CommandParked(Struct, frozen=True):
    """The command waits for its agent to connect, at most until `until`."""

    at: float
    command: Command
    until: float


class SlotAwaited(Struct, frozen=True):
    """An attempt had to wait for a slot on its host; `waited_seconds` long, and `got` says whether it came."""

    at: float
    command: Command
    waited_seconds: float
    got: bool


class CommandFinished(Struct, frozen=True):
    """The command has its result."""

    at: float
    command: Command
    result: CommandResult


class CommandSettled(Struct, frozen=True):
    """What a command that was UNKNOWN has turned out to be; `by` is who says so, "" for the agent's ledger."""

    at: float
    command_id: str
    agent_id: str
    operation: str
    state: CommandState
    by: str = ""


class CircuitChanged(Struct, frozen=True):
    """A circuit went from one state to another; `by` is whose order it was, "" for the circuit's own decision."""

    at: float
    agent_id: str
    domain: Domain
    origin: CircuitState
    target: CircuitState
    reason: str
    by: str = ""


class MassFailureChanged(Struct, frozen=True):
    """Much fails at once, so that the cause is likelier here than with the hosts; or that is over.

    While it lasts no circuit opens by what fails. `failing` of `agents` that were heard of lately failed last.
    """

    at: float
    began: bool
    failing: int
    agents: int


class AlertSaid(Struct, frozen=True):
    """Something is said of alerts of one kind, to so many channels; it is kept, and goes out now."""

    at: float
    said: Said
    kind: AlertKind
    title: str
    body: str
    channels: int


class RemedyDecided(Struct, frozen=True):
    """A rule of remediation has something done on a host, or would have, or doesn't."""

    at: float
    rule: str
    host: str
    verdict: Verdict
    reason: str


Event = (
    AttemptStarted
    | AttemptFinished
    | RetryScheduled
    | CommandParked
    | SlotAwaited
    | CommandFinished
    | CommandSettled
    | CircuitChanged
    | MassFailureChanged
    | AlertSaid
    | RemedyDecided
)
