"""The file under the ledger: opened whole and private, or not at all; a failed flush is the end."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

LEDGER_FILE: Final = "ledger.db"
FORMAT: Final = 1
LOG_BYTES: Final = 4 * 1024 * 1024
"""The log goes into the tables when it has grown beyond this, and is cut back to it."""

RESERVE_BYTES: Final = 16 * 1024 * 1024
"""Nothing begins that would use it up, so that the end of what has begun can be recorded."""

_BUSY_SECONDS: Final = 1.0


class LedgerFailed(Exception):
    """The ledger can't be written any more: this process has to end. What it says is for people."""


class LedgerDamaged(Exception):
    """There is a ledger that can't be used, or none can be made. The message says why, and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """The one connection to the ledger's file, which is made (mode 0600) if there is none.

    No other program can open the file as long as the connection lives. Raises LedgerDamaged.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # The log that SQLite puts beside it gets the same mode.
        path.chmod(0o600)
        _flush_directory(path.parent)
    except OSError as error:
        raise LedgerDamaged(
            f"this agent's ledger {path} can't be opened: {error.strerror or error}; run the agent as the user who "
            "joined this host, or give this user the right to read and write it"
        ) from error
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        # Two agents on one ledger would each take the other's commands for forgotten ones.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise unusable(str(path), error) from error
    if problems != ["ok"]:
        connection.close()
        raise damaged(str(path), problems[0])
    return connection


def set_aside(directory: Path) -> None:
    """Move the ledger of an identity that is given up out of the way, if there is one. Raises LedgerDamaged."""
    ledger = directory / LEDGER_FILE
    try:
        for ending in ("", "-wal"):
            file = Path(f"{ledger}{ending}")
            if file.exists():
                file.replace(directory / f"old-{file.name}")
    except OSError as error:
        raise LedgerDamaged(
            f"the ledger of this host's old identity, {ledger}, can't be moved away: {error.strerror or error}"
        ) from error


def commit(connection: sqlite3.Connection) -> None:
    """End a transaction; it is on the disk when this returns."""
    connection.execute("COMMIT")


def checkpoint(log: Path, connection: sqlite3.Connection) -> None:
    """Keep the log short. SQLite's own way would keep a failure to itself."""
    if log.stat().st_size > LOG_BYTES:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def free_bytes(directory: Path) -> int:
    """How much room the disk of a directory has."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def damaged(name: str, problem: str) -> LedgerDamaged:
    """What an operator is told of a ledger that can't be believed."""
    return LedgerDamaged(
        f"this agent's ledger {name} is damaged: {problem}. It is the record of what was done on this host, so nothing "
        f"is guessed. Restore it if you can; else move it away together with {name}-wal, and the controller will mark "
        "what was under way here as unknown"
    )


def unusable(name: str, error: sqlite3.Error) -> LedgerDamaged:
    """The same for what SQLite says of the file."""
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerDamaged(
            f"this agent's ledger {name} is in use: another agent runs from the same directory; end that one first"
        )
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(name, str(error))
    return LedgerDamaged(
        f"this agent's ledger {name} can't be used: {error}; look at the disk, the space on it and the rights to it"
    )


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
