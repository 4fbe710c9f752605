"""Who may work now: slots for everybody, and turns at one thing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from msgspec import Struct

from seawall.clock import Timer
from seawall.core.command import Outcome
from seawall.core.errors import CommandErrorCode
from seawall.turns import Turns


class Slot:
    """The right to work, given back once."""

    __slots__ = ("_lanes", "_released")

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._released = False

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        if not self._released:
            self._released = True
            self._lanes.leave()


class Lanes:
    """At most `limit` at once, and `reserved` more for those that must get through. Each lane is served in order."""

    def __init__(self, limit: int, reserved: int) -> None:
        self._limit = limit
        self._reserved = reserved
        self._in_use = 0
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @property
    def in_use(self) -> int:
        """How many slots are taken."""
        return self._in_use

    def take(self, *, urgent: bool) -> Slot | None:
        """A slot, if one is free and nobody waits for it."""
        queue, limit = self._lane(urgent)
        if queue or self._in_use >= limit:
            return None
        self._in_use += 1
        return Slot(self)

    async def wait(self, *, urgent: bool) -> Slot:
        """Wait for a slot in one's lane."""
        slot = self.take(urgent=urgent)
        if slot is None:
            await self._wait(self._lane(urgent)[0])
            slot = Slot(self)
        return slot

    def leave(self) -> None:
        """A slot is free again; whoever is next gets it."""
        self._in_use -= 1
        for urgent in (True, False):
            queue, limit = self._lane(urgent)
            while queue and self._in_use < limit:
                waiting = queue.popleft()
                if not waiting.done():
                    self._in_use += 1
                    waiting.set_result(None)

    def _lane(self, urgent: bool) -> tuple[deque[asyncio.Future[None]], int]:
        return (self._urgent, self._limit + self._reserved) if urgent else (self._others, self._limit)

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.cancelled():
                # Still in the queue, unless `leave` has passed over it.
                if waiting in queue:
                    queue.remove(waiting)
            else:
                # The slot was handed over in the very moment in which this task was cancelled.
                self.leave()
            raise


class Limits(Struct, frozen=True):
    """How much a worker takes on: at once, more for the control lane, and waiting (in each of the two)."""

    at_once: int = 16
    reserved: int = 2
    waiting: int = 64


class Guest(Protocol):
    """Work that is let in."""

    urgent: bool
    counted: bool
    slot: Slot | None
    timer: Timer | None


class Admission:
    """Lets work in, and gives it its slot. What has been answered takes no room, even if it goes on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes = Lanes(limits.at_once, limits.reserved)
        self._inside = {True: 0, False: 0}

    def enter(self, guest: Guest) -> Outcome | None:
        """Let it in, or say why not."""
        inside = self._inside[guest.urgent]
        at_once = self._limits.reserved if guest.urgent else self._limits.at_once
        if inside >= self._limits.waiting + at_once:
            return Outcome(
                CommandErrorCode.BULKHEAD_FULL,
                f"this agent has {inside} commands under way or waiting and takes no more: nothing was done; try again "
                "when some of them are done",
            )
        self._inside[guest.urgent] += 1
        guest.counted = True
        return None

    async def wait(self, guest: Guest) -> Slot:
        """Its slot, as soon as there is one."""
        return await self._lanes.wait(urgent=guest.urgent)

    def free(self, guest: Guest) -> None:
        """It works no more."""
        if guest.slot is not None:
            guest.slot.release()

    def leave(self, guest: Guest) -> None:
        """It has been answered; a second time does nothing."""
        self.free(guest)
        if guest.timer is not None:
            guest.timer.cancel()
            guest.timer = None
        if guest.counted:
            guest.counted = False
            self._inside[guest.urgent] -= 1


@asynccontextmanager
async def turn(turns: Turns, key: str | None) -> AsyncIterator[None]:
    """Wait for one's turn at `key`; None is no key, and waits for nobody."""
    if key is None:
        yield
        return
    place = turns.join(key)
    try:
        if not place.ready.done():
            await place.ready
        yield
    finally:
        place.leave()
