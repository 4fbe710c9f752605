"""Decisions of remediation, and the switch that stops it, in the database."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, delete, insert, literal_column, or_, select, update

from seawall.engine.audit import CONTROLLER, Action, Caller, Detail, Entry, Reason
from seawall.engine.records import DecisionRecord
from seawall.engine.remediation_records import RemediationRecord, StopRecord
from seawall.storage.alert_schema import (
    alerts,
    remediation_is_unjudged,
    remediation_stop,
    remediations,
)
from seawall.storage.command_rows import DecisionRow, decision_row
from seawall.storage.schema import decisions
from seawall.storage.statements import (
    Connection,
    Database,
    Row,
    Statement,
    columns,
    newest,
    to_json,
    to_microseconds,
    to_moment,
    to_optional_microseconds,
    to_optional_moment,
)

REMEDIATION = "remediation"
"""The subject of what concerns all of it, and the kind of a command's decision to be there."""


class Decided(Detail, frozen=True, gc=False):
    """What was decided by which rule, and why; `number` counts the tries."""

    rule: str
    host: str
    decision: str
    reason: str
    operation: str
    number: int


class Judged(Detail, frozen=True, gc=False):
    """Whether it helped, and why that is thought."""

    rule: str
    host: str
    command: str
    state: str
    helped: bool
    reason: str


class _RemediationRow(NamedTuple):
    remediation_id: str
    at: int
    decision: str
    reason: str
    rule: str
    number: int
    alert_id: str
    alert: str
    agent_id: str
    host: str
    operation: str
    arguments: str
    refusal: str
    timeout_seconds: float | None
    judge_by: int | None
    command_id: str
    state: str
    helped: bool | None
    outcome: str
    judged_at: int | None


_remediations = select(*columns(remediations, _RemediationRow))
_this = remediations.c.remediation_id == bindparam("id")
_of_open_alert = remediations.c.alert_id.in_(select(alerts.c.alert_id).where(alerts.c.resolved_at.is_(None)))

_ADD = Statement(insert(remediations), _RemediationRow._fields)
_NOTE = Statement(
    update(remediations).where(_this, remediations.c.command_id == literal_column("''")), ["command_id"]
)
_ADD_DECISION = Statement(insert(decisions), DecisionRow._fields)
_JUDGE = Statement(update(remediations).where(_this), ["state", "helped", "outcome", "judged_at"])
_NEWEST = Statement(newest(_remediations, remediations))
_RECENT = Statement(
    newest(
        _remediations.where(
            or_(remediations.c.at >= bindparam("since"), remediation_is_unjudged, _of_open_alert)
        ),
        remediations,
    )
)
FORGET_REMEDIATIONS = Statement(
    delete(remediations).where(and_(remediations.c.at < bindparam("before"), ~_of_open_alert))
)
_STOP = Statement(insert(remediation_stop), ["row", "reason", "by", "at"])
_RESUME = Statement(delete(remediation_stop))
_STOPPED = Statement(select(remediation_stop.c.reason, remediation_stop.c.by, remediation_stop.c.at))


