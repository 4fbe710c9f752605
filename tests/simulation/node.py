"""A node: one life of a program. It can be killed as `kill -9` kills, at any turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

from tests.simulation.clock import SimulatedClock, WallClock
from tests.simulation.loop import SimulatedLoop

_PRUNE_AT = 64
_MOST_ROUNDS = 50

_owner: ContextVar[Node | None] = ContextVar("owner", default=None)


class Node:
    """A program that runs. Tasks that its tasks make, and callbacks that they leave, are its own.

    `on_death` are called before its tasks hear of the end: what a program holds of the world (sockets, disks) is let go
    there, so that nothing that a `finally` does reaches anybody.
    """

    def __init__(
        self,
        loop: SimulatedLoop,
        name: str,
        random: Random,
        wall: WallClock,
        clock: type[SimulatedClock] = SimulatedClock,
    ) -> None:
        self.name = name
        self.alive = True
        self.loop = loop
        self.clock = clock(loop, random, wall, lambda: self.alive)
        self.on_death: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._prune_at = _PRUNE_AT
        self._context = copy_context()
        self._context.run(_owner.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> None:
        """Run a task of this node's that nobody waits for."""
        _ = self.start(work, name)

    def start(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        """Run a task of this node's."""
        return self.loop.create_task(work, name=name, context=self._context.copy())

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back unless the node dies before."""
        self.loop.call_later(seconds, self._call, callback, context=self._context)

    def kill(self) -> None:
        """End it now. Nothing that it still does has an effect on the world."""
        if not self.alive:
            return
        self.alive = False
        for let_go in self.on_death:
            let_go()
        self._reap(_MOST_ROUNDS)

    def _call(self, callback: Callable[[], object]) -> None:
        if self.alive:
            callback()

    def _reap(self, rounds: int) -> None:
        """Cancel what is left, and once more, since a task may take several awaits to unwind."""
        self._tasks = [task for task in self._tasks if not task.done()]
        if not self._tasks:
            return
        if not rounds:
            raise AssertionError(f"{self.name}: these outlive their process: {self._tasks}")
        for task in self._tasks:
            task.cancel("the process was killed")
        self.loop.call_soon(self._reap, rounds - 1)

    def _adopt(self, task: asyncio.Task[Any]) -> None:
        if len(self._tasks) >= self._prune_at:
            self._tasks = [task for task in self._tasks if not task.done()]
            self._prune_at = 2 * len(self._tasks) + _PRUNE_AT
        self._tasks.append(task)
        if not self.alive:
            task.cancel("the process was killed")


def adopt(task: asyncio.Task[Any], context: Context | None) -> None:
    """Give a new task to the node out of which it was made; for `SimulatedLoop.adopt`."""
    node = _owner.get() if context is None else context.get(_owner)
    if node is not None:
        node._adopt(task)
