"""Commands: have something done, see what became of it, ask for its end."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.events import command_stream
from seawall.controller.api.permissions import Operator, Viewer, allow
from seawall.controller.api.problems import Problem, unknown_command, unknown_host
from seawall.controller.api.services import TheServices
from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from seawall.engine.commands import CommandRequest, find_operation
from seawall.engine.explain import explain
from seawall.engine.records import CommandRecord, command_document

MAX_WAIT_SECONDS = 600.0
VERIFY_WAIT_SECONDS = 15.0

_REFUSED = {code.value: code for code in (CommandErrorCode.CIRCUIT_OPEN, CommandErrorCode.BULKHEAD_FULL)}
_REFUSED_RETRY_AFTER_SECONDS = 1.0

router = APIRouter(prefix="/api/v1/commands", tags=["commands"])

Wait = Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)]


class CommandBody(Struct, forbid_unknown_fields=True):
    """What to do, on which host (an id or a name). What is left out is the operation's or the plane's default.

    With `queue` false a command to a host that isn't connected fails at once instead of waiting for it.
    """

    operation: str
    agent: str
    arguments: dict[str, object] = field(default_factory=dict)
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    deadline_seconds: float | None = None
    queue: bool = True


class ResolveBody(Struct, forbid_unknown_fields=True):
    """What an UNKNOWN command was: SUCCEEDED or FAILED, and how that is known."""

    state: CommandState
    reason: str


@router.post("", openapi_extra=body_schema(CommandBody))
async def accept_command(
    principal: Viewer,
    services: TheServices,
    request: Request,
    wait: Wait = 0.0,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Have something done. 202 with the record once it is durable; 200 if it is over within `wait` seconds.

    The operation says which role it needs. 503 with Retry-After where nothing was accepted: the record is under
    `command` then, and the same Idempotency-Key may be used again.
    """
    body = await read_json(request, CommandBody)
    operation = find_operation(body.operation)
    allow(principal, operation.role, f"the operation {operation.name}")
    record = await services.commands.accept(
        CommandRequest(
            operation.name,
            body.agent,
            body.arguments,
            body.timeout_seconds,
            body.max_attempts,
            body.deadline_seconds,
            body.queue,
            idempotency_key,
            principal.name,
            principal.caller,
        )
    )
    if (
        record.idempotency_key is None
        and record.state is CommandState.REJECTED
        and record.error_code in _REFUSED
    ):
        raise _turned_away(record, _REFUSED[record.error_code])
    if wait > 0 and not record.state.final:
        record = await services.wait(record.command_id, wait) or record
    return _answer(record)


@router.get("")
async def list_commands(
    _: Viewer,
    services: TheServices,
    agent: str | None = None,
    state: Annotated[list[CommandState] | None, Query()] = None,
    operation: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: str | None = None,
) -> Response:
    """The newest commands first. `before` is the command_id to go on from."""
    agent_id = None
    if agent is not None:
        found = services.fleet.find(agent) or await services.store.agent(agent)
        if found is None:
            raise unknown_host(agent)
        agent_id = found.agent_id
    records = await services.store.commands(
        agent_id=agent_id, states=state or (), operation=operation, limit=limit, before=before
    )
    return document([command_document(record) for record in records])


@router.get("/{command_id}")
async def show_command(_: Viewer, services: TheServices, command_id: str, wait: Wait = 0.0) -> Response:
    """One command, as soon as it is over or `wait` seconds have passed."""
    record = await services.wait(command_id, wait) if wait > 0 else await services.store.command(command_id)
    if record is None:
        raise unknown_command(command_id)
    return document(command_document(record))


@router.get("/{command_id}/explain")
async def explain_command(_: Viewer, services: TheServices, command_id: str) -> Response:
    """What happened to a command and why, as a timeline in words."""
    record = await services.store.command(command_id)
    if record is None:
        raise unknown_command(command_id)
    decisions = await services.store.decisions(command_id)
    changes = await services.transitions(record.agent_id)
    return document({"command": command_document(record), "timeline": explain(record, decisions, changes)})


@router.post("/{command_id}/cancel")
async def cancel_command(principal: Operator, services: TheServices, command_id: str) -> Response:
    """Ask for a command's end. 200 if it is over, 202 if not yet; its state says whether it was stopped in time."""
    record = await services.commands.cancel(command_id, principal.name, principal.caller)
    if record is None:
        raise unknown_command(command_id)
    return _answer(record)


@router.post("/{command_id}/verify")
async def verify_command(
    _: Operator, services: TheServices, command_id: str, wait: Wait = VERIFY_WAIT_SECONDS
) -> Response:
    """Ask the host what became of an UNKNOWN command. 202 if it can't tell now: it is asked again by itself."""
    record = await services.commands.verify(command_id, wait)
    return document(command_document(record), 200 if record.settled else 202)


@router.post("/{command_id}/resolve", openapi_extra=body_schema(ResolveBody))
async def resolve_command(
    principal: Operator, services: TheServices, command_id: str, request: Request
) -> Response:
    """Say what an UNKNOWN command was, having looked at the host. It stays on record who said so, and why."""
    body = await read_json(request, ResolveBody)
    record = await services.commands.resolve(
        command_id, body.state, principal.name, body.reason, principal.caller
    )
    return document(command_document(record))


@router.post("/{command_id}/force-retry")
async def force_retry_command(
    principal: Operator,
    services: TheServices,
    command_id: str,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Do again what an UNKNOWN command was to do, as a new command: the first may have run. 202 with the new record."""
    record = await services.commands.force_retry(
        command_id, principal.name, idempotency_key, principal.caller
    )
    if record.state is CommandState.REJECTED and record.error_code in _REFUSED:
        raise _turned_away(record, _REFUSED[record.error_code])
    return _answer(record)


@router.get("/{command_id}/events")
async def follow_command(_: Viewer, services: TheServices, command_id: str) -> Response:
    """What happens to a command, as server-sent events: `record` first, `finished` last."""
    if await services.store.command(command_id) is None:
        raise unknown_command(command_id)
    return command_stream(services, command_id)


def _answer(record: CommandRecord) -> Response:
    headers = {"Location": f"{router.prefix}/{record.command_id}"}
    return document(command_document(record), 200 if record.state.final else 202, headers)


def _turned_away(record: CommandRecord, code: CommandErrorCode) -> Problem:
    retry_after = record.retry_after_seconds
    return Problem(
        503,
        code,
        record.error or "nothing was sent; try again later",
        retry_after_seconds=_REFUSED_RETRY_AFTER_SECONDS if retry_after is None else retry_after,
        extra={"command": command_document(record)},
    )
