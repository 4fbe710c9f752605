"""The circuit breaker of one agent in one failure domain.

The theory first. A circuit is in one of three states:

    CLOSED     lets everything through and watches. It opens when the window holds at least `failure_threshold`
               failures *and* these are at least half of the outcomes, or, where chance is allowed for, half of those
               beyond the first failures. A bare count punishes a busy host with few errors; counting consecutive
               failures never trips on one that fails 40 % of the time.
    OPEN       rejects everything until its open time is over, or the host is heard.
    HALF_OPEN  lets one probe through at a time. A probe is a lease: one that never comes back is given out again.
               `success_threshold` successes close the circuit, one failure opens it for twice as long.

Every permit carries the generation in which it was given. A transition starts a new generation, so an outcome that
belongs to an earlier one changes nothing, however late it arrives. (The generation is the idea of sony/gobreaker,
half-open as permits that of failsafe-go.) An operator's `force` overrules all of this until `reset`. Time is monotonic
seconds, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from seawall.core.circuit import BreakerSettings, CircuitState, Permit, Rejection, Transition
from seawall.core.errors import CircuitVerdict
from seawall.core.retry import Dice
from seawall.core.window import OutcomeWindow

__all__ = [
    "Breaker",
    "BreakerSettings",
    "CircuitState",
    "NextGeneration",
    "Permit",
    "Rejection",
    "Transition",
]

NextGeneration = Callable[[], int]
"""Gives a number greater than all it gave before; one counter serves all breakers of a registry."""

_CLOSED, _SUCCESS = CircuitState.CLOSED, CircuitVerdict.SUCCESS  # the hot path's: a member costs a look-up
_HEALTHY_SECONDS = 60.0
_PROBE_UNDER_WAY_SECONDS = 1.0
_UNCOUNTED = Permit(-1)


class Breaker:
    """See the module's text. Owned by one event loop; not thread-safe."""

    __slots__ = (
        "_next_generation",
        "_openings",
        "_since",
        "admits_at",
        "forced",
        "generation",
        "probe_successes",
        "settings",
        "state",
        "window",
    )

    def __init__(
        self, settings: BreakerSettings, next_generation: NextGeneration, generation: int = 0
    ) -> None:
        self.settings = settings
        self.state = CircuitState.CLOSED
        self.generation = generation
        self.window = OutcomeWindow()
        self.probe_successes = 0
        self.admits_at = 0.0
        """When the next probe may start (monotonic): the end of the open time, or of the lease of a probe under way."""
        self._next_generation = next_generation
        self._openings = 0
        self._since = 0.0
        self.forced = False
        """Whether an operator holds the state."""

    def wake(self, now: float) -> Transition | None:
        """Go from OPEN to HALF_OPEN if the open time is over."""
        if self.state is CircuitState.OPEN and not self.forced and now >= self.admits_at:
            return self._enter(CircuitState.HALF_OPEN, now, "the open time is over")
        return None

    def rejection(self, now: float) -> Rejection | None:
        """Why `acquire` would refuse now, without taking anything; None if it would not."""
        if self.state is CircuitState.CLOSED:
            return None
        if self.forced:
            return Rejection(self.settings.max_open_seconds)
        return None if self.settings.shadow else self._turned_away(now)

    def acquire(self, now: float, lease_seconds: float) -> Permit | Rejection:
        """A permit for one attempt, or why not. A probe's permit lapses after `lease_seconds`."""
        if self.state is _CLOSED:
            return Permit(self.generation)
        rejection = self.rejection(now)
        if rejection is not None:
            return rejection
        if self.settings.shadow and self._turned_away(now) is not None:
            return _UNCOUNTED  # a live circuit would not have seen what becomes of it
        if self.admits_at:
            # The last probe never came back: its late answer must not count beside the new one's.
            self.generation = self._next_generation()
        self.admits_at = now + lease_seconds
        return Permit(self.generation, probe=True)

    def record(self, permit: Permit, verdict: CircuitVerdict, now: float, dice: Dice) -> Transition | None:
        """Take a permit back with what its attempt showed; a permit of an earlier generation changes nothing."""
        if permit.generation < self.generation:
            return None
        if verdict is _SUCCESS and self.state is _CLOSED:
            self.window.add_success(now, self.settings.failure_window_seconds)
            return None
        if permit.probe:
            self.admits_at = 0.0
        if verdict is CircuitVerdict.NEUTRAL or self.forced or self.state is CircuitState.OPEN:
            return None
        if self.state is CircuitState.HALF_OPEN:
            return self._record_probe(now, dice, failed=verdict is CircuitVerdict.FAILURE)
        settings, window = self.settings, self.window
        window.add_failure(now, settings.failure_window_seconds)
        outcomes = window.failures + window.successes
        least = settings.failure_threshold
        if settings.allow_for_chance:
            enough = least + settings.failure_rate * (outcomes - least)
        else:
            enough = settings.failure_rate * outcomes
        if window.failures < max(least, enough):
            return None
        share = f"{window.failures / outcomes:.0%} of the outcomes"
        return self._open(
            now, dice, f"{window.failures} failures in {settings.failure_window_seconds:g} s, {share}"
        )

    def heard(self, now: float, reason: str) -> Transition | None:
        """The host reconnected or answered a ping: if OPEN, probe now instead of waiting."""
        if self.state is not CircuitState.OPEN or self.forced:
            return None
        return self._enter(CircuitState.HALF_OPEN, now, reason)

    def force(self, state: CircuitState, now: float, reason: str, by: str = "") -> Transition:
        """An operator's order: stay OPEN (reject all) or CLOSED (admit all) until `reset`.

        Raises ValueError for HALF_OPEN, which can't be held.
        """
        if state is CircuitState.HALF_OPEN:
            raise ValueError("a circuit can be forced open or closed, not half-open")
        transition = self._enter(state, now, reason, by)
        self.forced = True
        return transition

    def reset(self, now: float, reason: str, by: str = "") -> Transition:
        """Forget everything, an operator's order as well, and start CLOSED."""
        self._openings = 0
        return self._enter(CircuitState.CLOSED, now, reason, by)

    def put(self, state: CircuitState, now: float, *, opened_at: float | None = None) -> None:
        """Set the state from outside, as a program that owns the circuit may; the open time is then exact."""
        self._enter(state, now, "set by the program")
        if state is CircuitState.OPEN:
            self._since = now if opened_at is None else opened_at
            self.admits_at = self._since + self.settings.open_seconds

    @property
    def opened_at(self) -> float | None:
        """When it opened (monotonic); None unless it is OPEN."""
        return self._since if self.state is CircuitState.OPEN else None

    def clean(self, now: float) -> bool:
        """Whether dropping this breaker loses nothing: CLOSED, not forced, no failure and no opening to remember."""
        if self.state is not CircuitState.CLOSED or self.forced:
            return False
        if now >= self.window.ends_at:
            self.window.turn(now, self.settings.failure_window_seconds)
        if self.window.failures:
            return False
        self._decay(now)
        return self._openings == 0

    def _turned_away(self, now: float) -> Rejection | None:
        wait = self.admits_at - now
        if self.state is CircuitState.OPEN:
            return Rejection(max(0.0, wait))
        # A probe usually answers long before its lease ends, so those who met one may ask again soon.
        return Rejection(min(wait, _PROBE_UNDER_WAY_SECONDS)) if wait > 0 else None

    def _record_probe(self, now: float, dice: Dice, *, failed: bool) -> Transition | None:
        if failed:
            return self._open(now, dice, "the probe failed")
        self.probe_successes += 1
        if self.probe_successes < self.settings.success_threshold:
            return None
        return self._enter(CircuitState.CLOSED, now, f"{self.probe_successes} probes succeeded")

    def _open(self, now: float, dice: Dice, reason: str) -> Transition:
        self._decay(now)
        settings = self.settings
        longest = max(settings.open_seconds, settings.max_open_seconds)
        open_seconds = min(settings.open_seconds * 2.0 ** min(self._openings, 32), longest)
        transition = self._enter(CircuitState.OPEN, now, reason)
        self._openings += 1
        self.admits_at = now + open_seconds * (1 + settings.spread * (2 * dice() - 1))
        return transition

    def _decay(self, now: float) -> None:
        if self.state is CircuitState.CLOSED and self._openings:
            healthy_minutes = int((now - self._since) / _HEALTHY_SECONDS)
            self._openings = max(0, self._openings - healthy_minutes)
            self._since += healthy_minutes * _HEALTHY_SECONDS

    def _enter(self, state: CircuitState, now: float, reason: str, by: str | None = None) -> Transition:
        if self.settings.shadow and by is None:
            reason += " (shadow: nothing is rejected)"
        transition = Transition(self.state, state, reason, by or "")
        self.state = state
        self.generation = self._next_generation()
        self.probe_successes = 0
        self._since = now
        self.admits_at = 0.0
        self.forced = False
        if state is CircuitState.CLOSED:
            self.window.clear()
        return transition
