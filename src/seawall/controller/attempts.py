"""How often somebody may guess."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from seawall.clock import Clock

_REMEMBERED = 10_000


class Allowance(Struct, frozen=True):
    """So many wrong guesses at once, and then one more after each `seconds`."""

    guesses: int
    seconds: float


class Guesses:
    """Counts wrong guesses by key. A right one is forgotten by whoever calls, with `forget`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # When the guesses of a key will all be there again; whoever guessed longest ago is forgotten first.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def wait_seconds(self, key: str, allowance: Allowance) -> float:
        """How long this key has to wait for its next guess; 0 if it may guess now."""
        used = (self._full_at.get(key, 0.0) - self._clock.now()) / allowance.seconds
        return max(0.0, (used - allowance.guesses + 1) * allowance.seconds)

    def count(self, key: str, allowance: Allowance) -> None:
        """A guess is being made. Counted before it is checked, so that many at once are no way around."""
        self._full_at[key] = max(self._full_at.get(key, 0.0), self._clock.now()) + allowance.seconds
        self._full_at.move_to_end(key)
        if len(self._full_at) > _REMEMBERED:
            self._full_at.popitem(last=False)

    def forget(self, key: str) -> None:
        """It was right."""
        self._full_at.pop(key, None)
