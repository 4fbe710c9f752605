"""The bulkhead of one agent: how many attempts may be under way at once, and how many may wait."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from msgspec import Struct

Waiter = TypeVar("Waiter")


class BulkheadLimits(Struct, frozen=True):
    """`in_flight` attempts run at once; `queue` more may wait. Both bound what one sick host can hold."""

    in_flight: int = 8
    queue: int = 16


class Bulkhead(Struct, Generic[Waiter], eq=False):
    """Slots, and a bounded queue in order of priority, then of arrival.

    A waiter is whatever the caller wakes it by; `leave` hands the slot over, it is never free in between.
    """

    limits: BulkheadLimits
    in_flight: int = 0
    _waiting: list[tuple[int, int, Waiter]] | None = None
    _arrivals: int = 0

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting) if self._waiting else 0

    def enter(self) -> bool:
        """Take a slot; False if none is free."""
        if self.in_flight >= self.limits.in_flight:
            return False
        self.in_flight += 1
        return True

    def queue(self, waiter: Waiter, priority: int = 0) -> bool:
        """Wait for a slot; False if the queue is full."""
        if self.waiting >= self.limits.queue:
            return False
        if self._waiting is None:
            self._waiting = []
        self._arrivals += 1
        heappush(self._waiting, (priority, self._arrivals, waiter))
        return True

    def leave(self) -> Waiter | None:
        """Give a slot back. Whoever is returned now holds it."""
        if self._waiting:
            return heappop(self._waiting)[2]
        self.in_flight -= 1
        return None

    def abandon(self, waiter: Waiter) -> bool:
        """Stop waiting; False if the waiter holds a slot already and must `leave` instead."""
        for place, (_, _, waiting) in enumerate(self._waiting or ()):
            if waiting is waiter and self._waiting:
                del self._waiting[place]
                heapify(self._waiting)
                return True
        return False
