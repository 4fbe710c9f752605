"""The past in the database: narrow rows of commands, page by page, and transitions of circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple

from sqlalchemy import Select, bindparam, func, literal_column, or_, select

from seawall.engine.history import PastCommand, PastFailure
from seawall.engine.records import TransitionRecord
from seawall.storage.circuits import TransitionRow, to_transition
from seawall.storage.schema import attempts, circuit_transitions, commands
from seawall.storage.statements import (
    Connection,
    Database,
    Statement,
    columns,
    newest,
    to_microseconds,
)

_SECOND = 1e6


class _CommandRow(NamedTuple):
    sequence: int
    command_id: str
    agent_id: str
    agent: str
    operation: str
    state: str
    accepted_at: int
    error_code: str | None
    total_attempts: int
    duration_seconds: float
    finished_at: int | None


class _FailureRow(NamedTuple):
    command_id: str
    at: int
    error_code: str
    circumstance: str


class HistoryTables(Database):
    """`engine.history.HistoryStore`, but for absences."""

    async def past_commands(
        self, *, agent_id: str | None = None, before: int | None = None, limit: int = 1_000
    ) -> list[PastCommand]:
        """See `HistoryStore.past_commands`."""
        which = _pages(agent_id is not None, before is not None)
        wanted = {"agent": agent_id, "end": before, "most": max(0, limit)}
        return await self.read(partial(_page, which, wanted))

    async def past_transitions(
        self, since: datetime, *, agent_id: str | None = None, limit: int = 1_000
    ) -> list[TransitionRecord]:
        """See `HistoryStore.past_transitions`."""
        which = _transitions(agent_id is not None)
        wanted = {"agent": agent_id, "from": to_microseconds(since), "most": max(0, limit)}
        rows = await self.read(lambda connection: connection.execute(which, wanted).fetchall())
        return [to_transition(row) for row in rows]


def _page(
    which: tuple[Statement, Statement], wanted: Mapping[str, object], connection: Connection
) -> list[PastCommand]:
    commands_of, failures_of = which
    rows = [_CommandRow._make(row) for row in connection.execute(commands_of, wanted).fetchall()]
    failures: dict[str, list[PastFailure]] = {}
    for found in connection.execute(failures_of, wanted).fetchall():
        row = _FailureRow._make(found)
        failure = PastFailure(row.at / _SECOND, row.error_code, row.circumstance)
        failures.setdefault(row.command_id, []).append(failure)
    return [_to_past(row, failures.get(row.command_id, ())) for row in rows]


def _to_past(row: _CommandRow, failures: Sequence[PastFailure]) -> PastCommand:
    code = row.error_code
    if code is not None and all(failure.code != code for failure in failures):
        at = row.accepted_at if row.finished_at is None else row.finished_at
        failures = (*failures, PastFailure(at / _SECOND, code, "none"))
    return PastCommand(
        row.sequence,
        row.agent_id,
        row.agent,
        row.operation,
        row.state,
        row.accepted_at / _SECOND,
        row.duration_seconds,
        failures,
    )


@cache
def _pages(by_agent: bool, before: bool) -> tuple[Statement, Statement]:
    """The statements for a page of commands and for the failed attempts of those."""
    chosen = _chosen(select(commands.c.command_id, *_TROUBLE), by_agent, before).subquery()
    troubled = select(chosen.c.command_id).where(
        or_(chosen.c.error_code.is_not(None), chosen.c.total_attempts > literal_column("1"))
    )
    at = func.coalesce(attempts.c.finished_at, attempts.c.started_at)
    failures = (
        select(attempts.c.command_id, at, attempts.c.error_code, attempts.c.circumstance)
        .where(attempts.c.error_code.is_not(None), attempts.c.command_id.in_(troubled))
        .order_by(attempts.c.command_id, attempts.c.number)
    )
    return Statement(_chosen(select(*columns(commands, _CommandRow)), by_agent, before)), Statement(failures)


_TROUBLE = (commands.c.error_code, commands.c.total_attempts)


def _chosen(
    question: Select[*tuple[object, ...]], by_agent: bool, before: bool
) -> Select[*tuple[object, ...]]:
    if before:
        question = question.where(commands.c.sequence < bindparam("end"))
    return newest(question, commands, by_agent=by_agent)


@cache
def _transitions(by_agent: bool) -> Statement:
    question = select(*columns(circuit_transitions, TransitionRow)).where(
        circuit_transitions.c.at >= bindparam("from")
    )
    return Statement(newest(question, circuit_transitions, by_agent=by_agent))
