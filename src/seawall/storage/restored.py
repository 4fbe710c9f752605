"""What a database is told that was restored from a backup: others may know more of its commands than it does itself.

The mark is in the file's header, where it survives the migration that may come before the first start.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy import bindparam, insert, literal_column, select, update

from seawall.core.command import CommandState
from seawall.engine.audit import CONTROLLER, Action, Entry
from seawall.storage.alert_schema import remediation_is_unjudged, remediations
from seawall.storage.entries import AUTOMATIC
from seawall.storage.schema import agents, attempts, commands
from seawall.storage.statements import Connection, Statement, to_microseconds

_MARK = 0x5EA0BACC

_unsent = (
    commands.c.state == literal_column(f"'{CommandState.ACCEPTED.value}'"),
    commands.c.agent_sequence > literal_column("0"),
)
_MAY_HAVE_BEEN_SENT = Statement(
    insert(attempts).from_select(
        ["command_id", "number", "correlation_id", "started_at", "circumstance"],
        select(
            commands.c.command_id,
            literal_column("1"),
            literal_column("'restored'"),
            commands.c.accepted_at,
            literal_column("'none'"),
        ).where(*_unsent),
    )
)
_DISPATCHED = Statement(update(commands).where(*_unsent), ["state"])
_REMEDIES_MAY_HAVE_BEEN_SENT = Statement(
    update(remediations).where(remediation_is_unjudged, remediations.c.command_id == literal_column("''")),
    ["helped", "outcome", "judged_at"],
)
_RESTORED = "it was decided just before a backup, and whether it was done isn't known"
_SKIP_SEQUENCES = Statement(
    update(agents).where(agents.c.last_sequence < bindparam("least")), ["last_sequence"]
)


def mark_restored(database: Path) -> None:
    """Let the next controller that opens this database know where it comes from. Raises OSError."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"PRAGMA application_id = {_MARK}")
    except sqlite3.Error as error:
        raise OSError(f"the database can't be written: {error}") from error


def take_mark(connection: sqlite3.Connection) -> bool:
    """Whether nobody has opened the database since it was restored; the mark goes with the transaction under way."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != _MARK:
        return False
    connection.execute("PRAGMA application_id = 0")
    return True


def begin_again(connection: Connection, now: datetime) -> None:
    """Take nothing for certain that may have happened since the backup, inside the transaction of the first start.

    Every changing command that is open may have been sent, and so may what remediation had just decided. The agents
    have seen sequences that this database hasn't given yet: new ones begin at the time of day (milliseconds since
    1970), above those of every earlier life.
    """
    milliseconds = int(now.timestamp() * 1000)
    connection.note(Entry(now, CONTROLLER, Action.CONTROLLER_RESTORED, AUTOMATIC))
    connection.execute(
        _REMEDIES_MAY_HAVE_BEEN_SENT,
        {"judged_at": to_microseconds(now), "helped": False, "outcome": _RESTORED},
    )
    connection.execute(_MAY_HAVE_BEEN_SENT, {})
    connection.execute(_DISPATCHED, {"state": CommandState.DISPATCHED.value})
    connection.execute(_SKIP_SEQUENCES, {"least": milliseconds, "last_sequence": milliseconds})
