"""The circuit breaker as programs see it: with its own clock, readable and writable attributes, wall-clock display."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from seawall.clock import Clock, SystemClock, moment_of, wall_of
from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit
from seawall.core.command import Domain
from seawall.core.errors import CircuitVerdict
from seawall.core.guard import Guards
from seawall.engine.drive import Slot

CIRCUIT_BREAKER_CONFIG: dict[str, int] = {
    "failure_threshold": 5,
    "success_threshold": 2,
    "failure_window_seconds": 60,
    "timeout_seconds": 30,
}
"""The defaults of `CircuitBreaker`."""

_LEASE_SECONDS = 35.0
_system_clock = SystemClock()


class CircuitBreaker:
    """The circuit of one agent.

    Stand-alone it is driven by `should_allow_request`, `record_success` and `record_failure`. From
    `AgentCommandExecutor.get_circuit_breaker` it is a view of the circuit that guards the agent, and what a program
    writes to it (`state`, `failure_count`, `success_count`, `opened_at`, the thresholds, `timeout_seconds`) is obeyed.
    All durations are in seconds; `opened_at` is aware, UTC, and None unless the circuit is OPEN.
    """

    def __init__(
        self,
        agent_id: str,
        failure_threshold: int = 5,
        success_threshold: int = 2,
        failure_window_seconds: float = 60,
        timeout_seconds: float = 30,
        *,
        clock: Clock | None = None,
    ) -> None:
        settings = BreakerSettings(
            failure_threshold, success_threshold, failure_window_seconds, timeout_seconds
        )
        breaker = Breaker(settings, Guards().next_generation)
        self._bind(
            agent_id,
            clock if clock is not None else _system_clock,
            lambda: breaker,
            lambda: breaker,
            settings,
        )

    @classmethod
    def of_agent(cls, agent_id: str, guards: Guards[Slot], clock: Clock) -> CircuitBreaker:
        """A view of the agent's circuit among these guards. Looking at it creates nothing."""

        def find() -> Breaker | None:
            guard = guards.get(agent_id)
            return dict(guard.breakers).get(Domain.AGENT) if guard is not None else None

        view = cls.__new__(cls)
        view._bind(agent_id, clock, find, lambda: guards.of(agent_id).breaker(Domain.AGENT), guards.settings)
        return view

    def _bind(
        self,
        agent_id: str,
        clock: Clock,
        find: Callable[[], Breaker | None],
        make: Callable[[], Breaker],
        defaults: BreakerSettings,
    ) -> None:
        self.agent_id = agent_id
        self._clock = clock
        self._find = find
        self._make = make
        self._defaults = defaults
        self._opened_at: datetime | None = None

    def should_allow_request(self) -> bool:
        """Whether a request may go out now. In HALF_OPEN a True is the one probe; record what became of it."""
        breaker = self._find()
        if breaker is None:
            return True
        now = self._clock.now()
        breaker.wake(now)
        return isinstance(breaker.acquire(now, _LEASE_SECONDS), Permit)

    def record_success(self) -> None:
        """A request succeeded."""
        breaker = self._find()
        if breaker is not None:
            self._record(breaker, CircuitVerdict.SUCCESS)

    def record_failure(self) -> None:
        """A request failed."""
        self._record(self._make(), CircuitVerdict.FAILURE)

    @property
    def state(self) -> CircuitState:
        """The circuit's state. An OPEN circuit becomes HALF_OPEN by the first request after its open time."""
        breaker = self._find()
        return breaker.state if breaker is not None else CircuitState.CLOSED

    @state.setter
    def state(self, state: CircuitState) -> None:
        now = self._clock.now()
        opened_at = moment_of(self._clock, self._opened_at) if self._opened_at is not None else None
        self._make().put(state, now, opened_at=opened_at)
        self._opened_at = None

    @property
    def opened_at(self) -> datetime | None:
        """When the circuit opened; None unless it is OPEN."""
        breaker = self._find()
        moment = breaker.opened_at if breaker is not None else None
        return wall_of(self._clock, moment) if moment is not None else self._opened_at

    @opened_at.setter
    def opened_at(self, opened_at: datetime | None) -> None:
        if self.state is CircuitState.OPEN and opened_at is not None:
            self._make().put(
                CircuitState.OPEN, self._clock.now(), opened_at=moment_of(self._clock, opened_at)
            )
        else:
            # Counts once the state is set to OPEN, so that a program may write the two in either order.
            self._opened_at = opened_at

    @property
    def failure_count(self) -> int:
        """Failures in the window; kept while OPEN, 0 once CLOSED again."""
        breaker = self._find()
        if breaker is None:
            return 0
        if breaker.state is CircuitState.CLOSED:
            breaker.window.turn(self._clock.now(), breaker.settings.failure_window_seconds)
        return breaker.window.failures

    @failure_count.setter
    def failure_count(self, count: int) -> None:
        breaker = self._make()
        breaker.window.turn(self._clock.now(), breaker.settings.failure_window_seconds)
        breaker.window.replace_failures(count)

    @property
    def success_count(self) -> int:
        """Successful probes since the circuit became HALF_OPEN."""
        breaker = self._find()
        return breaker.probe_successes if breaker is not None else 0

    @success_count.setter
    def success_count(self, count: int) -> None:
        self._make().probe_successes = count

    @property
    def failure_threshold(self) -> int:
        """This many failures in the window, being half of the outcomes or more, open the circuit."""
        return self._settings.failure_threshold

    @failure_threshold.setter
    def failure_threshold(self, threshold: int) -> None:
        self._own_settings().failure_threshold = threshold

    @property
    def success_threshold(self) -> int:
        """This many successful probes close it."""
        return self._settings.success_threshold

    @success_threshold.setter
    def success_threshold(self, threshold: int) -> None:
        self._own_settings().success_threshold = threshold

    @property
    def failure_window_seconds(self) -> float:
        """How long an outcome counts."""
        return self._settings.failure_window_seconds

    @failure_window_seconds.setter
    def failure_window_seconds(self, seconds: float) -> None:
        self._own_settings().failure_window_seconds = seconds

    @property
    def timeout_seconds(self) -> float:
        """How long the circuit stays OPEN at first."""
        return self._settings.open_seconds

    @timeout_seconds.setter
    def timeout_seconds(self, seconds: float) -> None:
        self._own_settings().open_seconds = seconds
        breaker = self._make()
        if breaker.opened_at is not None:
            breaker.put(CircuitState.OPEN, self._clock.now(), opened_at=breaker.opened_at)

    @property
    def _settings(self) -> BreakerSettings:
        breaker = self._find()
        return breaker.settings if breaker is not None else self._defaults

    def _own_settings(self) -> BreakerSettings:
        breaker = self._make()
        if breaker.settings is self._defaults:
            # The defaults are the whole fleet's: a change for one agent is made on a copy.
            breaker.settings = msgspec.structs.replace(self._defaults)
        return breaker.settings

    def _record(self, breaker: Breaker, verdict: CircuitVerdict) -> None:
        permit = Permit(breaker.generation, probe=True)
        breaker.record(permit, verdict, self._clock.now(), self._clock.dice)
