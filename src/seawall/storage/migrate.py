"""Brings a database to the tables of this version: all the way, or not at all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from seawall.engine.store import StoreFailed

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps what it is working on in its module.
_one_at_a_time = threading.Lock()


class NewerDatabase(StoreFailed):
    """A newer Seawall wrote this database; this one would misunderstand it."""


class MigrationFailed(StoreFailed):
    """The tables couldn't be brought to this version; they are as they were."""


def migrate(connect: Callable[[], sqlite3.Connection], name: str, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations that are missing, in one transaction. `name` is what messages call the database.

    `connect` opens a connection that begins no transactions of its own accord (`isolation_level=None`).
    Raises NewerDatabase and MigrationFailed.
    """
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    try:
        with _one_at_a_time, engine.begin() as connection:
            _refuse_newer(connection, ScriptDirectory.from_config(config), name)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise MigrationFailed(
            f"the tables of {name} can't be brought to this version and are as they were: {error.orig}; "
            "if that is no matter of space or permission, restore the file from a backup"
        ) from error
    finally:
        engine.dispose()


def _begin(connection: Connection) -> None:
    # The driver would leave changes of tables outside any transaction; IMMEDIATE keeps a second migration out.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_newer(connection: Connection, script: ScriptDirectory, name: str) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise NewerDatabase(
            f"a newer Seawall wrote {name}: its tables have version {', '.join(sorted(unknown))}, and this Seawall "
            f"knows versions up to {script.get_current_head()}; install the newer Seawall again, or restore a backup "
            "from before the update"
        )
