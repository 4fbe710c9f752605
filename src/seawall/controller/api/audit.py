"""The audit log: who did what, whether its chain is whole, all of it for keeping elsewhere, and pruning it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Admin
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.engine.audit import Action, AuditRecord, Head, exported
from seawall.engine.audit_chain import ChainCheck, Verdict

_CHECKED_AT_ONCE = 500
_MOST = 1_000

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


class CheckBody(Struct, forbid_unknown_fields=True):
    """The head that the log had once, as POSITION:HASH; with it a log whose end was cut off is found out."""

    head: str | None = None


class PruneBody(Struct, forbid_unknown_fields=True):
    """Up to which time entries may go."""

    before: datetime


@router.get("")
async def list_entries(
    _: Admin,
    services: TheServices,
    actor: str | None = None,
    action: Annotated[list[Action] | None, Query()] = None,
    subject: str | None = None,
    since: Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    before: int | None = None,
) -> Response:
    """The newest entries first. `since` is in seconds since 1970, `before` the position to go on from."""
    entries = await services.store.audit(
        actor=actor,
        actions=action or (),
        subject=subject,
        since=None if since is None else datetime.fromtimestamp(since, services.clock.wall().tzinfo),
        limit=limit,
        before=before,
    )
    return document([entry_document(entry) for entry in entries])


@router.get("/export")
async def export_entries(
    _: Admin,
    services: TheServices,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
) -> Response:
    """The entries behind a position in order, one JSON object a line, exactly as they are chained."""
    entries = await services.store.audit_after(after, limit)
    return Response(b"".join(map(exported, entries)), media_type="application/x-ndjson")


@router.post("/verify", openapi_extra=body_schema(CheckBody))
async def verify_chain(_: Admin, services: TheServices, request: Request) -> Response:
    """Follow the whole chain; `fault` is null if it is whole."""
    body = await read_json(request, CheckBody, empty=b"{}")
    try:
        check = ChainCheck(Head.of(body.head) if body.head is not None else None)
    except ValueError as error:
        raise Problem(422, ProblemCode.INVALID_REQUEST, str(error)) from None
    return document(await follow_chain(services, check))


@router.post("/prune", openapi_extra=body_schema(PruneBody))
async def prune_entries(principal: Admin, services: TheServices, request: Request) -> Response:
    """Remove the oldest entries. One that says so takes their place in the chain; the last one always stays."""
    body = await read_json(request, PruneBody)
    if body.before.tzinfo is None:
        raise Problem(422, ProblemCode.INVALID_REQUEST, "`before` has to say its time zone")
    async with services.auditing:
        pruned = await services.store.prune_audit(body.before, services.clock.wall(), principal.caller)
    return document({"pruned": pruned})


async def follow_chain(services: Services, check: ChainCheck) -> Verdict:
    """What a check finds of the whole chain, which nobody prunes meanwhile."""
    async with services.auditing:
        position = 0
        while entries := await services.store.audit_after(position, _CHECKED_AT_ONCE):
            await asyncio.to_thread(check.take, entries)
            position = entries[-1].position
        return await asyncio.to_thread(check.verdict)


def entry_document(entry: AuditRecord) -> dict[str, object]:
    """An entry as the API shows it."""
    try:
        detail: object = msgspec.json.decode(entry.detail)
    except msgspec.DecodeError:
        detail = entry.detail
    return {
        "position": entry.position,
        "at": entry.moment,
        "actor": entry.actor,
        "source": entry.source,
        "action": entry.action,
        "subject": entry.subject,
        "detail": detail,
        "hash": entry.hash.hex(),
    }
