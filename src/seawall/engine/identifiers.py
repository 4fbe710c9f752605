"""Correlation ids, cheap enough for the hot path."""

from __future__ import annotations

from itertools import count

from seawall.clock import Clock


class CorrelationIds:
    """Ids of 36 characters: the head of one random UUID and a counter. Unique, but guessable: never a credential."""

    __slots__ = ("_format", "_numbers")

    def __init__(self, clock: Clock) -> None:
        self._format = f"{clock.new_id()[:24]}%012x"
        self._numbers = count(1)

    def __call__(self) -> str:
        """The next id; there are 2**48, which a million a second use up in nine years."""
        return self._format % next(self._numbers)
