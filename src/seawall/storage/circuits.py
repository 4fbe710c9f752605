"""The history of circuits in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal_column, select

from seawall.core.circuit import CircuitState
from seawall.engine.audit import CONTROLLER, Caller
from seawall.engine.records import HoldRecord, TransitionRecord
from seawall.storage.entries import changed, overruled
from seawall.storage.schema import circuit_holds, circuit_transitions
from seawall.storage.statements import (
    Connection,
    Database,
    Row,
    Statement,
    columns,
    newest,
    to_microseconds,
    to_moment,
)


class _HoldRow(NamedTuple):
    agent_id: str
    domain: str
    state: str
    reason: str
    by: str
    at: int


class TransitionRow(NamedTuple):
    """A row of `circuit_transitions`, without its place in the order."""

    at: int
    agent_id: str
    domain: str
    origin: str
    target: str
    reason: str
    by: str


_transitions = select(*columns(circuit_transitions, TransitionRow))
_latest = select(func.max(circuit_transitions.c.sequence)).group_by(
    circuit_transitions.c.agent_id, circuit_transitions.c.domain
)

_ADD_TRANSITION = Statement(insert(circuit_transitions), TransitionRow._fields)
_TRANSITIONS = Statement(newest(_transitions, circuit_transitions))
_TRANSITIONS_OF_AGENT = Statement(newest(_transitions, circuit_transitions, by_agent=True))
_UNCLOSED = Statement(
    _transitions.where(
        circuit_transitions.c.sequence.in_(_latest),
        circuit_transitions.c.target != literal_column("'closed'"),
    )
)
_HOLD = Statement(insert(circuit_holds), _HoldRow._fields)
_RELEASE = Statement(
    delete(circuit_holds).where(
        circuit_holds.c.agent_id == bindparam("agent"), circuit_holds.c.domain == bindparam("of")
    )
)
RELEASE_ALL = Statement(delete(circuit_holds).where(circuit_holds.c.agent_id == bindparam("id")))
"""Of an agent."""
_HOLDS = Statement(
    select(*columns(circuit_holds, _HoldRow)).order_by(
        circuit_holds.c.at, circuit_holds.c.agent_id, circuit_holds.c.domain
    )
)
_ORDERS = {CircuitState.OPEN.value: "open", CircuitState.CLOSED.value: "close"}


class CircuitTables(Database):
    """`engine.store.CircuitStore`."""

    async def add_transitions(self, records: Sequence[TransitionRecord]) -> None:
        """See `CircuitStore.add_transitions`."""
        rows = [
            {
                "at": to_microseconds(record.at),
                "agent_id": record.agent_id,
                "domain": record.domain,
                "origin": record.origin,
                "target": record.target,
                "reason": record.reason,
                "by": record.by,
            }
            for record in records
        ]

        entries = changed(records)

        def job(connection: Connection) -> None:
            for row in rows:
                connection.execute(_ADD_TRANSITION, row)
            connection.note(*entries)

        if rows:
            await self.write(job)

    async def transitions(self, *, agent_id: str | None = None, limit: int = 100) -> list[TransitionRecord]:
        """See `CircuitStore.transitions`."""
        which = _TRANSITIONS if agent_id is None else _TRANSITIONS_OF_AGENT
        wanted = {"agent": agent_id, "most": max(0, limit)}
        rows = await self.read(lambda connection: connection.execute(which, wanted).fetchall())
        return [to_transition(row) for row in rows]

    async def hold_circuit(self, record: HoldRecord, caller: Caller = CONTROLLER) -> None:
        """See `CircuitStore.hold_circuit`."""
        circuit = (record.agent_id, record.domain)
        row = (*circuit, record.state, record.reason, record.by, to_microseconds(record.at))
        entry = overruled(record.at, caller, circuit, _ORDERS[record.state], record.reason)

        def job(connection: Connection) -> None:
            connection.execute(_RELEASE, {"agent": record.agent_id, "of": record.domain})
            connection.execute_all(_HOLD, [row])
            connection.note(entry)

        await self.write(job)

    async def reset_circuit(
        self, agent_id: str, domain: str, reason: str, now: datetime, caller: Caller = CONTROLLER
    ) -> None:
        """See `CircuitStore.reset_circuit`."""
        entry = overruled(now, caller, (agent_id, domain), "reset", reason)

        def job(connection: Connection) -> None:
            connection.execute(_RELEASE, {"agent": agent_id, "of": domain})
            connection.note(entry)

        await self.write(job)

    async def holds(self) -> list[HoldRecord]:
        """See `CircuitStore.holds`."""
        rows = await self.read(lambda connection: connection.execute(_HOLDS, {}).fetchall())
        return [_to_hold(_HoldRow._make(row)) for row in rows]

    async def unclosed_circuits(self) -> list[TransitionRecord]:
        """See `CircuitStore.unclosed_circuits`."""
        rows = await self.read(lambda connection: connection.execute(_UNCLOSED, {}).fetchall())
        return [to_transition(row) for row in rows]


def _to_hold(row: _HoldRow) -> HoldRecord:
    return HoldRecord(row.agent_id, row.domain, row.state, row.reason, row.by, to_moment(row.at))


def to_transition(found: Row) -> TransitionRecord:
    """The record of a row."""
    row = TransitionRow._make(found)
    return TransitionRecord(
        at=to_moment(row.at),
        agent_id=row.agent_id,
        domain=row.domain,
        origin=row.origin,
        target=row.target,
        reason=row.reason,
        by=row.by,
    )
