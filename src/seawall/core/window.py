"""How many attempts failed and succeeded lately."""

from __future__ import annotations

_BUCKETS = 8
_FULL = 255


class OutcomeWindow:
    """Counts over a sliding window of eight buckets: `failures` and `successes` are the sums over all of them.

    The oldest bucket falls out as time moves on, so an outcome is forgotten when it is between 7/8 and the whole of
    the window old. A past bucket holds at most 255 of each; a fuller one is scaled down, which keeps the proportion.
    """

    __slots__ = ("_bucket", "_past", "ends_at", "failures", "successes")

    def __init__(self) -> None:
        self.failures = 0
        self.successes = 0
        self._past = bytearray(
            2 * _BUCKETS
        )  # (failures, successes) of each past bucket; zero for the current one
        self._bucket = 0
        self.ends_at = 0.0
        """When the current bucket is over, and `turn` has something to do."""

    def add_success(self, now: float, window_seconds: float) -> None:
        """Count a success."""
        if now >= self.ends_at:
            self.turn(now, window_seconds)
        self.successes += 1

    def add_failure(self, now: float, window_seconds: float) -> None:
        """Count a failure."""
        if now >= self.ends_at:
            self.turn(now, window_seconds)
        self.failures += 1

    def turn(self, now: float, window_seconds: float) -> None:
        """Forget what is older than the window."""
        bucket = int(now * _BUCKETS / window_seconds)
        self.ends_at = (bucket + 1) * window_seconds / _BUCKETS
        if bucket == self._bucket:
            return
        past = self._past
        place = 2 * (self._bucket % _BUCKETS)
        failures = self.failures - sum(past[0::2])
        successes = self.successes - sum(past[1::2])
        scale = max(1.0, max(failures, successes) / _FULL)
        past[place], past[place + 1] = int(failures / scale), int(successes / scale)
        for passed in range(max(self._bucket + 1, bucket - _BUCKETS + 1), bucket + 1):
            place = 2 * (passed % _BUCKETS)
            past[place] = past[place + 1] = 0
        self.failures = sum(past[0::2])
        self.successes = sum(past[1::2])
        self._bucket = bucket

    def replace_failures(self, failures: int) -> None:
        """Take another's word for the number of failures; they count as recent."""
        self._past[0::2] = bytes(_BUCKETS)
        self.failures = failures

    def clear(self) -> None:
        """Forget everything."""
        self._past = bytearray(2 * _BUCKETS)
        self.failures = self.successes = 0
