"""The audit log straight out of a database file, whoever else uses it: nothing is written, no controller is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from seawall.engine.audit import AuditRecord
from seawall.storage.audit import to_record

_AT_ONCE = 1_000
_COLUMNS = ", ".join(AuditRecord._fields)
_AFTER = f"SELECT {_COLUMNS} FROM audit WHERE position > ? ORDER BY position LIMIT {_AT_ONCE}"  # noqa: S608 - ours


class AuditUnreadable(Exception):
    """There is no audit log to read. The message says where, why, and what to do."""


def read_audit(database: Path) -> Iterator[list[AuditRecord]]:
    """All entries in order, some at a time. Raises AuditUnreadable."""
    if not database.is_file():
        raise AuditUnreadable(
            f"there is no controller's database in {database.parent}; name the data directory of the controller with "
            "--data"
        )
    try:
        with closing(_connect(database)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'").fetchone():
                raise AuditUnreadable(
                    f"{database} has no audit log yet: an earlier Seawall wrote it last; start this one's controller"
                )
            position = 0
            while rows := connection.execute(_AFTER, (position,)).fetchall():
                yield list(map(to_record, rows))
                position = int(rows[-1][0])
    except sqlite3.Error as error:
        raise AuditUnreadable(
            f"the audit log in {database} can't be read: {error}; run this as the user who owns the file"
        ) from error


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    # A forger may have put anything there, texts that are none as well.
    connection.text_factory = lambda content: content.decode("utf-8", "replace")
    return connection
