"""Percentiles of many durations in little room: they are counted in steps of some percent. Pure."""

from __future__ import annotations

import math

_STEP = math.log(1.05)
_SHORTEST = 1e-4
"""Anything shorter counts as this long."""


class Durations:
    """Durations, of which any percentile can be told within 2.5 percent."""

    __slots__ = ("_steps", "count")

    def __init__(self) -> None:
        self.count = 0
        self._steps: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """One more."""
        step = round(math.log(max(seconds, _SHORTEST)) / _STEP)
        self._steps[step] = self._steps.get(step, 0) + 1
        self.count += 1

    def percentile(self, percent: float) -> float | None:
        """The duration that so many percent of them don't exceed; None if there are none."""
        if not self.count:
            return None
        left = math.ceil(self.count * percent / 100)
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                return math.exp(step * _STEP)
        raise AssertionError("the last step holds the last of them")
