"""An agent's ledger in memory, for tests and simulations: the same ledger, without threads and without a disk."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Callable
from typing import TypeVar

from seawall.agent.ledger import Ledger
from seawall.agent.ledger_tables import prepare
from seawall.clock import Clock

Result = TypeVar("Result")


class MemoryDisk:
    """What is on it outlives the agent: open a ledger, crash, and open the next one.

    `broken` makes every write fail with this error; while `open` is not set, writes wait; `free_bytes` is its room.
    """

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.writes = 0
        self.free_bytes = 1 << 40
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._processes = 0
        weakref.finalize(self, self._connection.close)

    def ledger(self, agent_id: str, clock: Clock) -> Ledger:
        """The ledger on this disk. Raises LedgerDamaged if it is another agent's."""
        self.crash()
        contents = prepare(self._connection, "in memory", agent_id, clock.new_id())
        process = self._processes

        async def run(work: Callable[[sqlite3.Connection], Result], /) -> Result:
            await asyncio.sleep(0)
            await self.open.wait()
            if process != self._processes:
                await asyncio.Event().wait()  # the dead write nothing
            return self._write(work)

        return Ledger(run, contents, clock, free_bytes=lambda: self.free_bytes)

    def crash(self) -> None:
        """No write of the ledgers so far comes to an end any more."""
        self._processes += 1

    def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        if self.broken is not None:
            raise self.broken
        self.writes += 1
        self._connection.execute("BEGIN")
        try:
            result = work(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result
