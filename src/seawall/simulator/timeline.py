"""Virtual time: what is to come, in order. Hours pass in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Alarm:
    """A call that is still to come."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Make sure that it does not come; without effect after it came."""
        self._call = None

    def ring(self) -> None:
        """Make the call, unless it was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Timeline:
    """A heap of alarms. Those of one moment ring in the order in which they were set, so that a run repeats exactly."""

    def __init__(self) -> None:
        self.now = 0.0
        """Monotonic seconds since the start."""
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._set = 0

    def at(self, when: float, call: Callable[[], None]) -> Alarm:
        """Call at this time, or now if it is past."""
        alarm = Alarm(call)
        self._set += 1
        heappush(self._alarms, (max(when, self.now), self._set, alarm))
        return alarm

    def after(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Call after so many seconds."""
        return self.at(self.now + seconds, call)

    def run(self, until: float) -> None:
        """Let time pass until then; what is due at that very moment still happens."""
        alarms = self._alarms
        while alarms and alarms[0][0] <= until:
            self.now, _, alarm = heappop(alarms)
            alarm.ring()
        self.now = until
