"""Alerts: which there are, who takes care of them, when to keep quiet, and where they are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta, Struct, field
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.alerts.channels import InvalidChannel, UnknownChannel
from seawall.controller.alerts.delivery import DeliveryFailed
from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Admin, Operator, Viewer
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.core.alert import FLAPS
from seawall.core.alert_rules import MEANINGS, AlertKind
from seawall.engine.alert_records import AlertRecord, ChannelRecord, DeliveryRecord, SilenceRecord
from seawall.engine.alert_settings import AlertSettings

router = APIRouter(prefix="/api/v1", tags=["alerts"])

_MOST = 1_000
_DELIVERIES_LOOKED_AT = 1_000

_Reason = Annotated[str, Meta(max_length=500)]
_Host = Annotated[str, Meta(min_length=1, max_length=253)]


class AcknowledgeBody(Struct, forbid_unknown_fields=True):
    """Why, or what is being done about it."""

    reason: _Reason = ""


class SilenceBody(Struct, forbid_unknown_fields=True):
    """For how long, and what. Without rules or hosts it is everything; hosts may be patterns such as `web-*`."""

    seconds: Annotated[float, Meta(gt=0, le=31_536_000)]
    rules: Annotated[list[AlertKind], Meta(max_length=32)] = field(default_factory=list)
    hosts: Annotated[list[_Host], Meta(max_length=100)] = field(default_factory=list)
    reason: _Reason = ""


class ChannelBody(Struct, forbid_unknown_fields=True):
    """A name, and an address: `https://` for a signed webhook, else one that Apprise understands."""

    name: str
    url: Annotated[str, Meta(max_length=4_096)]


@router.get("/alerts")
async def list_alerts(
    _: Viewer,
    services: TheServices,
    every: Annotated[bool, Query(alias="all")] = False,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> Response:
    """The alerts that are open, the newest first; with `all` those that are over too."""
    found = await services.store.alerts(unresolved=not every, limit=limit)
    return document([alert_document(record) for record in found])


@router.get("/alerts/{alert_id}")
async def show_alert(_: Viewer, services: TheServices, alert_id: str) -> Response:
    """One alert, with what was said of it and whether that got through."""
    record = await _find(services, alert_id)
    deliveries = await services.store.deliveries(limit=_DELIVERIES_LOOKED_AT)
    told = [_delivery_document(each) for each in deliveries if alert_id in each.message.alerts]
    return document({**alert_document(record), "deliveries": told})


@router.post("/alerts/{alert_id}/acknowledge", openapi_extra=body_schema(AcknowledgeBody))
async def acknowledge_alert(
    principal: Operator, services: TheServices, alert_id: str, request: Request
) -> Response:
    """Say that you take care of it: it isn't escalated."""
    body = await read_json(request, AcknowledgeBody, empty=b"{}")
    record = await _find(services, alert_id)
    if not await services.alerts.keeper.acknowledge(alert_id, principal.name, body.reason, principal.caller):
        raise Problem(409, ProblemCode.CONFLICT, f"the alert {record.alert_id} is over already")
    return document(alert_document(await _find(services, alert_id)))


@router.get("/alert-rules")
async def show_rules(_: Viewer, services: TheServices) -> Response:
    """The rules that hold, each value that isn't built in with its source, and the alert file."""
    file = services.alerts.file
    return document({"text": file.text, **settings_document(file.current)})


@router.get("/alert-silences")
async def list_silences(_: Viewer, services: TheServices) -> Response:
    """The silences that somebody asked for and that aren't over; those of the alert file are with the rules."""
    return document(services.alerts.keeper.silences())


@router.post("/alert-silences", openapi_extra=body_schema(SilenceBody))
async def add_silence(principal: Operator, services: TheServices, request: Request) -> Response:
    """Keep quiet for a while. What is still wrong after it is told then."""
    body = await read_json(request, SilenceBody)
    clock = services.clock
    record = SilenceRecord(
        clock.new_id(),
        clock.wall() + timedelta(seconds=body.seconds),
        [kind.value for kind in body.rules],
        body.hosts,
        body.reason,
        principal.name,
    )
    await services.alerts.keeper.silence(record, principal.caller)
    return document(record, 201)


