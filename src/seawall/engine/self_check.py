"""Watches whether much fails at once, and holds the circuits back while it does."""

from __future__ import annotations

from seawall.clock import Clock
from seawall.core.errors import CircuitVerdict, verdict
from seawall.core.events import AttemptFinished, Event, MassFailureChanged
from seawall.core.guard import Guards
from seawall.core.suspicion import Change, Suspicion
from seawall.engine.drive import Slot
from seawall.engine.ports import Subscriber

_LOOK_EVERY_SECONDS = 1.0


class SelfCheck:
    """A subscriber of the driver's events. While there is a mass failure, the guards are frozen."""

    def __init__(self, guards: Guards[Slot], clock: Clock, emit: Subscriber) -> None:
        self.suspicion = Suspicion()
        self._guards = guards
        self._clock = clock
        self._emit = emit

    def observe(self, event: Event) -> None:
        """See `ports.Subscriber`."""
        if isinstance(event, AttemptFinished):
            outcome = event.outcome
            ruling = verdict(outcome.code, outcome.circumstance).agent
            if ruling is not CircuitVerdict.NEUTRAL:
                failed = ruling is CircuitVerdict.FAILURE
                self._react(self.suspicion.observe(event.command.agent_id, event.at, failed=failed))

    def _react(self, change: Change | None) -> None:
        if change is None:
            return
        now, suspicion = self._clock.now(), self.suspicion
        began = change is Change.BEGAN
        if began:
            self._guards.freeze(f"{suspicion.failing} of {suspicion.agents} agents failed at once")
            self._clock.call_at(now + _LOOK_EVERY_SECONDS, self._look)
        else:
            self._guards.thaw()
        self._emit(MassFailureChanged(now, began, suspicion.failing, suspicion.agents))

    def _look(self) -> None:
        now = self._clock.now()
        self._react(self.suspicion.look(now))
        if self.suspicion.since is not None:
            self._clock.call_at(now + _LOOK_EVERY_SECONDS, self._look)
