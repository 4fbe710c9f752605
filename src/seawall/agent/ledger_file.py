"""The file under the ledger: opened whole and private, or not at all; a failed flush is the end."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from seawall.files import make_private
from seawall.writer import write_ahead

LEDGER_FILE: Final = "ledger.db"
FORMAT: Final = 1
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
        make_private(path)  # the log that SQLite puts beside it gets the same mode
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
        write_ahead(connection)
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
