"""Alerts, their outbox, silences and channels in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from seawall.engine.alert_records import (
    AlertRecord,
    ChannelRecord,
    DeliveryRecord,
    MessageRecord,
    SilenceRecord,
)
from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.storage.alert_schema import (
    alert_channels,
    alert_deliveries,
    alert_messages,
    alert_silences,
    alerts,
    delivery_is_open,
)
from seawall.storage.entries import channel_added, silence_added
from seawall.storage.remediation import FORGET_REMEDIATIONS
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


class _AlertRow(NamedTuple):
    alert_id: str
    key: str
    kind: str
    severity: str
    agent_id: str
    host: str
    text: str
    active: bool
    openings: int
    opened_at: int
    told_at: int | None
    escalated_at: int | None
    resolved_at: int | None
    acknowledged_by: str
    acknowledgement: str


class _MessageRow(NamedTuple):
    message_id: str
    at: int
    said: str
    kind: str
    severity: str
    title: str
    body: str
    alerts: str
    hosts: str


class _DeliveryRow(NamedTuple):
    sequence: int
    channel: str
    attempts: int
    delivered_at: int | None
    given_up_at: int | None
    error: str


class _SilenceRow(NamedTuple):
    silence_id: str
    until: int
    kinds: str
    hosts: str
    reason: str
    created_by: str


class _ChannelRow(NamedTuple):
    name: str
    kind: str
    shown: str
    sealed_url: str
    sealed_secret: str
    created_at: int
    created_by: str


_CHANGES = ("text", "active", "openings", "told_at", "escalated_at", "resolved_at", "acknowledged_by")
_put = insert_or_update(alerts)
_PUT_ALERT = Statement(
    _put.on_conflict_do_update(
        index_elements=[alerts.c.alert_id],
        set_={name: _put.excluded[name] for name in (*_CHANGES, "acknowledgement")},
    ),
    _AlertRow._fields,
)
_alerts = select(*columns(alerts, _AlertRow))
_newest = newest(_alerts, alerts)
_ALERTS = Statement(_newest)
_OPEN_ALERTS = Statement(_newest.where(alerts.c.resolved_at.is_(None)))
_ALERTS_TOLD_SINCE = Statement(_newest.where(alerts.c.told_at >= bindparam("since")))
_ALERT = Statement(_alerts.where(alerts.c.alert_id == bindparam("id")))
_FORGET_ALERTS = Statement(delete(alerts).where(alerts.c.resolved_at < bindparam("before")))

_ADD_MESSAGE = Statement(insert(alert_messages), _MessageRow._fields)
_FORGET_MESSAGES = Statement(delete(alert_messages).where(alert_messages.c.at < bindparam("before")))
_ADD_DELIVERY = Statement(insert(alert_deliveries), ["message_id", "channel", "attempts", "error"])
_deliveries = select(*columns(alert_deliveries, _DeliveryRow), *columns(alert_messages, _MessageRow)).join(
    alert_messages, alert_messages.c.message_id == alert_deliveries.c.message_id
)
_UNDELIVERED = Statement(_deliveries.where(delivery_is_open).order_by(alert_deliveries.c.sequence))
_DELIVERIES = Statement(newest(_deliveries, alert_deliveries))
_NOTE_DELIVERY = Statement(
    update(alert_deliveries).where(alert_deliveries.c.sequence == bindparam("number")),
    ["attempts", "delivered_at", "given_up_at", "error"],
)
_FORGET_CHANNEL = Statement(
    delete(alert_deliveries).where(alert_deliveries.c.channel == bindparam("name"), delivery_is_open)
)

_ADD_SILENCE = Statement(insert(alert_silences), _SilenceRow._fields)
_SILENCES = Statement(
    select(*columns(alert_silences, _SilenceRow))
    .where(alert_silences.c.until > bindparam("now"))
    .order_by(alert_silences.c.until)
)
_END_SILENCE = Statement(
    update(alert_silences).where(
        alert_silences.c.silence_id == bindparam("id"), alert_silences.c.until > bindparam("now")
    ),
    ["until"],
)
_FORGET_SILENCES = Statement(delete(alert_silences).where(alert_silences.c.until < bindparam("before")))

_ADD_CHANNEL = Statement(insert_or_update(alert_channels).on_conflict_do_nothing(), _ChannelRow._fields)
_CHANNELS = Statement(select(*columns(alert_channels, _ChannelRow)).order_by(alert_channels.c.name))
_REMOVE_CHANNEL = Statement(delete(alert_channels).where(alert_channels.c.name == bindparam("name")))


class AlertTables(Database):
    """`engine.alert_records.AlertStore`."""

    async def keep_alerts(
        self,
        alerts: Sequence[AlertRecord],
        messages: Sequence[tuple[MessageRecord, Sequence[str]]] = (),
        entries: Sequence[Entry] = (),
    ) -> None:
        """See `AlertStore.keep_alerts`."""
        alert_rows = [_alert_row(record)._asdict() for record in alerts]
        message_rows = [(_message_row(record)._asdict(), tuple(channels)) for record, channels in messages]

        def job(connection: Connection) -> None:
            for row in alert_rows:
                connection.execute(_PUT_ALERT, row)
            for row, channels in message_rows:
                connection.execute(_ADD_MESSAGE, row)
                for channel in channels:
                    delivery = {"message_id": row["message_id"], "channel": channel}
                    connection.execute(_ADD_DELIVERY, delivery | {"attempts": 0, "error": ""})
            connection.note(*entries)

        await self.write(job)

    async def alerts(
        self, *, unresolved: bool = False, told_since: datetime | None = None, limit: int = 100
    ) -> list[AlertRecord]:
        """See `AlertStore.alerts`."""
        which = _OPEN_ALERTS if unresolved else _ALERTS if told_since is None else _ALERTS_TOLD_SINCE
        wanted = {"most": max(0, limit), "since": to_optional_microseconds(told_since)}
        rows = await self.read(lambda connection: connection.execute(which, wanted).fetchall())
        return [_to_alert(row) for row in rows]

    async def alert(self, alert_id: str) -> AlertRecord | None:
        """See `AlertStore.alert`."""
        row = await self.read(lambda connection: connection.execute(_ALERT, {"id": alert_id}).fetchone())
        return None if row is None else _to_alert(row)

    async def undelivered(self) -> list[DeliveryRecord]:
        """See `AlertStore.undelivered`."""
        rows = await self.read(lambda connection: connection.execute(_UNDELIVERED, {}).fetchall())
        return [_to_delivery(row) for row in rows]

    async def note_delivery(self, delivery: DeliveryRecord) -> None:
        """See `AlertStore.note_delivery`."""
        row = {
            "number": delivery.sequence,
            "attempts": delivery.attempts,
            "delivered_at": to_optional_microseconds(delivery.delivered_at),
            "given_up_at": to_optional_microseconds(delivery.given_up_at),
            "error": delivery.error,
        }
        await self.write(lambda connection: connection.execute(_NOTE_DELIVERY, row).rowcount)

    async def deliveries(self, *, limit: int = 100) -> list[DeliveryRecord]:
        """See `AlertStore.deliveries`."""
        wanted = {"most": max(0, limit)}
        rows = await self.read(lambda connection: connection.execute(_DELIVERIES, wanted).fetchall())
        return [_to_delivery(row) for row in rows]

    async def forget_alerts(self, before: datetime) -> None:
        """See `AlertStore.forget_alerts`."""
        old = {"before": to_microseconds(before)}

        def job(connection: Connection) -> None:
            for statement in (_FORGET_ALERTS, _FORGET_MESSAGES, _FORGET_SILENCES, FORGET_REMEDIATIONS):
                connection.execute(statement, old)

        await self.write(job)

    async def add_silence(self, record: SilenceRecord, now: datetime, caller: Caller = CONTROLLER) -> None:
        """See `AlertStore.add_silence`."""
        row = _SilenceRow(
            record.silence_id,
            to_microseconds(record.until),
            to_json(record.kinds),
            to_json(record.hosts),
            record.reason,
            record.created_by,
        )._asdict()

        def job(connection: Connection) -> None:
            connection.execute(_ADD_SILENCE, row)
            connection.note(silence_added(record, now, caller))

        await self.write(job)

    async def silences(self, now: datetime) -> list[SilenceRecord]:
        """See `AlertStore.silences`."""
        wanted = {"now": to_microseconds(now)}
        rows = await self.read(lambda connection: connection.execute(_SILENCES, wanted).fetchall())
        return [_to_silence(row) for row in rows]

    async def end_silence(self, silence_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `AlertStore.end_silence`."""
        moment = to_microseconds(now)
        end = {"id": silence_id, "now": moment, "until": moment}

        def job(connection: Connection) -> bool:
            if connection.execute(_END_SILENCE, end).rowcount != 1:
                return False
            connection.note(Entry(now, caller, Action.SILENCE_ENDED, silence_id))
            return True

        return await self.write(job)

    async def add_channel(self, record: ChannelRecord, caller: Caller = CONTROLLER) -> bool:
        """See `AlertStore.add_channel`."""
        row = msgspec.structs.asdict(record) | {"created_at": to_microseconds(record.created_at)}

        def job(connection: Connection) -> bool:
            if connection.execute(_ADD_CHANNEL, row).rowcount != 1:
                return False
            connection.note(channel_added(record, caller))
            return True

        return await self.write(job)

    async def channels(self) -> list[ChannelRecord]:
        """See `AlertStore.channels`."""
        rows = await self.read(lambda connection: connection.execute(_CHANNELS, {}).fetchall())
        return [_to_channel(row) for row in rows]

    async def remove_channel(self, name: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `AlertStore.remove_channel`."""

        def job(connection: Connection) -> bool:
            connection.execute(_FORGET_CHANNEL, {"name": name})
            if connection.execute(_REMOVE_CHANNEL, {"name": name}).rowcount != 1:
                return False
            connection.note(Entry(now, caller, Action.CHANNEL_REMOVED, name))
            return True

        return await self.write(job)


def _alert_row(record: AlertRecord) -> _AlertRow:
    fields = msgspec.structs.asdict(record)
    for name in ("opened_at", "told_at", "escalated_at", "resolved_at"):
        fields[name] = to_optional_microseconds(fields[name])
    return _AlertRow(**fields)


def _to_alert(found: Row) -> AlertRecord:
    row = _AlertRow._make(found)
    return AlertRecord(
        alert_id=row.alert_id,
        key=row.key,
        kind=row.kind,
        severity=row.severity,
        agent_id=row.agent_id,
        host=row.host,
        text=row.text,
        active=bool(row.active),
        openings=row.openings,
        opened_at=to_moment(row.opened_at),
        told_at=to_optional_moment(row.told_at),
        escalated_at=to_optional_moment(row.escalated_at),
        resolved_at=to_optional_moment(row.resolved_at),
        acknowledged_by=row.acknowledged_by,
        acknowledgement=row.acknowledgement,
    )


def _message_row(record: MessageRecord) -> _MessageRow:
    fields = msgspec.structs.asdict(record)
    return _MessageRow(
        **fields
        | {
            "at": to_microseconds(record.at),
            "alerts": to_json(record.alerts),
            "hosts": to_json(record.hosts),
        }
    )


def _to_delivery(found: Row) -> DeliveryRecord:
    own = len(_DeliveryRow._fields)
    row, message = _DeliveryRow._make(found[:own]), _MessageRow._make(found[own:])
    return DeliveryRecord(
        sequence=row.sequence,
        channel=row.channel,
        message=MessageRecord(
            message_id=message.message_id,
            at=to_moment(message.at),
            said=message.said,
            kind=message.kind,
            severity=message.severity,
            title=message.title,
            body=message.body,
            alerts=_texts(message.alerts),
            hosts=_texts(message.hosts),
        ),
        attempts=row.attempts,
        delivered_at=to_optional_moment(row.delivered_at),
        given_up_at=to_optional_moment(row.given_up_at),
        error=row.error,
    )


def _to_silence(found: Row) -> SilenceRecord:
    row = _SilenceRow._make(found)
    return SilenceRecord(
        row.silence_id,
        to_moment(row.until),
        _texts(row.kinds),
        _texts(row.hosts),
        row.reason,
        row.created_by,
    )


def _to_channel(found: Row) -> ChannelRecord:
    row = _ChannelRow._make(found)
    return ChannelRecord(
        name=row.name,
        kind=row.kind,
        shown=row.shown,
        sealed_url=row.sealed_url,
        sealed_secret=row.sealed_secret,
        created_at=to_moment(row.created_at),
        created_by=row.created_by,
    )


def _texts(text: str) -> list[str]:
    return msgspec.json.decode(text, type=list[str])
