"""Analytics: which errors repeat, and how reliable hosts are."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from seawall.controller.analyst import SHORTEST_SECONDS
from seawall.controller.api.bodies import document
from seawall.controller.api.permissions import Viewer
from seawall.controller.api.problems import Problem, ProblemCode, unknown_host
from seawall.controller.api.services import Services, TheServices
from seawall.engine.analytics import LONGEST_SECONDS
from seawall.engine.analytics_csv import CsvTable, csv_of

DEFAULT_SECONDS = 7 * 86_400.0
_MOST = 1_000
"""More would take the event loop too long to write down; the CSV has all."""

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"])

Since = Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)]


@router.get("")
async def show_analytics(
    _: Viewer,
    services: TheServices,
    since: Since = None,
    host: str | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 200,
) -> Response:
    """The figures of the time since then, in seconds since 1970; without it of seven days."""
    agent = None
    if host is not None:
        agent = services.fleet.find(host)
        if agent is None:
            raise unknown_host(host)
    analytics = await services.analyst.look(_seconds(services, since), agent)
    return document(analytics.first(limit))


@router.get("/{table}.csv")
async def export_analytics(
    _: Viewer, services: TheServices, table: CsvTable, since: Since = None
) -> Response:
    """One table of them as CSV, in full."""
    analytics = await services.analyst.look(_seconds(services, since))
    return Response(await asyncio.to_thread(csv_of, analytics, table), media_type="text/csv")


def _seconds(services: Services, since: float | None) -> float:
    if since is None:
        return DEFAULT_SECONDS
    seconds = services.clock.wall().timestamp() - since
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise Problem(
            422,
            ProblemCode.INVALID_REQUEST,
            f"`since` has to be a minute ago at least, and {LONGEST_SECONDS / 86_400:.0f} days at most",
        )
    return seconds
