"""Remediation: which rules hold, what they have done and whether it helped, and the switch that stops all of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Operator, Viewer
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.core.remediation import Remedy
from seawall.engine.remediation_settings import ACT, DRY_RUN

router = APIRouter(prefix="/api/v1/remediation", tags=["remediation"])

_MOST = 1_000


class StopBody(Struct, forbid_unknown_fields=True):
    """Why nothing is to be done any more."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


@router.get("")
async def show_remediation(_: Viewer, services: TheServices) -> Response:
    """The rules that hold, the file, and whether somebody has stopped them."""
    return document(_state(services))


@router.get("/history")
async def list_decisions(
    _: Viewer, services: TheServices, limit: Annotated[int, Query(ge=1, le=_MOST)] = 100
) -> Response:
    """What was decided, the newest first, with what came of it."""
    return document(await services.store.remediations(limit=limit))


@router.post("/stop", openapi_extra=body_schema(StopBody))
async def stop_remediation(principal: Operator, services: TheServices, request: Request) -> Response:
    """Let nothing be done until it is resumed, over restarts too. What is under way goes on."""
    body = await read_json(request, StopBody)
    await services.remediation.remediation.stop(body.reason, principal.name, principal.caller)
    return document(_state(services))


@router.post("/resume")
async def resume_remediation(principal: Operator, services: TheServices) -> Response:
    """Let it go on."""
    if not await services.remediation.remediation.resume(principal.caller):
        raise Problem(409, ProblemCode.CONFLICT, "nobody has stopped remediation")
    return document(_state(services))


def _state(services: Services) -> dict[str, object]:
    desk = services.remediation
    settings = desk.file.current
    return {
        "text": desk.file.text,
        "budget": settings.budget.tries,
        "budget_seconds": settings.budget.seconds,
        "rules": [_rule(remedy) for remedy in settings.remedies],
        "stopped": desk.remediation.stopped,
    }


def _rule(remedy: Remedy) -> dict[str, object]:
    shown: dict[str, object] = msgspec.structs.asdict(remedy)
    shown["alert"] = shown.pop("kind")
    shown["mode"] = ACT if shown.pop("acts") else DRY_RUN
    return shown