@router.delete("/alert-silences/{silence_id}")
async def end_silence(principal: Operator, services: TheServices, silence_id: str) -> Response:
    """End a silence before its time."""
    if not await services.alerts.keeper.end_silence(silence_id, principal.caller):
        raise Problem(
            404, ProblemCode.NOT_FOUND, "there is no such silence; `seawall alert rules` shows them"
        )
    return Response(status_code=204)


@router.get("/alert-channels")
async def list_channels(_: Viewer, services: TheServices) -> Response:
    """The channels, without their addresses."""
    return document([_channel_document(channel) for channel in services.alerts.channels.all()])


@router.post("/alert-channels", openapi_extra=body_schema(ChannelBody))
async def add_channel(principal: Admin, services: TheServices, request: Request) -> Response:
    """Add a channel. Of a webhook this answer is the only one that holds the secret by which it is signed."""
    body = await read_json(request, ChannelBody)
    try:
        channel, secret = await services.alerts.channels.add(
            body.name, body.url, principal.name, principal.caller
        )
    except InvalidChannel as error:
        raise Problem(422, ProblemCode.INVALID_REQUEST, str(error)) from None
    return document({**_channel_document(channel), "secret": secret}, 201)


@router.delete("/alert-channels/{name}")
async def remove_channel(principal: Admin, services: TheServices, name: str) -> Response:
    """Remove a channel, and what waits for it."""
    try:
        await services.alerts.channels.remove(name, principal.caller)
    except UnknownChannel:
        raise _unknown_channel(name) from None
    return Response(status_code=204)


@router.post("/alert-channels/{name}/test")
async def test_channel(principal: Operator, services: TheServices, name: str) -> Response:
    """Send a test message to a channel, now and once; `error` says why it didn't get through, or is empty."""
    error = ""
    try:
        await services.alerts.channels.test(name, principal.name, principal.caller)
    except UnknownChannel:
        raise _unknown_channel(name) from None
    except DeliveryFailed as failed:
        error = str(failed)
    return document({"channel": name, "delivered": not error, "error": error})


def alert_document(record: AlertRecord) -> dict[str, object]:
    """An alert as the API shows it."""
    shown: dict[str, object] = msgspec.structs.asdict(record)
    shown["flapping"] = record.openings >= FLAPS and record.kind == AlertKind.CIRCUIT.value
    shown["state"] = "over" if record.resolved_at is not None else "open"
    return shown


def settings_document(settings: AlertSettings) -> dict[str, object]:
    """Rules and silences in plain values."""
    rules = {
        kind.value: {
            **msgspec.to_builtins(rule),
            "threshold_means": MEANINGS.get(kind, ""),
            "sources": {
                key.partition(".")[2]: source
                for key, source in settings.sources.items()
                if key.partition(".")[0] == kind.value
            },
        }
        for kind, rule in settings.rules.items()
    }
    silences = [
        {
            "name": silence.name,
            "from": f"{silence.begin:%H:%M}",
            "to": f"{silence.end:%H:%M}",
            "zone": str(silence.zone),
            "days": sorted(silence.days),
            "rules": sorted(kind.value for kind in silence.kinds),
            "hosts": silence.hosts,
        }
        for silence in settings.silences
    ]
    return {
        "rules": rules,
        "silences": silences,
        "channels": settings.channels,
        "group_seconds": settings.group_seconds,
        "allow": settings.allow,
    }


async def _find(services: Services, alert_id: str) -> AlertRecord:
    record = await services.store.alert(alert_id)
    if record is None:
        detail = f"there is no alert {alert_id[:64]!r}; `seawall alert list` shows those that are open"
        raise Problem(404, ProblemCode.NOT_FOUND, detail)
    return record


def _unknown_channel(name: str) -> Problem:
    detail = f"no channel is named {name[:64]!r}; `seawall alert channel list` shows those that there are"
    return Problem(404, ProblemCode.NOT_FOUND, detail)


def _channel_document(channel: ChannelRecord) -> dict[str, object]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "address": channel.shown,
        "created_at": channel.created_at,
        "created_by": channel.created_by,
    }


def _delivery_document(delivery: DeliveryRecord) -> dict[str, object]:
    return {
        "message_id": delivery.message.message_id,
        "at": delivery.message.at,
        "said": delivery.message.said,
        "title": delivery.message.title,
        "channel": delivery.channel,
        "attempts": delivery.attempts,
        "delivered_at": delivery.delivered_at,
        "given_up_at": delivery.given_up_at,
        "error": delivery.error,
    }
