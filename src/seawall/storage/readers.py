"""The threads that read: each transaction sees one unchanging state, and none can write or hold up the writer."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from seawall.engine.store import StoreFailed
from seawall.writer import is_fault_of_a_job

Result = TypeVar("Result")

MAX_WAITING = 1_024


class Readers:
    """A thread for each of some read-only connections, which become its own."""

    def __init__(self, connections: list[sqlite3.Connection], name: str) -> None:
        self._name = name
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(len(connections), "seawall reader")
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._closing = False

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Have a job done on what is written by now. Raises what the job raises, or StoreFailed."""
        async with self._room:
            if self._closing:
                raise StoreFailed(
                    f"{self._name} is closed, because the controller stops; ask again when it is back"
                )
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._perform, work)

    async def close(self) -> None:
        """Finish what was asked for, then end the connections and the threads."""
        self._closing = True
        await asyncio.get_running_loop().run_in_executor(None, self._end)

    def _perform(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._idle.get()
        try:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if is_fault_of_a_job(error):
                raise
            raise StoreFailed(
                f"{self._name} can't be read: {error}; look at the disk and at the file's permissions"
            ) from error
        finally:
            self._idle.put(connection)

    def _end(self) -> None:
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
