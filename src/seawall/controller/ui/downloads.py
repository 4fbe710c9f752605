"""Files that the dashboard hands out to whoever is signed in: figures as CSV, and the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from seawall.controller.analyst import SHORTEST_SECONDS
from seawall.controller.ui.visits import Arrival
from seawall.engine.analytics import LONGEST_SECONDS
from seawall.engine.analytics_csv import CsvTable, csv_of
from seawall.engine.audit import exported
from seawall.engine.store import AuditStore
from seawall.operations.operation import Role

CSV: Final = "/ui/files/analytics"
AUDIT: Final = "/ui/files/audit.jsonl"

_PAGE = 500

router = APIRouter()


@router.get(f"{CSV}/{{table}}.csv")
async def csv_file(
    request: Request,
    table: CsvTable,
    seconds: Annotated[float, Query(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)],
) -> Response:
    """A table of the figures."""
    services = _arrival(request).house.services
    text = await asyncio.to_thread(csv_of, await services.analyst.look(seconds), table)
    return Response(text, media_type="text/csv", headers=_named(f"seawall-{table.value}.csv"))


@router.get(AUDIT)
async def audit_file(request: Request) -> Response:
    """The whole audit log, a line for each entry, as `seawall audit verify --file` reads it."""
    arrival = _arrival(request)
    if not arrival.sign_in.principal.role.allows(Role.ADMIN):
        return PlainTextResponse("the audit log is for admins", 403)
    lines = _lines(arrival.house.services.store)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=_named("seawall-audit.jsonl"))


async def _lines(store: AuditStore) -> AsyncGenerator[bytes]:
    position = 0
    while entries := await store.audit_after(position, _PAGE):
        yield b"".join(map(exported, entries))
        position = entries[-1].position


def _arrival(request: Request) -> Arrival:
    arrival: Arrival = request.scope["state"]["arrival"]
    return arrival


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
