"""The bulkhead of one agent: how many attempts may be under way at once, and how many may wait.

Three lanes share it. CONTROL (ping, inspect, stop, kill, cancel) has slots beyond the limit, so that what is to end the
trouble gets through when everything else is full. BULK (pull, update, build) takes few slots at once, for it holds them
long. Each lane has a queue of its own, in order of arrival; a free slot goes to the most urgent lane that may take it.
"""

from __future__ import annotations

from math import ceil
from typing import Generic, TypeVar

from msgspec import Struct

from seawall.core.command import Lane, Outcome
from seawall.core.errors import CommandErrorCode
from seawall.core.limit import LearntLimit

Waiter = TypeVar("Waiter")


class BulkheadLimits(Struct, frozen=True):
    """`in_flight` attempts run at once; `queue` more may wait in each lane. Both bound what one sick host can hold.

    `reserved` slots beyond these are for CONTROL alone. BULK takes at most `bulk` of them, and leaves one to DEFAULT
    wherever there are two (0: as many as there are). With a `largest` the limit is learnt: it starts at `in_flight`,
    stays within `smallest` and `largest`, and the queues grow and shrink with it.
    """

    in_flight: int = 8
    queue: int = 16
    reserved: int = 0
    bulk: int = 0
    smallest: int = 1
    largest: int = 0


def host_limits(in_flight: int = 8, queue: int = 16) -> BulkheadLimits:
    """Those of a host: learnt, with lanes."""
    return BulkheadLimits(in_flight, queue, reserved=2, bulk=2, smallest=1, largest=max(32, in_flight))


PLANE_LIMITS = BulkheadLimits(in_flight=2_048, queue=8_192, reserved=256, bulk=1_024)
"""Those of all agents together: they bound memory, and what is sent at once when many agents return."""

_CONTROL, _DEFAULT, _BULK = Lane.CONTROL, Lane.DEFAULT, Lane.BULK  # the hot path's: a member costs a look-up
_MOST_URGENT_FIRST = (_CONTROL, _DEFAULT, _BULK)
_FIRST_GUESS_SECONDS = 1.0
_WEIGHT_OF_THE_LATEST = 0.2
_SHORTEST_RETRY_AFTER_SECONDS, _LONGEST_RETRY_AFTER_SECONDS = 0.1, 60.0


class Queue(Struct, Generic[Waiter], eq=False):
    """Who waits in a lane, and what an attempt of that lane takes."""

    waiting: list[Waiter]
    seconds: float = _FIRST_GUESS_SECONDS


