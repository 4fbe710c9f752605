"""Time and randomness: the only place in the product that reads a clock or throws dice."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

LEISURE: Final = 40
"""Of the time, what is done at leisure takes one part in so many."""

_TOGETHER = 25
_LONGEST_PAUSE_SECONDS = 0.1

Item = TypeVar("Item")


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Make sure that it does not come."""


class Clock(Protocol):
    """What the engine may know about time. `SystemClock` is the real one, `testing.FakeClock` the scripted one."""

    def now(self) -> float:
        """Monotonic seconds. Every rule of resilience counts in these."""

    def wall(self) -> datetime:
        """The time of day, aware, UTC. For people to read, never to compute with."""

    def dice(self) -> float:
        """A uniform number in [0, 1)."""

    def new_id(self) -> str:
        """A UUID of version 7 (RFC 9562): 36 characters, unique, in order of time."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call back at a monotonic time, on the running event loop."""

    async def sleep_until(self, when: float) -> None:
        """Wait until a monotonic time; a past one returns at the next turn of the loop."""


class SystemClock:
    """The clock of the machine."""

    def __init__(self) -> None:
        self._random = random.Random()
        # Bound, not wrapped: a call more would cost as much as what it calls.
        self.now = time.monotonic
        self.dice = self._random.random
        self.wall = partial(datetime.now, UTC)

    def new_id(self) -> str:
        """See `Clock.new_id`."""
        milliseconds = time.time_ns() // 1_000_000
        random_bits = self._random.getrandbits(74)
        value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (random_bits >> 62) << 64
        return str(uuid.UUID(int=value | 0b10 << 62 | random_bits & (1 << 62) - 1))

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """See `Clock.call_at`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)

    async def sleep_until(self, when: float) -> None:
        """See `Clock.sleep_until`."""
        await asyncio.sleep(max(0.0, when - time.monotonic()))


def wall_of(clock: Clock, moment: float) -> datetime:
    """The time of day of a monotonic moment, as the clock sees it now."""
    return clock.wall() + timedelta(seconds=moment - clock.now())


def moment_of(clock: Clock, wall: datetime) -> float:
    """The monotonic moment of a time of day, as the clock sees it now."""
    return clock.now() + (wall - clock.wall()).total_seconds()


async def at_leisure(
    clock: Clock, items: Sequence[Item], share: int = LEISURE
) -> AsyncIterator[Sequence[Item]]:
    """A long list in pieces, for work that nobody waits for: pauses take all but one part in `share` of its time.

    A share of 1 is for work that somebody waits for: everybody else has a turn between two pieces, without a pause.
    Otherwise a turn isn't enough. A thread that wants the interpreter, such as the one that writes, waits a whole
    switch interval whenever the event loop has something to do, and it wants it many times for a command.
    """
    for start in range(0, len(items), _TOGETHER):
        began = clock.now()
        yield items[start : start + _TOGETHER]
        ended = clock.now()
        await clock.sleep_until(ended + min((ended - began) * (share - 1), _LONGEST_PAUSE_SECONDS))


def seeded_dice(seed: str) -> Callable[[], float]:
    """Uniform numbers in [0, 1) that this seed always gives again: for simulations."""
    return random.Random(seed).random
