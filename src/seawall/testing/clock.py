"""A clock that a test turns by hand: a day of back-off passes in a moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from seawall.testing.dice import ScriptedDice

# How many turns of the loop are taken for "everything that can go on has gone on". A chain of awaits that is longer
# than this needs another `settle`.
_TURNS = 40

_MORNING = datetime(2030, 1, 1, tzinfo=UTC)


class FakeTimer:
    """A call that a `FakeClock` owes."""

    __slots__ = ("_callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.cancelled = False
        self._callback = callback

    def cancel(self) -> None:
        """See `clock.Timer.cancel`."""
        self.cancelled = True

    def fire(self) -> None:
        """Call back, once."""
        if not self.cancelled:
            self.cancelled = True
            self._callback()


class FakeClock:
    """`clock.Clock` whose time moves only in `advance`.

    `now` is the monotonic time to begin with, `wall` the time of day at that moment (aware).
    """

    def __init__(
        self, now: float = 1000.0, wall: datetime = _MORNING, dice: Callable[[], float] | None = None
    ) -> None:
        self._now = now
        self._wall = wall
        self._ids = 0
        self._order = 0
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self.dice: Callable[[], float] = dice if dice is not None else ScriptedDice()

    def now(self) -> float:
        """See `Clock.now`."""
        return self._now

    def wall(self) -> datetime:
        """See `Clock.wall`."""
        return self._wall

    def new_id(self) -> str:
        """See `Clock.new_id`. The ids of two clocks made alike are the same."""
        self._ids += 1
        milliseconds = int(self._wall.timestamp() * 1000)
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | self._ids))

    def call_at(self, when: float, callback: Callable[[], object]) -> FakeTimer:
        """See `Clock.call_at`."""
        timer = FakeTimer(when, callback)
        if when <= self._now:
            asyncio.get_running_loop().call_soon(timer.fire)
        else:
            self._order += 1
            heappush(self._timers, (when, self._order, timer))
        return timer

    async def sleep_until(self, when: float) -> None:
        """See `Clock.sleep_until`."""
        if when <= self._now:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.call_at(when, wake)
        try:
            await woken
        finally:
            timer.cancel()

    @property
    def timers(self) -> list[float]:
        """When the calls that are still owed are due, in order."""
        return sorted(when for when, _, timer in self._timers if not timer.cancelled)

    async def advance(self, seconds: float) -> None:
        """Let time pass: whatever falls due happens in order, each at its own time, with its consequences."""
        if seconds < 0:
            raise ValueError(f"monotonic time never goes back, not even {-seconds} s")
        end = self._now + seconds
        await self.settle()
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heappop(self._timers)
            if timer.cancelled:
                continue
            self._move(when)
            timer.fire()
            await self.settle()
        self._move(end)
        await self.settle()

    async def settle(self) -> None:
        """Let everything go on that doesn't wait for time."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def set_wall(self, wall: datetime) -> None:
        """The time of day jumps, as it does on real machines; monotonic time doesn't."""
        self._wall = wall

    def _move(self, now: float) -> None:
        # A callback may have been owed for a moment before now only if time stood still since.
        if now > self._now:
            self._wall += timedelta(seconds=now - self._now)
            self._now = now