class RemediationTables(Database):
    """`engine.remediation_records.RemediationStore`."""

    async def add_remediation(self, record: RemediationRecord) -> None:
        """See `RemediationStore.add_remediation`."""
        row = _row(record)._asdict()
        detail = Decided(
            record.rule, record.host, record.decision, record.reason, record.operation, record.number
        )
        entry = Entry(record.at, record.caller, Action.REMEDIATION_DECIDED, record.alert_id, detail)

        def job(connection: Connection) -> None:
            connection.execute(_ADD, row)
            connection.note(entry)

        await self.write(job)

    async def note_remedy(self, record: RemediationRecord, command_id: str, now: datetime) -> None:
        """See `RemediationStore.note_remedy`."""
        content: dict[str, object] = {
            "rule": record.rule,
            "number": record.number,
            "alert": record.alert_id,
            "reason": record.reason,
        }
        why = decision_row(command_id, DecisionRecord(now, REMEDIATION, content))

        def job(connection: Connection) -> None:
            found = {"id": record.remediation_id, "command_id": command_id}
            if connection.execute(_NOTE, found).rowcount == 1:
                connection.execute(_ADD_DECISION, why)

        await self.write(job)

    async def judge_remediation(self, record: RemediationRecord) -> None:
        """See `RemediationStore.judge_remediation`."""
        judged_at = record.judged_at or record.at
        row = {
            "id": record.remediation_id,
            "state": record.state,
            "helped": record.helped,
            "outcome": record.outcome,
            "judged_at": to_microseconds(judged_at),
        }
        detail = Judged(
            record.rule,
            record.host,
            record.command_id,
            record.state,
            bool(record.helped),
            record.outcome,
        )
        entry = Entry(judged_at, record.caller, Action.REMEDIATION_JUDGED, record.alert_id, detail)

        def job(connection: Connection) -> None:
            connection.execute(_JUDGE, row)
            connection.note(entry)

        await self.write(job)

    async def remediations(self, *, limit: int = 100) -> list[RemediationRecord]:
        """See `RemediationStore.remediations`."""
        wanted = {"most": max(0, limit)}
        rows = await self.read(lambda connection: connection.execute(_NEWEST, wanted).fetchall())
        return [_to_record(row) for row in rows]

    async def recent_remediations(self, since: datetime, limit: int) -> list[RemediationRecord]:
        """See `RemediationStore.recent_remediations`."""
        wanted = {"since": to_microseconds(since), "most": limit}
        rows = await self.read(lambda connection: connection.execute(_RECENT, wanted).fetchall())
        return [_to_record(row) for row in reversed(rows)]

    async def stop_remediation(self, stop: StopRecord, caller: Caller = CONTROLLER) -> None:
        """See `RemediationStore.stop_remediation`."""
        row = {"row": 1, "reason": stop.reason, "by": stop.by, "at": to_microseconds(stop.at)}

        def job(connection: Connection) -> None:
            connection.execute(_RESUME, {})
            connection.execute(_STOP, row)
            connection.note(
                Entry(stop.at, caller, Action.REMEDIATION_STOPPED, REMEDIATION, Reason(stop.reason))
            )

        await self.write(job)

    async def resume_remediation(self, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `RemediationStore.resume_remediation`."""

        def job(connection: Connection) -> bool:
            if connection.execute(_RESUME, {}).rowcount != 1:
                return False
            connection.note(Entry(now, caller, Action.REMEDIATION_RESUMED, REMEDIATION))
            return True

        return await self.write(job)

    async def remediation_stop(self) -> StopRecord | None:
        """See `RemediationStore.remediation_stop`."""
        row = await self.read(lambda connection: connection.execute(_STOPPED, {}).fetchone())
        return None if row is None else StopRecord(str(row[0]), str(row[1]), to_moment(int(str(row[2]))))


def _row(record: RemediationRecord) -> _RemediationRow:
    fields = msgspec.structs.asdict(record) | {"arguments": to_json(record.arguments)}
    for name in ("at", "judge_by", "judged_at"):
        fields[name] = to_optional_microseconds(fields[name])
    return _RemediationRow(**fields)


def _to_record(found: Row) -> RemediationRecord:
    row = _RemediationRow._make(found)
    return RemediationRecord(
        remediation_id=row.remediation_id,
        at=to_moment(row.at),
        decision=row.decision,
        reason=row.reason,
        rule=row.rule,
        number=row.number,
        alert_id=row.alert_id,
        alert=row.alert,
        agent_id=row.agent_id,
        host=row.host,
        operation=row.operation,
        arguments=msgspec.json.decode(row.arguments, type=dict[str, object]),
        refusal=row.refusal,
        timeout_seconds=row.timeout_seconds,
        judge_by=to_optional_moment(row.judge_by),
        command_id=row.command_id,
        state=row.state,
        helped=None if row.helped is None else bool(row.helped),
        outcome=row.outcome,
        judged_at=to_optional_moment(row.judged_at),
    )
