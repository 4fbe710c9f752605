"""Hosts: who joined, how they are, and how one is put out for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from seawall.clock import wall_of
from seawall.controller.api.bodies import document
from seawall.controller.api.circuits import states_of
from seawall.controller.api.permissions import Admin, Viewer
from seawall.controller.api.problems import Problem, ProblemCode, unknown_host
from seawall.controller.api.services import Services, TheServices
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.core.health import Health, Vitals, judge
from seawall.engine.records import AgentRecord

router = APIRouter(prefix="/api/v1/agents", tags=["agents"])


@router.get("")
async def list_agents(
    _: Viewer, services: TheServices, label: Annotated[list[str] | None, Query()] = None
) -> Response:
    """All hosts by name, or those that have all the labels asked for, each as `key=value`."""
    labels: dict[str, str] = {}
    for text in label or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Problem(
                422, ProblemCode.INVALID_REQUEST, f"a label is asked for as key=value, not as {text[:64]!r}"
            )
        if labels.setdefault(key, value) != value:
            # No host has two values for one key.
            return document([])
    return document([agent_document(services, agent) for agent in services.fleet.agents(labels)])


@router.get("/{agent}")
async def show_agent(_: Viewer, services: TheServices, agent: str) -> Response:
    """One host by its id or name; a revoked one by its id."""
    record = services.fleet.find(agent) or await services.store.agent(agent)
    if record is None:
        raise unknown_host(agent)
    return document(agent_document(services, record))


@router.post("/{agent}/revoke")
async def revoke_agent(principal: Admin, services: TheServices, agent: str) -> Response:
    """End a host's identity for good, and its session at once. To come back it has to join anew."""
    record = services.fleet.find(agent)
    if record is None or not await services.revoke_agent(record.agent_id, principal.caller):
        raise unknown_host(agent)
    kept = await services.store.agent(record.agent_id)
    revoked = kept if kept is not None else msgspec.structs.replace(record, revoked_at=services.clock.wall())
    return document(agent_document(services, revoked))


@router.post("/{agent}/release")
async def release_agent(principal: Admin, services: TheServices, agent: str) -> Response:
    """End a host's quarantine, once there is only one host with its identity again."""
    record = services.fleet.find(agent)
    now = services.clock.wall()
    if record is None or not await services.store.release(record.agent_id, now, principal.caller):
        raise unknown_host(agent)
    record.quarantined_at = None
    return document(agent_document(services, record))


def agent_document(services: Services, record: AgentRecord) -> dict[str, object]:
    """A host as the API shows it."""
    clock = services.clock
    session = services.fleet.session(record.agent_id) if record.revoked_at is None else None
    guard = services.guards.get(record.agent_id)
    circuits = states_of(services, record.agent_id)
    state = "connected" if session is not None else "disconnected"
    if record.quarantined_at is not None:
        state = "quarantined"
    return {
        "agent_id": record.agent_id,
        "name": record.name,
        "state": "revoked" if record.revoked_at is not None else state,
        "simulated": record.simulated,
        "labels": record.labels,
        "version": record.version,
        "hostname": record.hostname,
        "docker_version": record.docker_version,
        "operations": record.operations,
        "epoch": record.epoch,
        "joined_at": record.joined_at,
        "quarantined_at": record.quarantined_at,
        "last_seen_at": wall_of(clock, session.heard_at) if session is not None else record.last_seen_at,
        "circuits": {domain.value: circuits.get(domain, CircuitState.CLOSED).value for domain in Domain},
        "in_flight": guard.bulkhead.in_flight if guard is not None else 0,
        "latency_seconds": session.latency_seconds if session is not None else None,
        "health": health_of(services, record.agent_id, circuits),
    }


def health_of(services: Services, agent_id: str, states: Mapping[Domain, CircuitState]) -> Health:
    """How a host is, whose circuits are in these states, with the reasons."""
    session = services.fleet.session(agent_id)
    if session is None:
        return judge(Vitals(False))
    signs = session.signs
    known_disk = signs.total_bytes > 0
    return judge(
        Vitals(
            True,
            session.missed_pings,
            session.latency_seconds,
            signs.docker,
            signs.free_bytes / signs.total_bytes if known_disk else None,
            signs.free_bytes if known_disk else None,
            signs.clock_offset_seconds,
            signs.longest_running_seconds,
            states.get(Domain.AGENT, CircuitState.CLOSED),
            states.get(Domain.DOCKER, CircuitState.CLOSED),
            services.commands.unknown_count(agent_id),
            states.get(Domain.REGISTRY, CircuitState.CLOSED),
            tuple(signs.unreached),
        )
    )
