"""When hosts had no session, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update

from seawall.engine.history import Absence
from seawall.storage.schema import absence_goes_on, absences
from seawall.storage.statements import (
    Connection,
    Database,
    Statement,
    columns,
    newest,
    to_microseconds,
    to_moment,
    to_optional_moment,
)


class _Row(NamedTuple):
    agent_id: str
    began_at: int
    ended_at: int | None


_ADD = Statement(insert(absences), _Row._fields)
_END = Statement(
    update(absences)
    .where(absences.c.agent_id == bindparam("agent"), absence_goes_on)
    .values(ended_at=bindparam("at"))
)


class AbsenceTables(Database):
    """`engine.history.AbsenceStore`."""

    async def add_absences(self, records: Sequence[Absence]) -> None:
        """See `AbsenceStore.add_absences`."""
        rows = [(record.agent_id, to_microseconds(record.begin), None) for record in records]
        await self.write(lambda connection: connection.execute_all(_ADD, rows))

    async def end_absences(self, agent_ids: Sequence[str], at: datetime) -> None:
        """See `AbsenceStore.end_absences`."""
        end = to_microseconds(at)

        def job(connection: Connection) -> None:
            for agent_id in agent_ids:
                connection.execute(_END, {"agent": agent_id, "at": end})

        await self.write(job)

    async def absences(
        self, since: datetime, *, agent_id: str | None = None, limit: int = 1_000
    ) -> list[Absence]:
        """See `AbsenceStore.absences`."""
        which = _since(agent_id is not None)
        wanted = {"agent": agent_id, "from": to_microseconds(since), "most": max(0, limit)}
        rows = await self.read(lambda connection: connection.execute(which, wanted).fetchall())
        return [_to_absence(_Row._make(row)) for row in rows]


def _to_absence(row: _Row) -> Absence:
    return Absence(row.agent_id, to_moment(row.began_at), to_optional_moment(row.ended_at))


@cache
def _since(by_agent: bool) -> Statement:
    question = select(*columns(absences, _Row)).where(
        or_(absence_goes_on, absences.c.ended_at >= bindparam("from"))
    )
    return Statement(newest(question, absences, by_agent=by_agent))
