"""Whether the controller lives, is ready, and how it fares."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends
from starlette.responses import Response

from seawall.controller.api.bodies import document
from seawall.controller.api.permissions import Permission, public
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import TheServices
from seawall.telemetry.prometheus import CONTENT_TYPE

_NOT_READY_RETRY_AFTER_SECONDS = 1.0


def health_router(metrics: Permission) -> APIRouter:
    """The routes outside of /api/v1. `metrics` is who may read the metrics."""
    router = APIRouter(tags=["health"])
    router.add_api_route("/healthz", healthz, methods=["GET"], dependencies=[Depends(public())])
    router.add_api_route("/readyz", readyz, methods=["GET"], dependencies=[Depends(public())])
    router.add_api_route("/metrics", show_metrics, methods=["GET"], dependencies=[Depends(metrics)])
    return router


async def healthz() -> Response:
    """200 as long as the process can answer at all."""
    return document({"status": "alive"})


async def readyz(services: TheServices) -> Response:
    """200 when the store answers, what was open is under way again, and both listeners are up."""
    missing = await services.readiness.missing()
    if missing:
        raise Problem(
            503,
            ProblemCode.NOT_READY,
            f"not ready: {'; '.join(missing)}",
            retry_after_seconds=_NOT_READY_RETRY_AFTER_SECONDS,
        )
    return document({"status": "ready"})


async def show_metrics(services: TheServices) -> Response:
    """All metrics in Prometheus' text format."""
    # A fleet's metrics take a while to write, and commands don't wait for that.
    content = await asyncio.to_thread(services.render_metrics)
    return Response(content, media_type=CONTENT_TYPE)
