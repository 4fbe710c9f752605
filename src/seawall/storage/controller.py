"""Who this controller is, in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, insert, select, update

from seawall.engine.audit import CONTROLLER, Action, Entry
from seawall.storage.audit import Began, begin_chain
from seawall.storage.entries import AUTOMATIC, Start
from seawall.storage.schema import commands, controller
from seawall.storage.statements import Connection, Statement

_IDENTITY = Statement(select(controller.c.id, controller.c.term))
_FIRST_TERM = Statement(insert(controller), ["row", "id", "term"])
_NEXT_TERM = Statement(update(controller), ["term"])
_COMMANDS = Statement(select(func.max(commands.c.sequence)))
_SAME_ROW = Statement(update(controller), ["row"])


def begin_term(connection: Connection, new_id: str, now: datetime) -> tuple[str, int]:
    """This controller's id, `new_id` if it has none yet, and the term of this start. The audit log has them.

    The term is more than the last one, and at least the time of day in seconds since 1970: a controller that was
    restored from a backup begins a newer term than any that its agents have seen.
    """
    row, seconds = connection.execute(_IDENTITY, {}).fetchone(), int(now.timestamp())
    if row is None:
        controller_id, term = new_id, seconds
        connection.execute(_FIRST_TERM, {"row": 1, "id": new_id, "term": term})
    else:
        controller_id, term = str(row[0]), max(int(str(row[1])) + 1, seconds)
        connection.execute(_NEXT_TERM, {"term": term})
    earlier = connection.execute(_COMMANDS, {}).fetchall()[0][0] or 0
    begin_chain(connection, now, Began(controller_id, int(str(earlier))))
    started = Entry(now, CONTROLLER, Action.CONTROLLER_STARTED, AUTOMATIC, Start(term))
    connection.note(started)
    return controller_id, term


def read_identity(connection: Connection) -> None:
    """Read something that is always there."""
    connection.execute(_IDENTITY, {}).fetchone()


def write_identity(connection: Connection) -> None:
    """Write something that changes nothing."""
    connection.execute(_SAME_ROW, {"row": 1})
