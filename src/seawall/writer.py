"""The one thread that writes an SQLite file: it gathers jobs into transactions, so that many share one flush.

The controller's store and the agent's ledger both stand on it.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar, cast

Result = TypeVar("Result")
Failure = TypeVar("Failure", bound=Exception)

LOG_BYTES = 4 * 1024 * 1024
"""The log goes into the tables when it has grown beyond this (about a thousand pages), and is cut back to it."""

MAX_BATCH = 256
MAX_WAITING = 4_096

# What a job alone can be blamed for. After any other error nothing that the database says can be relied on.
_FAULTS_OF_A_JOB = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


def write_ahead(connection: sqlite3.Connection) -> None:
    """Have what this connection writes flushed into a log at each commit; whoever writes has to `checkpoint`."""
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")


def begin(connection: sqlite3.Connection) -> None:
    """Start a transaction that writes."""
    connection.execute("BEGIN IMMEDIATE")


def commit(connection: sqlite3.Connection) -> None:
    """End a transaction; it is on the disk when this returns."""
    connection.execute("COMMIT")


def checkpoint(log: Path, connection: sqlite3.Connection) -> None:
    """Keep the log short: readers search all of it. SQLite's own way would keep a failure to itself."""
    if log.stat().st_size > LOG_BYTES:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


class _Job(Generic[Result]):
    """Work that waits for its turn, who waits for it, and how it ended."""

    __slots__ = ("error", "result", "waiter", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Result], waiter: asyncio.Future[Result]) -> None:
        self.work = work
        self.waiter = waiter
        self.result: Result | None = None
        self.error: Exception | None = None

    def perform(self, connection: sqlite3.Connection) -> None:
        """Run in full or not at all, inside the transaction of the batch."""
        connection.execute("SAVEPOINT job")
        try:
            self.result = self.work(connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not is_fault_of_a_job(error):
                raise
            connection.execute("ROLLBACK TO job")
            self.error = error
        connection.execute("RELEASE job")

    def answer(self) -> None:
        """Tell who waits, unless it has gone."""
        if self.waiter.done():
            return
        if self.error is not None:
            self.waiter.set_exception(self.error)
        else:
            self.waiter.set_result(cast("Result", self.result))


_AnyJob = _Job[object]


class Writer(Generic[Failure]):
    """Owns the only connection that writes and checkpoints. Its methods belong to one event loop.

    `begin` starts the transaction of a batch, `commit` ends it, `checkpoint` follows when its waiters have their
    answers; all run in the thread. An error of the last two is the end: a failed flush is never tried again, since the
    second try may succeed without having written. Every later write then raises `failure`, and `on_failure` is called
    with one, on the loop.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        commit: Callable[[sqlite3.Connection], object],
        checkpoint: Callable[[sqlite3.Connection], object],
        on_failure: Callable[[Failure], object] | None = None,
        *,
        failure: type[Failure],
        begin: Callable[[sqlite3.Connection], object] = begin,
    ) -> None:
        self._connection = connection
        self._name = name
        self._begin = begin
        self._commit = commit
        self._checkpoint = checkpoint
        self._on_failure = on_failure
        self._error = failure
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_AnyJob | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._inside = 0
        self._closing = False
        self._failure: str | None = None
        threading.Thread(target=self._work, name="seawall writer", daemon=True).start()

    @property
    def failed(self) -> bool:
        """Whether nothing is written any more."""
        return self._failure is not None

    @property
    def waiting(self) -> int:
        """How many wait for their answers."""
        return self._inside

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Have a job done and made durable, after all jobs that were asked for earlier.

        Waits for room while too many wait already. Raises what the job raises, or `failure`.
        """
        if self._failure is not None:
            raise self._error(self._failure)
        if self._closing:
            raise self._error(
                f"{self._name} is closed, because this process stops; ask again when it is back"
            )
        self._inside += 1
        try:
            await self._room.acquire()
            waiter: asyncio.Future[Result] = self._loop.create_future()
            self._jobs.put(cast("_AnyJob", _Job(work, waiter)))
            return await waiter
        finally:
            self._inside -= 1
            self._end_if_over()

    async def close(self) -> None:
        """Finish what was asked for, then end the connection and the thread."""
        if not self._closing:
            self._closing = True
            self._end_if_over()
        await asyncio.shield(self._ended)

    def _end_if_over(self) -> None:
        if self._closing and not self._inside:
            self._jobs.put(None)

    def _answer(self, batch: Sequence[_AnyJob]) -> None:
        for job in batch:
            self._room.release()
            job.answer()

    # In the thread

    def _work(self) -> None:
        more = True
        while more:
            batch, more = self._gather()
            if batch:
                self._perform(batch)
                self._call(self._answer, batch)
                self._tidy()
        self._connection.close()
        self._call(self._ended.set_result, None)

    def _gather(self) -> tuple[list[_AnyJob], bool]:
        """The next batch, and whether another may follow.

        It doesn't wait for more to come: while one batch is flushed, the next one gathers by itself.
        """
        batch: list[_AnyJob] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH or self._jobs.empty():
                return batch, True
            job = self._jobs.get()
        return batch, False

    def _perform(self, batch: Sequence[_AnyJob]) -> None:
        problem = self._failure
        if problem is None:
            try:
                self._begin(self._connection)
                for job in batch:
                    job.perform(self._connection)
                self._commit(self._connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
                problem = self._after(error)
        if problem is not None:
            for job in batch:
                job.error = self._error(problem)

    def _tidy(self) -> None:
        if self._failure is None:
            try:
                self._checkpoint(self._connection)
            except Exception as error:  # noqa: BLE001 - the next write has to hear of it
                self._after(error)

    def _after(self, error: Exception) -> str:
        """What the waiters hear. Unless another program was merely in the way, nothing is written any more."""
        if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY:
            problem = f"{self._name} is locked by another program; end that one, then try again"
        else:
            self._failure = problem = (
                f"{self._name} can't be written: {error}; nothing more is accepted. What was answered before is kept. "
                "Look at the disk and the space on it, then start this program again"
            )
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            self._failure = self._failure or f"{self._name} can't be written: {second}"
        if self._failure is not None and self._on_failure is not None:
            failed = self._error(self._failure)
            failed.__cause__ = error
            self._call(self._on_failure, failed)
        return problem

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have something called on the loop; one that is closed has nobody left who waits."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self._loop.is_closed():
                raise


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's own code for an error, without its details; None if it comes from Python's side."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_fault_of_a_job(error: sqlite3.Error) -> bool:
    """Whether the statement is to blame, and the database is as good as before."""
    code = primary_code(error)
    return code is None or code in _FAULTS_OF_A_JOB
