"""How much a host bears, learnt from how it fares: more while it keeps up, less as soon as it lets time run out.

Additive increase, multiplicative decrease, as in TCP. Only timeouts count against a host: an error that it answers in
time says nothing about its load. A burst of timeouts has one cause, so it counts once a second.
"""

from __future__ import annotations

from msgspec import Struct

_DECREASE = 0.7
_DECREASE_PAUSE_SECONDS = 1.0
_REMEMBERED_SECONDS = 60.0


class LearntLimit(Struct, eq=False, gc=False):
    """A limit between `smallest` and `largest`. Time is monotonic seconds, given by the caller."""

    value: float
    smallest: int
    largest: int
    changed_at: float = float("-inf")
    decreased_at: float = float("-inf")

    def succeeded(self, now: float) -> int:
        """An attempt succeeded while the limit was used up: 1/limit more. The limit from now on."""
        self.value = min(self.value + 1.0 / self.value, float(self.largest))
        self.changed_at = now
        return int(self.value)

    def timed_out(self, now: float) -> int:
        """An attempt got no answer in time. The limit from now on."""
        if now - self.decreased_at >= _DECREASE_PAUSE_SECONDS:
            self.value = max(self.value * _DECREASE, float(self.smallest))
            self.changed_at = self.decreased_at = now
        return int(self.value)

    def stale(self, now: float) -> bool:
        """Whether it was learnt so long ago that the host may well be another by now."""
        return now - self.changed_at >= _REMEMBERED_SECONDS
