"""One at a time for each key, in order of arrival: who changes a container waits for whoever came before."""

from __future__ import annotations

import asyncio
from collections import deque


class Place:
    """A place in the queue of one key. It is one's turn when `ready` is done, unless `wake` was called before.

    `leave` it in any case, once.
    """

    __slots__ = ("_key", "_turns", "ready")

    def __init__(self, turns: Turns, key: str) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns = turns
        self._key = key

    def wake(self) -> None:
        """Stop waiting, without the turn."""
        if not self.ready.done():
            self.ready.set_result(None)

    def leave(self) -> None:
        """The turn is over, or isn't waited for any more."""
        self._turns.leave(self._key, self)


class Turns:
    """The queues. A key that nobody wants takes no room."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Place]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def join(self, key: str) -> Place:
        """Queue up."""
        place = Place(self, key)
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque((place,))
            place.ready.set_result(None)
        else:
            queue.append(place)
        return place

    def leave(self, key: str, place: Place) -> None:
        """See `Place.leave`."""
        queue = self._queues[key]
        queue.remove(place)
        if not queue:
            del self._queues[key]
        elif not queue[0].ready.done():
            queue[0].ready.set_result(None)