class Bulkhead(Struct, Generic[Waiter], eq=False):
    """Slots, and bounded queues. See the module's text.

    A waiter is whatever the caller wakes it by. When `leave` says that somebody waits, `admit` until there is None.
    """

    limits: BulkheadLimits
    limit: int
    in_flight: int = 0
    in_bulk: int = 0
    _queues: dict[Lane, Queue[Waiter]] | None = None
    _learnt: LearntLimit | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return sum(len(queue.waiting) for queue in self._queues.values()) if self._queues else 0

    @property
    def queue_limit(self) -> int:
        """How many may wait in each lane."""
        return self.limits.queue * self.limit // self.limits.in_flight

    def enter(self, lane: Lane = Lane.DEFAULT) -> bool:
        """Take a slot; False if there is none for this lane, or others of it have waited longer."""
        if self._queues is None and lane is _DEFAULT:  # nearly always; the rest costs three calls more
            if self.in_flight >= self.limit:
                return False
            self.in_flight += 1
            return True
        if (self._queues is not None and lane in self._queues) or not self._free(lane):
            return False
        self._take(lane)
        return True

    def queue(self, waiter: Waiter, lane: Lane = Lane.DEFAULT) -> bool:
        """Wait for a slot; False if the lane's queue is full."""
        queues = self._queues if self._queues is not None else {}
        queue = queues.get(lane)
        if (len(queue.waiting) if queue is not None else 0) >= self.queue_limit:
            return False
        if queue is None:
            queue = queues[lane] = Queue([])
            self._queues = queues
        queue.waiting.append(waiter)
        return True

    def leave(self, lane: Lane = Lane.DEFAULT) -> bool:
        """Give a slot back; whether anybody waits, who is to be admitted then."""
        self.in_flight -= 1
        if lane is _BULK:
            self.in_bulk -= 1
        return self._queues is not None

    def took(self, lane: Lane, seconds: float) -> None:
        """How long an attempt of this lane held its slot."""
        queue = self._queues.get(lane) if self._queues is not None else None
        if queue is not None:
            queue.seconds += _WEIGHT_OF_THE_LATEST * (seconds - queue.seconds)

    def admit(self) -> tuple[Waiter, Lane] | None:
        """Give a free slot to who is to have it. They hold it from now on; None if there is none, or nobody waits."""
        queues = self._queues
        for lane in _MOST_URGENT_FIRST if queues is not None else ():
            queue = queues.get(lane) if queues is not None else None
            if queue is not None and self._free(lane):
                waiter = queue.waiting.pop(0)
                self._drop_if_empty(lane, queue)
                self._take(lane)
                return waiter, lane
        return None

    def abandon(self, waiter: Waiter, lane: Lane = Lane.DEFAULT) -> bool:
        """Stop waiting; False if the waiter doesn't wait (any more): then it holds a slot and must `leave` instead."""
        queue = self._queues.get(lane) if self._queues is not None else None
        if queue is None or waiter not in queue.waiting:
            return False
        queue.waiting.remove(waiter)
        self._drop_if_empty(lane, queue)
        return True

    def learn(self, outcome: Outcome, now: float) -> None:
        """An attempt that still holds its slot has ended like this."""
        limits = self.limits
        timed_out = outcome.code is CommandErrorCode.TIMEOUT
        if not limits.largest or not (timed_out or (outcome.code is None and self.in_flight >= self.limit)):
            return
        if self._learnt is None:
            self._learnt = LearntLimit(float(self.limit), limits.smallest, limits.largest)
        self.limit = self._learnt.timed_out(now) if timed_out else self._learnt.succeeded(now)

    def retry_after_seconds(self, lane: Lane = Lane.DEFAULT) -> float:
        """When who is turned away may find a slot: after all who wait, by what the attempts of the lane take."""
        queue = self._queues.get(lane) if self._queues is not None else None
        ahead = len(queue.waiting) if queue is not None else 0
        seconds = queue.seconds if queue is not None else _FIRST_GUESS_SECONDS
        rounds = ceil((ahead + 1) / self._slots(lane))
        return min(max(rounds * seconds, _SHORTEST_RETRY_AFTER_SECONDS), _LONGEST_RETRY_AFTER_SECONDS)

    def clean(self, now: float) -> bool:
        """Whether dropping it loses nothing: nothing is under way, nobody waits, nothing fresh was learnt."""
        return (
            self.in_flight == 0 and self._queues is None and (self._learnt is None or self._learnt.stale(now))
        )

    def _slots(self, lane: Lane) -> int:
        if lane is _CONTROL:
            return self.limit + self.limits.reserved
        if lane is _BULK and self.limits.bulk:
            return max(1, min(self.limits.bulk, self.limit - 1))
        return self.limit

    def _free(self, lane: Lane) -> bool:
        if lane is _CONTROL:
            return self.in_flight < self.limit + self.limits.reserved
        return self.in_flight < self.limit and (lane is not _BULK or self.in_bulk < self._slots(lane))

    def _take(self, lane: Lane) -> None:
        self.in_flight += 1
        if lane is _BULK:
            self.in_bulk += 1

    def _drop_if_empty(self, lane: Lane, queue: Queue[Waiter]) -> None:
        if self._queues is not None and not queue.waiting:
            del self._queues[lane]
            if not self._queues:
                self._queues = None


def new_bulkhead(limits: BulkheadLimits) -> Bulkhead[Waiter]:
    """An idle one."""
    return Bulkhead(limits, limits.in_flight)
