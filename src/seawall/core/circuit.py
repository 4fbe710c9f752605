"""What a circuit is made of: its states and settings, and what passes between it and those who ask it."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from seawall.core.command import Domain


class CircuitState(Enum):
    """The three states of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerSettings(Struct):
    """When a circuit opens and how it recovers; durations in seconds. Shared by the circuits of a fleet.

    The open time starts at `open_seconds`, doubles with each re-opening up to `max_open_seconds` and halves again
    with each healthy minute; `spread` moves it by up to this share either way, so that a fleet doesn't probe in step.
    Where it must `allow_for_chance`, the share is that of the outcomes beyond the first `failure_threshold` failures.
    In `shadow` a circuit watches, changes its state and says so, but rejects nothing, unless an operator has forced it
    open: so new settings are tried on a live fleet.
    """

    failure_threshold: int = 5
    success_threshold: int = 2
    failure_window_seconds: float = 60.0
    open_seconds: float = 30.0
    max_open_seconds: float = 120.0
    failure_rate: float = 0.5
    spread: float = 0.1
    shadow: bool = False
    allow_for_chance: bool = False


class Permit(Struct, frozen=True):
    """The right to make one attempt. Give it back with `Breaker.record`, whatever happened."""

    generation: int
    probe: bool = False


class Rejection(Struct, frozen=True):
    """No attempt now; the soonest time at which asking again makes sense, in seconds from now."""

    retry_after_seconds: float


class Transition(Struct, frozen=True):
    """A change of state and its reason, in words; `by` is whose order it was, "" for the circuit's own decision."""

    origin: CircuitState
    target: CircuitState
    reason: str
    by: str = ""


class Pass(Struct, frozen=True):
    """The permits of one attempt; None for a domain that its operation doesn't touch."""

    agent: Permit
    docker: Permit | None = None
    registry: Permit | None = None


class Refused(Struct, frozen=True):
    """A circuit that lets nothing through now, and for how long."""

    domain: Domain
    retry_after_seconds: float
