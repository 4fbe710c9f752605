"""A copy of a database that others may be writing: how it is taken, and what it holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic.script import ScriptDirectory

from seawall.core.command import CommandState
from seawall.engine.audit import Head
from seawall.storage.archive import BackupError, Contents
from seawall.storage.migrate import MIGRATIONS

_PAGES_AT_ONCE = 4096
_OPEN = json.dumps([state.value for state in CommandState if not state.final])


def take_snapshot(source: Path, target: Path) -> None:
    """Copy a database as it is at one instant, whoever writes to it meanwhile. Raises BackupError."""
    try:
        with closing(_connect(source, "mode=ro")) as live, closing(sqlite3.connect(target)) as copy:
            # One transaction for all of it: the copy neither starts anew nor mixes two states when a write comes in
            # between, and no write waits for it.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(copy, pages=_PAGES_AT_ONCE)
    except sqlite3.Error as error:
        raise BackupError(
            f"the database {source} can't be copied to {target.parent}: {error}; see that the one can be read and "
            "that the other has room"
        ) from error


def examine(database: Path, name: str) -> Contents:
    """Check a copy that nobody writes, page by page, and say what it holds. Raises BackupError.

    `name` is what messages call it. Nothing is written beside it.
    """
    with _explained(name), closing(_connect(database, "mode=ro&immutable=1")) as copy:
        # It may come from a stranger: whatever it defines is looked at and never run.
        copy.execute("PRAGMA trusted_schema = OFF")
        faults = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(1)")]
        if faults != ["ok"]:
            raise BackupError(f"{name} is damaged ({faults[0]}); use an earlier backup")
        (schema,) = copy.execute("SELECT version_num FROM alembic_version").fetchone()
        controller_id, term = copy.execute("SELECT id, term FROM controller").fetchone()
        commands, open_commands = copy.execute(
            "SELECT count(*), count(*) FILTER (WHERE state IN (SELECT value FROM json_each(?))) FROM commands",
            (_OPEN,),
        ).fetchone()
        head = _audit_head(copy)
        (agents,) = copy.execute("SELECT count(*) FROM agents WHERE revoked_at IS NULL").fetchone()
    return Contents(str(schema), str(controller_id), int(term), commands, open_commands, agents, head)


def known_schemas() -> frozenset[str]:
    """The versions of the tables that this Seawall can bring to its own."""
    return frozenset(each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _audit_head(copy: sqlite3.Connection) -> str:
    """The last entry of the audit log, if this version of the tables has one."""
    if copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'").fetchone() is None:
        return ""
    last = copy.execute("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    return "" if last is None else str(Head(int(last[0]), bytes(last[1])))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"{name} can't be read: {error}; use an earlier backup") from error
    except (TypeError, ValueError) as error:
        # A row is missing.
        raise BackupError(
            f"{name} isn't a controller's, or no controller ever started with it; name the data directory of one"
        ) from error


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
