"""The controller's store on a simulated disk: the real tables and statements over the world's connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from seawall.engine.audit import Entry
from seawall.engine.store import StoreFailed
from seawall.storage.access import AccessTables
from seawall.storage.alerts import AlertTables
from seawall.storage.audit import AuditTables, append, noted
from seawall.storage.circuits import CircuitTables
from seawall.storage.commands import CommandTables
from seawall.storage.controller import begin_term
from seawall.storage.fleet import FleetTables
from seawall.storage.restored import begin_again
from seawall.storage.schema import metadata
from seawall.storage.statements import Answer, Connection, Result, Row, Statement
from seawall.storage.users import UserTables
from tests.simulation.disk import Disk, DiskHandle, image_of
from tests.simulation.node import Node

_DIALECT, _ROWS = sqlite_dialect(paramstyle="named"), sqlite_dialect(paramstyle="qmark")


@cache
def empty_store() -> bytes:
    """The image of a controller's database without rows."""
    tables = [str(CreateTable(table).compile(dialect=_DIALECT)) for table in metadata.sorted_tables]
    indexes = [
        str(CreateIndex(index).compile(dialect=_DIALECT))
        for table in metadata.sorted_tables
        for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    return image_of(";\n".join([*tables, *indexes]) + ";")


class Transaction:
    """`storage.statements.Connection` over a plain one."""

    __slots__ = ("_raw",)

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, statement: Statement, parameters: Mapping[str, object]) -> Answer:
        """See `Connection.execute`."""
        return self._raw.execute(statement.text(_DIALECT), parameters)

    def execute_all(self, statement: Statement, rows: Sequence[Row]) -> None:
        """See `Connection.execute_all`."""
        self._raw.executemany(statement.text(_ROWS), rows)

    def note(self, *entries: Entry) -> None:
        """See `Connection.note`: at once, as this disk undoes what a job has done that fails."""
        append(self, list(map(noted, entries)))


class SimulatedStore(
    CommandTables, FleetTables, AccessTables, UserTables, CircuitTables, AuditTables, AlertTables
):
    """`engine.store.Store` for one life of a controller."""

    def __init__(self, disk: Disk, node: Node) -> None:
        self._disk = disk
        self._handle = DiskHandle(disk, node, StoreFailed)
        self._identity = ("", 0)

    @staticmethod
    def restored(image: bytes, now: datetime) -> bytes:
        """What the first start after a restore makes of a backup."""
        disk = Disk(image)
        begin_again(Transaction(disk.connection), now)
        image = disk.image()
        disk.close()
        return image

    @classmethod
    async def open(cls, disk: Disk, node: Node, new_id: str) -> SimulatedStore:
        """Begin a new term."""
        store = cls(disk, node)
        now = node.clock.wall()
        store._identity = await store.write(lambda connection: begin_term(connection, new_id, now))
        return store

    async def write(self, job: Callable[[Connection], Result]) -> Result:
        """See `Database.write`."""
        return await self._handle.write(lambda raw: job(Transaction(raw)))

    async def read(self, job: Callable[[Connection], Result]) -> Result:
        """See `Database.read`."""
        return await self._handle.read(lambda raw: job(Transaction(raw)))

    def has_room(self) -> bool:
        """See `Database.has_room`."""
        return not self._disk.full

    async def controller_identity(self) -> tuple[str, int]:
        """See `Store.controller_identity`."""
        return self._identity

    async def check(self) -> None:
        """See `Store.check`."""

    async def close(self) -> None:
        """See `Store.close`."""
