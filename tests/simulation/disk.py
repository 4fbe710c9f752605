"""Disks: SQLite databases that belong to the world, and the group commit through which a program writes them.

What a program has written is lost if it dies before the flush, kept if it dies after it, also where nobody was told.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from seawall.writer import is_fault_of_a_job
from tests.simulation.node import Node

Result = TypeVar("Result")
_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]

_QUICKEST_FLUSH_SECONDS, _SLOWEST_FLUSH_SECONDS = 0.000_5, 0.005
_ANSWER_SECONDS = 0.000_2


class Disk:
    """One database, which outlives the programs that use it.

    `watch` is run on each new connection (it makes temporary triggers), and `on_commit` called after each commit: that
    is how a witness learns what is durable. `slowness` multiplies the time of a flush. With `honest=False` a flush only
    says that it has flushed: `lose_power` then brings back what had been on the platter by itself.
    """

    def __init__(
        self, image: bytes, watch: str = "", on_commit: Callable[[sqlite3.Connection], object] | None = None
    ) -> None:
        self._watch = watch
        self.on_commit = on_commit
        self.connection = self._open(image)
        self.slowness = 1.0
        self.full = False
        self.honest = True
        self.fails_next: Callable[[], object] | None = None
        """If set, the next commit reports an I/O error, and this is called then: the program is about to end."""
        self._platter = image

    def image(self) -> bytes:
        """All of it, as it is now: for a backup."""
        return self.connection.serialize()

    def restore(self, image: bytes) -> None:
        """Put another state in its place; no program may be using it."""
        self.connection.close()
        self.connection = self._open(image)
        self._platter = image

    def commit(self, connection: sqlite3.Connection) -> None:
        """End a transaction."""
        connection.execute("COMMIT")
        if self.on_commit is not None:
            self.on_commit(connection)

    def settle(self) -> None:
        """Whatever was written is on the platter by now, flushed or not."""
        self._platter = self.image()

    def lose_power(self) -> None:
        """What a flush has promised is kept."""
        if not self.honest:
            self.restore(self._platter)

    def close(self) -> None:
        """Free the memory."""
        self.connection.close()

    def _open(self, image: bytes) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
        if image:
            connection.deserialize(image)
        connection.execute("PRAGMA foreign_keys = ON")
        if self._watch:
            connection.executescript(self._watch)
        return connection


class DiskHandle:
    """A program's way to its disk. After its death nothing that it asks for is done, or answered."""

    def __init__(self, disk: Disk, node: Node, failure: type[Exception]) -> None:
        self._disk = disk
        self._node = node
        self._failure = failure
        self._waiting: list[_Job] = []
        self._flushing = False
        self._failed = False
        node.on_death.append(self._waiting.clear)

    @property
    def failed(self) -> bool:
        """Whether nothing is written any more."""
        return self._failed

    async def write(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """See `seawall.writer.Writer.run`."""
        answer: asyncio.Future[Any] = self._node.loop.create_future()
        if self._failed:
            raise self._failure("this disk has failed")
        if self._node.alive:
            self._waiting.append((job, answer))
            self._flush_soon()
        result: Result = await answer
        return result

    async def read(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do a job that changes nothing on what is committed by now."""
        if not self._node.alive:
            await self._node.loop.create_future()
        await asyncio.sleep(0)
        return job(self._disk.connection)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            spread = _QUICKEST_FLUSH_SECONDS + self._node.clock.dice() * _SLOWEST_FLUSH_SECONDS
            self._node.call_later(spread * self._disk.slowness, self._flush)

    def _flush(self) -> None:
        # What is asked for while this batch is flushed makes the next.
        batch, self._waiting[:] = list(self._waiting), []
        breaks, self._disk.fails_next = self._disk.fails_next, None
        connection = self._disk.connection
        connection.execute("BEGIN")
        answers = [_perform(job, connection) for job, _ in batch]
        # An error of the flush says nothing about what has reached the disk.
        lost = breaks is not None and self._node.clock.dice() < 0.5
        if lost:
            connection.execute("ROLLBACK")
        else:
            self._disk.commit(connection)
        if breaks is not None:
            self._failed = True
            answers = [self._failure("the disk said: input/output error")] * len(batch)
            self._node.loop.call_soon(breaks)
        self._node.call_later(_ANSWER_SECONDS, lambda: self._answer(batch, answers))

    def _answer(self, batch: list[_Job], answers: list[object]) -> None:
        for (_, waiter), answer in zip(batch, answers, strict=True):
            if waiter.done():
                continue
            if isinstance(answer, Exception):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)
        self._flushing = False
        if self._waiting:
            self._flush_soon()


def _perform(job: Callable[[sqlite3.Connection], object], connection: sqlite3.Connection) -> object:
    """In full or not at all; the error is the answer."""
    connection.execute("SAVEPOINT job")
    try:
        answer = job(connection)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and not is_fault_of_a_job(error):
            raise
        connection.execute("ROLLBACK TO job")
        answer = error
    connection.execute("RELEASE job")
    return answer


def image_of(script: str) -> bytes:
    """A database in which this script has run."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.serialize()
