"""Dice that fall as told."""

from __future__ import annotations

from collections.abc import Iterable


class ScriptedDice:
    """Throws the given numbers in order, then `rest` for ever. All are in [0, 1)."""

    def __init__(self, throws: Iterable[float] = (), rest: float = 0.5) -> None:
        self._throws = list(throws)
        self._rest = rest
        self.thrown = 0
        """How many throws were made."""
        for number in (*self._throws, rest):
            if not 0 <= number < 1:
                raise ValueError(f"a throw of the dice is in [0, 1), not {number}")

    def __call__(self) -> float:
        """The next throw."""
        self.thrown += 1
        return self._throws[self.thrown - 1] if self.thrown <= len(self._throws) else self._rest
