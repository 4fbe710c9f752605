"""A histogram of durations in plain integers."""

from __future__ import annotations

from bisect import bisect_left

DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper ends of the buckets in seconds."""


class Histogram:
    """Counts by bucket, the last for what is above all of them, and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One duration more."""
        self.counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """The upper ends, and how many took so long at most."""
        counted, cumulative = 0, []
        for bound, count in zip((*map(str, DURATION_BUCKETS), "+Inf"), self.counts, strict=True):
            counted += count
            cumulative.append((bound, float(counted)))
        return cumulative
