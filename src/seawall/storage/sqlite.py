"""The store on one SQLite file: one connection writes, others read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from seawall.clock import Clock
from seawall.engine.audit import Entry
from seawall.engine.store import StoreFailed, StoreUsage
from seawall.files import Room, free_bytes, make_private
from seawall.storage.absences import AbsenceTables
from seawall.storage.access import AccessTables
from seawall.storage.alerts import AlertTables
from seawall.storage.audit import AuditTables, Noted, append, noted
from seawall.storage.circuits import CircuitTables
from seawall.storage.commands import CommandTables
from seawall.storage.controller import begin_term, read_identity, write_identity
from seawall.storage.fleet import FleetTables
from seawall.storage.history import HistoryTables
from seawall.storage.migrate import migrate
from seawall.storage.readers import Readers
from seawall.storage.remediation import RemediationTables
from seawall.storage.restored import begin_again, take_mark
from seawall.storage.statements import Answer, Connection, Result, Row, Statement
from seawall.storage.users import UserTables
from seawall.writer import Writer, begin, checkpoint, commit, write_ahead

READERS: Final = 2
BUSY_SECONDS: Final = 5.0

# Nothing is accepted that would use it up, so that what was accepted can be concluded.
RESERVE_BYTES: Final = 64 * 1024 * 1024

_DIALECT, _ROWS = sqlite_dialect(paramstyle="named"), sqlite_dialect(paramstyle="qmark")


class SqliteStore(
    CommandTables,
    FleetTables,
    AccessTables,
    UserTables,
    CircuitTables,
    AuditTables,
    AlertTables,
    HistoryTables,
    AbsenceTables,
    RemediationTables,
):
    """`engine.store.Store` on a file. It belongs to the event loop on which it was opened."""

    def __init__(
        self,
        identity: tuple[str, int],
        writer: Writer[StoreFailed],
        chain: _Chain,
        readers: Readers,
        path: Path,
        room: Room,
    ) -> None:
        """Use `open`."""
        self._identity = identity
        self._path = path
        self._room = room
        self._writer = writer
        self._chain = chain
        self._readers = readers

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        on_failure: Callable[[StoreFailed], object] | None = None,
        free_bytes: Callable[[Path], int] = free_bytes,
        commit: Callable[[sqlite3.Connection], object] = commit,
    ) -> SqliteStore:
        """Open the database, or make it (mode 0600), with the tables of this version; a new term begins.

        `on_failure` is called once if a write fails such that nothing is written any more: the process should end
        then. `free_bytes` says how much room a directory's disk has, `commit` ends a transaction. Raises StoreFailed.
        """
        path = await asyncio.to_thread(path.absolute)
        connection, chain = await asyncio.to_thread(_prepare, path), _Chain(commit, clock.now)
        writer = Writer(
            connection,
            str(path),
            chain.commit,
            partial(checkpoint, Path(f"{path}-wal")),
            on_failure,
            failure=StoreFailed,
            begin=chain.begin,
        )
        try:
            restored = partial(take_mark, connection)
            start = partial(_begin, restored, clock.new_id(), clock.wall())
            identity = await writer.run(partial(chain.perform, start))
            readers = Readers(await asyncio.to_thread(_connect_readers, path), str(path))
        except BaseException:
            await writer.close()
            raise
        room = Room(partial(free_bytes, path.parent), RESERVE_BYTES, clock.now)
        return cls(identity, writer, chain, readers, path, room)

    @property
    def failed(self) -> bool:
        """Whether a write has failed such that nothing is written any more."""
        return self._writer.failed

    def usage(self) -> StoreUsage:
        """See `Store.usage`."""
        chain, path = self._chain, self._path
        log = Path(f"{path}-wal")
        return StoreUsage(
            self._writer.waiting,
            chain.writes,
            chain.transactions,
            chain.busy_seconds,
            log.stat().st_size if log.exists() else 0,
            path.stat().st_size,
            self._room.free_bytes(),
        )

    def has_room(self) -> bool:
        """See `Database.has_room`."""
        return self._room.left

    async def write(self, job: Callable[[Connection], Result]) -> Result:
        """See `Database.write`."""
        return await self._writer.run(partial(self._chain.perform, job))

    async def read(self, job: Callable[[Connection], Result]) -> Result:
        """See `Database.read`."""
        return await self._readers.run(lambda raw: job(_Session(raw)))

    async def controller_identity(self) -> tuple[str, int]:
        """See `Store.controller_identity`."""
        return self._identity

    async def check(self) -> None:
        """See `Store.check`."""
        await self.write(write_identity)
        await self.read(read_identity)

    async def close(self) -> None:
        """See `Store.close`."""
        if self.failed:
            # The last connection to go carries the log over into the tables. After a failure none that can may be it.
            await self._writer.close()
            await self._readers.close()
        else:
            await self._readers.close()
            await self._writer.close()


class _Session:
    """`Connection` over the driver's connection."""

    __slots__ = ("_raw", "noted")

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self.noted: list[Noted] = []

    def execute(self, statement: Statement, parameters: Mapping[str, object]) -> Answer:
        """See `Connection.execute`."""
        return self._raw.execute(statement.text(_DIALECT), parameters)

    def execute_all(self, statement: Statement, rows: Sequence[Row]) -> None:
        """See `Connection.execute_all`."""
        self._raw.executemany(statement.text(_ROWS), rows)

    def note(self, *entries: Entry) -> None:
        """See `Connection.note`."""
        self.noted += map(noted, entries)


class _Chain:
    """Gathers what the jobs of a transaction have recorded, and chains it as that ends; in the writing thread."""

    def __init__(self, commit: Callable[[sqlite3.Connection], object], now: Callable[[], float]) -> None:
        self.writes = self.transactions = 0
        self.busy_seconds = 0.0
        self._commit = commit
        self._now = now
        self._began_at = 0.0
        self._noted: list[Noted] = []

    def begin(self, raw: sqlite3.Connection) -> None:
        """Start a transaction. What an earlier one has left, which failed, is void."""
        self._noted.clear()
        self._began_at = self._now()
        begin(raw)

    def perform(self, job: Callable[[Connection], Result], raw: sqlite3.Connection) -> Result:
        """Do a job; what one that fails has recorded is void."""
        session = _Session(raw)
        self.writes += 1
        result = job(session)
        self._noted += session.noted
        return result

    def commit(self, raw: sqlite3.Connection) -> None:
        """End a transaction."""
        if self._noted:
            append(_Session(raw), self._noted)
        self._commit(raw)
        self.transactions += 1
        self.busy_seconds += self._now() - self._began_at


def _begin(
    restored: Callable[[], bool], new_id: str, now: datetime, connection: Connection
) -> tuple[str, int]:
    identity = begin_term(connection, new_id, now)
    if restored():
        begin_again(connection, now)
    return identity


def _prepare(path: Path) -> sqlite3.Connection:
    """A database with the tables of this version, and the connection that is going to write it."""
    try:
        make_private(path)  # the files that SQLite puts beside it get the same mode
    except OSError as error:
        raise StoreFailed(
            f"the database {path} can't be opened: {error.strerror or error}; give this user the right to read and "
            "write it, or choose another data directory"
        ) from error
    try:
        migrate(partial(_connect, path, "rw"), str(path))
        return _connect(path, "rw")
    except sqlite3.Error as error:
        raise StoreFailed(
            f"the database {path} can't be opened: {error}; if no other program holds it, restore it from a backup"
        ) from error


def _connect_readers(path: Path) -> list[sqlite3.Connection]:
    return [_connect(path, "ro") for _ in range(READERS)]


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        if mode != "ro":
            write_ahead(connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection
