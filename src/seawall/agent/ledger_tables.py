"""The ledger's tables and every statement about them. Jobs run inside a transaction that is not theirs to end."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from enum import Enum

import msgspec
from msgspec import Struct

from seawall.agent.ledger_file import FORMAT, LedgerDamaged, damaged, unusable


class State(Enum):
    """How far a command has come on this host. What is not in the ledger has not begun."""

    STARTED = "STARTED"
    """The effect may have begun. Durable before it does."""
    VOID = "VOID"
    """So far it provably had no effect; it may be begun (again)."""
    DONE = "DONE"
    """Over for good. Durable before anybody is told."""


class Entry(Struct):
    """What the ledger knows of a command.

    `arguments`, `pre_image` and `outcome` are MessagePack; times are RFC 3339. `step` is the last step of several that
    is known to be done. `outcome` of a VOID entry is why it is void; that of an acknowledged one stays in the file.
    """

    sequence: int
    command_id: str
    operation: str
    arguments: bytes
    state: State
    started_at: str | None = None
    finished_at: str | None = None
    pre_image: bytes | None = None
    step: str | None = None
    outcome: bytes | None = None
    acknowledged: bool = False


class Contents(Struct):
    """All that a ledger held when it was opened; entries in order of their sequence."""

    ledger_id: str
    epoch: int
    term: int
    watermark: int
    entries: list[Entry]


_TABLES = (
    """
    CREATE TABLE ledger (
        row INTEGER PRIMARY KEY CHECK (row = 1),
        ledger_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        term INTEGER NOT NULL,
        watermark INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE entries (
        sequence INTEGER PRIMARY KEY,
        command_id TEXT NOT NULL UNIQUE,
        operation TEXT NOT NULL,
        arguments BLOB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('STARTED', 'VOID', 'DONE')),
        started_at TEXT,
        finished_at TEXT,
        pre_image BLOB,
        step TEXT,
        outcome BLOB,
        acknowledged INTEGER NOT NULL
    ) STRICT
    """,
)
_COLUMNS = (
    "sequence, command_id, operation, arguments, state, started_at, finished_at, pre_image, step, outcome, "
    "acknowledged"
)
_WRITE = f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_READ = f"SELECT {_COLUMNS} FROM entries ORDER BY sequence"  # noqa: S608


def prepare(connection: sqlite3.Connection, name: str, agent_id: str, new_id: str) -> Contents:
    """Read the ledger; an empty database becomes one, with `new_id`. Raises LedgerDamaged, which speaks of `name`."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            contents = _prepare(connection, name, agent_id, new_id)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise unusable(name, error) from error
    return contents


def write(connection: sqlite3.Connection, entry: Entry) -> None:
    """Put a row there as it is in memory, in place of an older one."""
    connection.execute(
        _WRITE,
        (
            entry.sequence,
            entry.command_id,
            entry.operation,
            entry.arguments,
            entry.state.value,
            entry.started_at,
            entry.finished_at,
            entry.pre_image,
            entry.step,
            entry.outcome,
            entry.acknowledged,
        ),
    )


def begin_session(connection: sqlite3.Connection, epoch: int, term: int) -> None:
    """Remember the newest epoch and term."""
    connection.execute("UPDATE ledger SET epoch = ?, term = ?", (epoch, term))


def acknowledge(
    connection: sqlite3.Connection, kept: Sequence[int], forgotten: Sequence[int], watermark: int
) -> None:
    """Mark rows as acknowledged, delete others, and move the watermark."""
    connection.executemany("UPDATE entries SET acknowledged = 1 WHERE sequence = ?", [(one,) for one in kept])
    connection.executemany("DELETE FROM entries WHERE sequence = ?", [(one,) for one in forgotten])
    connection.execute("UPDATE ledger SET watermark = ?", (watermark,))


def outcome_of(connection: sqlite3.Connection, sequence: int) -> bytes | None:
    """The outcome of an entry; None if there is none."""
    row = connection.execute("SELECT outcome FROM entries WHERE sequence = ?", (sequence,)).fetchone()
    return row[0] if row is not None else None


def _prepare(connection: sqlite3.Connection, name: str, agent_id: str, new_id: str) -> Contents:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and tables == 0:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO ledger VALUES (1, ?, ?, 0, 0, 0)", (new_id, agent_id))
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    elif version > FORMAT:
        raise LedgerDamaged(
            f"this agent's ledger {name} was written by a newer version of Seawall (format {version}, this one knows "
            f"up to {FORMAT}): run that version or a newer one on this host"
        )
    elif version < FORMAT:
        raise damaged(name, "it isn't a ledger of Seawall")
    row = connection.execute("SELECT ledger_id, agent_id, epoch, term, watermark FROM ledger").fetchone()
    if row is None:
        raise damaged(name, "its first table is empty")
    ledger_id, owner, epoch, term, watermark = row
    if owner != agent_id:
        raise LedgerDamaged(
            f"the ledger {name} belongs to agent {owner}, and this host is agent {agent_id}: was it copied from "
            f"another host, or has this host joined anew? Move it away together with {name}-wal; the controller "
            "doesn't need it for this agent"
        )
    return Contents(ledger_id, epoch, term, watermark, [_entry(found) for found in connection.execute(_READ)])


def _entry(row: Sequence[object]) -> Entry:
    return msgspec.convert(dict(zip(Entry.__struct_fields__, row, strict=True)), Entry, strict=False)
