"""The clock of one program: its monotonic time starts anywhere, its time of day may jump, its dice are seeded."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ulp
from random import Random

from seawall.clock import Timer

_MORNING = datetime(2030, 1, 1, tzinfo=UTC)


class _Never:
    """A call that was asked for by a program that is gone."""

    def cancel(self) -> None:
        """It doesn't come anyhow."""


class WallClock:
    """A machine's time of day: `offset_seconds` is how wrong it is, and a fault changes it."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0


class SimulatedClock:
    """`clock.Clock` over a simulated loop. Nothing that it was asked for comes any more once `alive` says no."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        wall: WallClock,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = loop
        self._random = random
        self._wall = wall
        self._alive = alive
        # Two programs' monotonic clocks have nothing to do with each other.
        self._offset = random.uniform(10.0, 1_000_000.0)
        self.dice = random.random

    def now(self) -> float:
        """See `Clock.now`."""
        return self._loop.time() + self._offset

    def wall(self) -> datetime:
        """See `Clock.wall`."""
        return _MORNING + timedelta(seconds=self._loop.time() + self._wall.offset_seconds)

    def new_id(self) -> str:
        """See `Clock.new_id`."""
        milliseconds = int(self.wall().timestamp() * 1000)
        bits = self._random.getrandbits(74)
        value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (1 << 62) - 1
        return str(uuid.UUID(int=value))

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """See `Clock.call_at`."""
        if not self._alive():
            return _Never()
        moment = when - self._offset
        while moment + self._offset < when:  # rounded, it would be called too early, again and again
            moment += ulp(when)
        return self._loop.call_at(moment, self._call, callback)

    async def sleep_until(self, when: float) -> None:
        """See `Clock.sleep_until`."""
        await asyncio.sleep(max(0.0, when - self.now()))

    def _call(self, callback: Callable[[], object]) -> None:
        if self._alive():
            callback()
