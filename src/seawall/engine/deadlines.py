"""Many deadlines on one timer: a heap, because a timer of the event loop costs ten times as much as a push."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from msgspec import Struct

from seawall.clock import Clock, Timer

_COMPACT_AT = 64


class Deadline(Struct, order=True):
    """A call that comes unless it is dropped before. Ordered by time, then by age."""

    when: float
    number: int
    callback: Callable[[], object] | None


class Deadlines:
    """Calls back at monotonic times. Dropped entries are swept out when they are the greater part."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Deadline] = []
        self._added = 0
        self._dropped = 0
        self._timer: Timer | None = None
        self._timer_at = float("inf")
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._heap) - self._dropped

    def add(
        self, when: float, callback: Callable[[], object], loop: asyncio.AbstractEventLoop | None = None
    ) -> Deadline:
        """Call back at `when`, unless dropped. Who knows the running loop hands it over: asking for it costs most."""
        self._added += 1
        deadline = Deadline(when, self._added, callback)
        heappush(self._heap, deadline)
        if loop is None:
            loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # The timer of a loop that is gone would never fire.
            self._loop, self._timer, self._timer_at = loop, None, float("inf")
        if when < self._timer_at:
            self._arm(self._heap[0].when)
        return deadline

    def drop(self, deadline: Deadline) -> None:
        """Make sure that it isn't called; harmless after it was."""
        if deadline.callback is None:
            return
        deadline.callback = None
        if deadline is self._heap[-1]:
            # The last place of a heap may go without further ado, and it is the usual one: the latest deadline's.
            self._heap.pop()
            return
        self._dropped += 1
        if self._dropped > _COMPACT_AT and self._dropped * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry.callback is not None]
            heapify(self._heap)
            self._dropped = 0

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        now, heap = self._clock.now(), self._heap
        while heap and (heap[0].callback is None or heap[0].when <= now):
            callback, heap[0].callback = heap[0].callback, None
            heappop(heap)
            if callback is None:
                self._dropped -= 1
            else:
                callback()
                heap = self._heap
        if heap:
            self._arm(heap[0].when)
