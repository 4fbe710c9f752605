"""Circuits: how they are, how they came to be so, and overruling them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.clock import wall_of
from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Operator, Viewer
from seawall.controller.api.problems import unknown_host
from seawall.controller.api.services import Services, TheServices
from seawall.controller.auth import Principal
from seawall.core.breaker import Breaker, CircuitState
from seawall.core.command import Domain
from seawall.core.events import CircuitChanged
from seawall.engine.records import AgentRecord, HoldRecord

_TRANSITIONS_SHOWN = 50

router = APIRouter(prefix="/api/v1/circuits", tags=["circuits"])


class Overruling(Enum):
    """What an operator may do: hold it open or closed until it is reset, or reset it."""

    OPEN = "open"
    CLOSE = "close"
    RESET = "reset"


_FORCED = {Overruling.OPEN: CircuitState.OPEN, Overruling.CLOSE: CircuitState.CLOSED}
_DONE_BY_HAND = {Overruling.OPEN: "held open", Overruling.CLOSE: "held closed", Overruling.RESET: "reset"}


class ActionBody(Struct, forbid_unknown_fields=True):
    """Why a circuit is overruled; kept in its history."""

    reason: Annotated[str, Meta(max_length=500)] = ""


@router.get("")
async def list_circuits(_: Viewer, services: TheServices) -> Response:
    """Every circuit of every host; those that nothing is known about are closed."""
    circuits = [
        circuit_document(services, agent, domain) for agent in services.fleet.agents() for domain in Domain
    ]
    return document(circuits)


@router.get("/{agent}/{domain}")
async def show_circuit(_: Viewer, services: TheServices, agent: str, domain: Domain) -> Response:
    """One circuit with its latest transitions, the newest first."""
    return document(await _full_document(services, _find(services, agent), domain))


@router.post("/{agent}/{domain}/{action}", openapi_extra=body_schema(ActionBody))
async def change_circuit(
    principal: Operator,
    services: TheServices,
    agent: str,
    domain: Domain,
    action: Overruling,
    request: Request,
) -> Response:
    """Hold a circuit open (nothing is sent) or closed (everything is sent), or reset it and forget."""
    body = await read_json(request, ActionBody, empty=b"{}")
    record = _find(services, agent)
    await overrule(services, record, domain, action, body.reason, principal)
    return document(await _full_document(services, record, domain))


async def overrule(
    services: Services,
    record: AgentRecord,
    domain: Domain,
    action: Overruling,
    reason: str,
    principal: Principal,
) -> None:
    """Hold a circuit open or closed, or reset it, for the reason that somebody gives."""
    said = f"{_DONE_BY_HAND[action]}: {reason or 'no reason given'}"
    wall, forced = services.clock.wall(), _FORCED.get(action)
    # Before it happens, and so what happens without anybody's order is known by having no entry in the audit log.
    if forced is None:
        await services.store.reset_circuit(record.agent_id, domain.value, reason, wall, principal.caller)
    else:
        hold = HoldRecord(record.agent_id, domain.value, forced.value, reason, principal.name, wall)
        await services.store.hold_circuit(hold, principal.caller)
    now = services.clock.now()
    guard = services.guards.of(record.agent_id)
    try:
        if forced is None and domain not in dict(guard.breakers):
            # It is closed, and nobody holds it.
            return
        breaker = guard.breaker(domain)
        if forced is None:
            transition = breaker.reset(now, said, by=principal.name)
        else:
            transition = breaker.force(forced, now, said, by=principal.name)
    finally:
        services.guards.tidy(guard, now)
    services.emit(
        CircuitChanged(
            now,
            record.agent_id,
            domain,
            transition.origin,
            transition.target,
            transition.reason,
            transition.by,
        )
    )


def states_of(services: Services, agent_id: str) -> dict[Domain, CircuitState]:
    """The states of a host's circuits as the next command would find them; one that is missing is CLOSED."""
    guard = services.guards.get(agent_id)
    if guard is None or guard.quiet:
        return {}
    now = services.clock.now()
    return {domain: effective_state(breaker, now) for domain, breaker in guard.breakers}


def effective_state(breaker: Breaker, now: float) -> CircuitState:
    """The state in which the next command will find it: an open time that is over has ended, seen or not."""
    over = breaker.state is CircuitState.OPEN and not breaker.forced and now >= breaker.admits_at
    return CircuitState.HALF_OPEN if over else breaker.state


def circuit_document(services: Services, agent: AgentRecord, domain: Domain) -> dict[str, object]:
    """A circuit as the API shows it.

    `successes` are those of probes while it is half-open. `probe_at` is when an open circuit lets a probe through;
    None if a person holds it.
    """
    shown: dict[str, object] = {
        "agent_id": agent.agent_id,
        "agent": agent.name,
        "domain": domain.value,
        "state": CircuitState.CLOSED.value,
        "forced": False,
        "failures": 0,
        "successes": 0,
        "opened_at": None,
        "probe_at": None,
    }
    breaker = _breaker(services, agent.agent_id, domain)
    if breaker is None:
        return shown
    clock, now = services.clock, services.clock.now()
    state = effective_state(breaker, now)
    if state is CircuitState.CLOSED:
        breaker.window.turn(now, breaker.settings.failure_window_seconds)
    shown["state"] = state.value
    shown["forced"] = breaker.forced
    shown["failures"] = breaker.window.failures
    probing = state is CircuitState.HALF_OPEN
    shown["successes"] = breaker.probe_successes if probing else breaker.window.successes
    if state is CircuitState.OPEN:
        shown["opened_at"] = None if breaker.opened_at is None else wall_of(clock, breaker.opened_at)
        shown["probe_at"] = None if breaker.forced else wall_of(clock, breaker.admits_at)
    return shown


async def _full_document(services: Services, agent: AgentRecord, domain: Domain) -> dict[str, object]:
    kept = await services.transitions(agent.agent_id)
    transitions = [
        {"at": each.at, "from": each.origin, "to": each.target, "reason": each.reason, "by": each.by}
        for each in kept
        if each.domain == domain.value
    ]
    return {
        **circuit_document(services, agent, domain),
        "transitions": transitions[:_TRANSITIONS_SHOWN],
    }


def _find(services: Services, agent: str) -> AgentRecord:
    record = services.fleet.find(agent)
    if record is None:
        raise unknown_host(agent)
    return record


def _breaker(services: Services, agent_id: str, domain: Domain) -> Breaker | None:
    guard = services.guards.get(agent_id)
    return dict(guard.breakers).get(domain) if guard is not None else None
