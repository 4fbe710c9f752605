"""Who this controller is, in the database."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from seawall.storage.schema import controller
from seawall.storage.statements import Connection, Statement

_IDENTITY = Statement(select(controller.c.id, controller.c.term))
_FIRST_TERM = Statement(insert(controller), ["row", "id", "term"])
_NEXT_TERM = Statement(update(controller), ["term"])
_SAME_ROW = Statement(update(controller), ["row"])


def begin_term(connection: Connection, new_id: str, seconds: int) -> tuple[str, int]:
    """This controller's id, `new_id` if it has none yet, and the term of this start.

    That is more than the last one, and at least the time of day in seconds since 1970: a controller that was restored
    from a backup begins a newer term than any that its agents have seen.
    """
    row = connection.execute(_IDENTITY, {}).fetchone()
    if row is None:
        connection.execute(_FIRST_TERM, {"row": 1, "id": new_id, "term": seconds})
        return new_id, seconds
    controller_id, term = str(row[0]), max(int(str(row[1])) + 1, seconds)
    connection.execute(_NEXT_TERM, {"term": term})
    return controller_id, term


def read_identity(connection: Connection) -> None:
    """Read something that is always there."""
    connection.execute(_IDENTITY, {}).fetchone()


def write_identity(connection: Connection) -> None:
    """Write something that changes nothing."""
    connection.execute(_SAME_ROW, {"row": 1})
