"""How fast what has waited for its agents goes out when they are back.

After an outage many agents return at once, and everything that waited for them could be sent in the same second: the
plane would meet a burst many times its usual load just when it is to recover. So those that waited leave one after the
other, at a share of the rate at which commands are asked for anyway, which an outage doesn't change.
"""

from __future__ import annotations

from math import exp

from msgspec import Struct


class PaceSettings(Struct, frozen=True):
    """Those that waited leave at `share` of the usual rate, but never slower than `fewest_per_second`.

    The usual rate is an average over about `memory_seconds`.
    """

    share: float = 0.5
    fewest_per_second: float = 5.0
    memory_seconds: float = 60.0


class Pace(Struct, eq=False):
    """One for all agents of a plane. Time is monotonic seconds, given by the caller."""

    settings: PaceSettings = PaceSettings()
    _rate: float = 0.0
    _at: float = 0.0
    _next: float = 0.0

    def asked(self, now: float) -> None:
        """A command was asked for."""
        self._rate = self.usual_rate(now) + 1.0 / self.settings.memory_seconds
        self._at = now

    def usual_rate(self, now: float) -> float:
        """Commands asked for in a second."""
        return self._rate * exp((self._at - now) / self.settings.memory_seconds)

    def turn(self, now: float) -> float:
        """When the next of those that waited may go; at once if none has gone for a while."""
        settings = self.settings
        turn = max(now, self._next)
        self._next = turn + 1.0 / max(settings.share * self.usual_rate(now), settings.fewest_per_second)
        return turn
