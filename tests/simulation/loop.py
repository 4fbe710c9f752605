"""An event loop whose time is virtual: where a real one would wait, this one moves its clock to the next timer.

Nothing depends on the addresses of objects: sets of futures and tasks are part of asyncio's and our own code, and they
are walked in the order of their hashes. Here a hash is the number of the object's birth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

Result = TypeVar("Result")


class WorldStandsStill(Exception):
    """Nothing is ready, and nothing is to come: whoever waits would wait for ever."""


class _Future(asyncio.Future[Any]):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__(loop=loop)
        self.number = loop.next_number()

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[Any]):
    # asyncio asks for the hash before the task is made in full.
    number: int | None = None

    def __hash__(self) -> int:
        if self.number is None:
            loop = self.get_loop()
            assert isinstance(loop, SimulatedLoop)
            self.number = loop.next_number()
        return self.number


class _Selector:
    """Stands where a real loop asks its system for news of its sockets; there are none, only time."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise WorldStandsStill
        if timeout > 0:
            self._loop.pass_time()
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """One thread, no sockets. `adopt`, if set, is told of each new task, to know whose it is."""

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9  # what is due within it is due
        self._moment = 0.0
        self._births = 0
        self.turns = 0
        """How many tasks and futures were made, and how often the loop went round: part of a run's digest."""
        self.adopt: Callable[[asyncio.Task[Any], Context | None], None] | None = None
        self.set_task_factory(self._new_task)  # type: ignore[arg-type]  # a factory may take a context

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._moment

    def pass_time(self) -> None:
        """Move to the next timer."""
        self.turns += 1
        self._moment = max(self._moment, self._scheduled[0].when())

    def next_number(self) -> int:
        """A number for who is born now."""
        self._births += 1
        return self._births

    def create_future(self) -> asyncio.Future[Any]:
        """See `AbstractEventLoop.create_future`."""
        return _Future(self)

    def run_in_executor(
        self, executor: object, function: Callable[..., Result], *arguments: object
    ) -> asyncio.Future[Result]:
        """Do it at once: there are no threads here."""
        future = self.create_future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            future.set_exception(error)
        return future

    def _new_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Result],
        context: Context | None = None,
    ) -> asyncio.Task[Result]:
        task = _Task(coroutine, loop=loop, context=context)
        if self.adopt is not None:
            self.adopt(task, context)
        return task

    def _process_events(self, events: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""
