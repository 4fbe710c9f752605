"""What history says about retries: where they almost never help, they aren't made.

For each kind of operation and each error code a decayed share of retries that succeeded is kept. Below 5 % after twenty
of them a retry is skipped, except for one in twenty, which finds out whether that is still so.
"""

from __future__ import annotations

from msgspec import Struct

from seawall.core.command import SafetyClass
from seawall.core.errors import CommandErrorCode
from seawall.core.retry import Dice

HALF_LIFE = 50.0
"""After so many more retries an old one counts half."""
FEWEST = 20.0
"""Nothing is concluded from fewer than these."""
WORTHLESS_RATE = 0.05
EXPLORED_SHARE = 0.05

_KEPT = 0.5 ** (1.0 / HALF_LIFE)


class Record(Struct):
    """A decayed count of retries, and of those that succeeded."""

    retries: float = 0.0
    successes: float = 0.0
    seen: int = 0

    @property
    def rate(self) -> float:
        """The share that succeeded; 1 as long as nothing is known."""
        return self.successes / self.retries if self.retries else 1.0


class RetryHistory:
    """The records of a plane, by safety class and error code."""

    def __init__(self) -> None:
        self._records: dict[tuple[SafetyClass, CommandErrorCode], Record] = {}

    def record(self, safety: SafetyClass, code: CommandErrorCode, *, succeeded: bool) -> None:
        """A retry after an outcome with this code has ended."""
        record = self._records.get((safety, code))
        if record is None:
            record = self._records[safety, code] = Record()
        record.retries = record.retries * _KEPT + 1.0
        record.successes = record.successes * _KEPT + succeeded
        record.seen += 1

    def worthless(self, safety: SafetyClass, code: CommandErrorCode, dice: Dice) -> bool:
        """Whether a retry isn't worth making now."""
        record = self._records.get((safety, code))
        if record is None or record.seen < FEWEST or record.rate >= WORTHLESS_RATE:
            return False
        return dice() >= EXPLORED_SHARE

    def of(self, safety: SafetyClass, code: CommandErrorCode) -> Record:
        """What is known; an empty record if nothing is."""
        return self._records.get((safety, code), Record())
