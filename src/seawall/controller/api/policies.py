"""Policies: what holds for which operation, where it comes from, and how to change it."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Admin, Viewer
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.engine.audit import Caller
from seawall.engine.policies import Policies
from seawall.operations.registry import OPERATIONS
from seawall.toml_document import InvalidToml

router = APIRouter(prefix="/api/v1/policy", tags=["policy"])


class PolicyBody(Struct, forbid_unknown_fields=True):
    """The whole policy file, as TOML."""

    text: str


@router.get("")
async def show_policy(_: Viewer, services: TheServices) -> Response:
    """What holds now: for each operation and for the plane, each value with its source."""
    file = services.policies
    return document({"text": file.text, **policy_document(file.current)})


@router.put("", openapi_extra=body_schema(PolicyBody))
async def set_policy(principal: Admin, services: TheServices, request: Request) -> Response:
    """Replace the policy file; it holds at once, for every attempt that is still to come."""
    body = await read_json(request, PolicyBody)
    policies = await replace_policies(services, body.text, principal.caller)
    return document({"text": body.text, **policy_document(policies)})


async def replace_policies(services: Services, text: str, caller: Caller) -> Policies:
    """Let other policies hold. Raises Problem."""
    try:
        return await services.policies.replace(text, caller)
    except InvalidToml as error:
        raise Problem(422, ProblemCode.INVALID_REQUEST, str(error)) from None
    except OSError as error:
        detail = f"the policy file can't be written: {error.strerror or error}"
        raise Problem(503, ProblemCode.STORE_FAILED, detail, retry_after_seconds=5.0) from None


def policy_document(policies: Policies) -> dict[str, object]:
    """Policies in plain values."""
    operations: dict[str, object] = {}
    for name, operation in sorted(OPERATIONS.items()):
        policy = policies.of(operation)
        values = {
            "timeout_seconds": policy.timeout_seconds,
            "max_attempts": policy.retry.max_attempts,
            "initial_delay": policy.retry.initial_delay,
            "max_delay": policy.retry.max_delay,
            "backoff_multiplier": policy.retry.backoff_multiplier,
            "jitter": policy.retry.jitter,
            "lane": policy.lane,
            "fallback": policy.fallback,
            "mirror": policy.mirror or "none",
        }
        operations[name] = {
            key: {"value": msgspec.to_builtins(value), "source": policy.sources[key]}
            for key, value in values.items()
        }
    plane, sources = policies.plane, policies.plane_sources()
    budget = plane.budget
    tables: dict[str, object] = {"breaker": plane.breaker, "bulkhead": plane.bulkhead}
    if budget is not None:
        tables |= {"budget": budget.agent, "plane_budget": budget.plane}
    return {
        "preset": policies.preset,
        "file": policies.text_name,
        "operations": operations,
        "plane": {
            name: {"value": getattr(tables[table], key), "source": source}
            for name, source in sources.items()
            for table, _, key in (name.partition("."),)
            if table in tables
        },
    }
