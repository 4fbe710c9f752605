"""What an open page follows, such as a container's log: for as long as its user is signed in, and again after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Watch:
    """Something that is followed. `begin` makes the work, anew each time that it is taken up again."""

    def __init__(self, begin: Callable[[], Coroutine[None, None, None]]) -> None:
        self._begin = begin
        self._task: asyncio.Task[None] | None = asyncio.create_task(begin())

    @property
    def resting(self) -> bool:
        """Whether it was broken off and waits to be taken up again."""
        return self._task is None

    def rest(self) -> None:
        """Break it off for now; what has come to its own end stays as it is."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._task = None

    def go(self) -> None:
        """Take it up again, if it rests."""
        if self._task is None:
            self._task = asyncio.create_task(self._begin())

    def end(self) -> None:
        """Break it off for good."""
        if self._task is not None:
            self._task.cancel()


class Watches:
    """All that one page follows."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    def add(self, begin: Callable[[], Coroutine[None, None, None]]) -> Watch:
        """Follow one thing more."""
        watch = Watch(begin)
        self._watches.add(watch)
        return watch

    def drop(self, watch: Watch) -> None:
        """Follow one thing less."""
        self._watches.discard(watch)
        watch.end()

    def hold(self, *, signed_in: bool) -> None:
        """Go on while the user is signed in, rest while not."""
        for watch in self._watches:
            if signed_in:
                watch.go()
            else:
                watch.rest()

    def end(self) -> None:
        """Follow nothing any more: the page is closed."""
        for watch in self._watches:
            watch.end()
