"""Hosts, circuits, tokens, operations and health over the API."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from seawall.core.breaker import CircuitState
from seawall.core.command import Domain
from seawall.core.errors import CommandErrorCode
from seawall.engine.fleet import Signs
from seawall.engine.store import StoreFailed
from seawall.operations.operation import Role
from seawall.operations.registry import OPERATIONS
from seawall.wire.join import parse_join_token
from seawall.wire.messages import HostVitals
from tests.controller.api_plane import (
    CHANGE,
    HOST,
    OTHER,
    PING,
    READ,
    ApiPlane,
    api_plane,
    docker_down,
    first_fails,
    is_problem,
    ok,
)

AGENT = {
    *(
        "agent_id",
        "name",
        "state",
        "simulated",
        "labels",
        "version",
        "hostname",
        "docker_version",
        "operations",
    ),
    *("epoch", "joined_at", "quarantined_at", "last_seen_at", "circuits", "in_flight", "latency_seconds"),
    "health",
}
CIRCUIT = {
    *("agent_id", "agent", "domain", "state", "forced", "failures", "successes", "opened_at", "probe_at"),
}


# Hosts


@pytest.mark.asyncio
async def test_hosts_are_shown_with_their_state(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        first, second = (await plane.get("/api/v1/agents")).json()
        assert set(first) == AGENT
        assert (first["name"], first["state"], first["latency_seconds"]) == ("web-1", "connected", 0.002)
        assert (second["name"], second["state"], second["last_seen_at"]) == ("web-2", "disconnected", None)
        assert first["circuits"] == {"agent": "closed", "docker": "closed", "registry": "closed"}
        assert (await plane.get("/api/v1/agents/web-1")).json() == first
        assert (await plane.get(f"/api/v1/agents/{HOST}")).json() == first
        is_problem(await plane.get("/api/v1/agents/web-3"), 404, "unknown_host")


@pytest.mark.asyncio
async def test_hosts_are_found_by_labels(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:

        async def names(query: str) -> list[str]:
            return [agent["name"] for agent in (await plane.get(f"/api/v1/agents?{query}")).json()]

        assert await names("label=env%3Dprod") == ["web-1"]
        assert await names("label=env%3Dprod&label=env%3Dtest") == []
        assert await names("label=zone%3Da") == []
        is_problem(await plane.get("/api/v1/agents?label=env"), 422, "invalid_request")
        is_problem(await plane.get("/api/v1/agents?label=%3Dprod"), 422, "invalid_request")


@pytest.mark.asyncio
async def test_a_revoked_host_is_out_at_once_and_still_known_by_its_id(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        answer = await plane.post("/api/v1/agents/web-1/revoke")
        assert answer.json()["state"] == "revoked"
        assert len(session.closed) == 1
        assert [agent["name"] for agent in (await plane.get("/api/v1/agents")).json()] == ["web-2"]
        is_problem(await plane.get("/api/v1/agents/web-1"), 404, "unknown_host")
        assert (await plane.get(f"/api/v1/agents/{HOST}")).json()["state"] == "revoked"
        is_problem(await plane.post("/api/v1/agents/web-1/revoke"), 404, "unknown_host")
        is_problem(await plane.post("/api/v1/commands", PING), 404, "unknown_host")


# Circuits


async def circuit(plane: ApiPlane, path: str = "web-1/docker") -> dict[str, object]:
    answer = await plane.get(f"/api/v1/circuits/{path}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, object] = answer.json()
    return shown


@pytest.mark.asyncio
async def test_a_circuit_is_shown_from_its_opening_to_its_recovery(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(docker_down)
        assert (await circuit(plane))["state"] == "closed"
        await plane.done(READ)
        await plane.done(READ)
        opened = await circuit(plane)
        assert set(opened) == CIRCUIT | {"transitions"}
        assert (opened["state"], opened["forced"], opened["failures"]) == ("open", False, 5)
        assert datetime.fromisoformat(str(opened["probe_at"])) > datetime.fromisoformat(
            str(opened["opened_at"])
        )
        assert (await circuit(plane, "web-1/agent"))["state"] == "closed"
        assert (await plane.get("/api/v1/agents/web-1")).json()["circuits"]["docker"] == "open"
        listed = (await plane.get("/api/v1/circuits")).json()
        assert [(each["agent"], each["domain"], each["state"]) for each in listed] == [
            ("web-1", "agent", "closed"),
            ("web-1", "docker", "open"),
            ("web-1", "registry", "closed"),
            ("web-2", "agent", "closed"),
            ("web-2", "docker", "closed"),
            ("web-2", "registry", "closed"),
        ]
        assert set(listed[1]) == CIRCUIT

        await plane.clock.advance(60)
        assert (await circuit(plane))["state"] == "half_open"
        session.script = ok
        await plane.done(READ)
        assert (await circuit(plane))["successes"] == 1
        await plane.done(READ)
        closed = await circuit(plane)
        assert closed["state"] == "closed"
        transitions = closed["transitions"]
        assert isinstance(transitions, list)
        assert [(each["from"], each["to"]) for each in transitions] == [
            ("half_open", "closed"),
            ("open", "half_open"),
            ("closed", "open"),
        ]
        assert {each["by"] for each in transitions} == {""}, "nobody overruled it"


@pytest.mark.asyncio
async def test_an_operator_holds_a_circuit_open_and_resets_it(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        answer = await plane.post(
            "/api/v1/circuits/web-1/agent/open", {"reason": "disk swap"}, role=Role.OPERATOR
        )
        held = answer.json()
        assert (held["state"], held["forced"], held["probe_at"]) == ("open", True, None)
        (opened,) = held["transitions"]
        assert (opened["reason"], opened["by"]) == ("held open: disk swap", "operator")
        is_problem(await plane.post("/api/v1/commands", PING), 503, "circuit_open")
        await plane.clock.advance(100_000)
        is_problem(await plane.post("/api/v1/commands", PING), 503, "circuit_open")
        reset = (await plane.post("/api/v1/circuits/web-1/agent/reset")).json()
        assert (reset["state"], reset["forced"]) == ("closed", False)
        assert (await plane.done(PING))["state"] == "SUCCEEDED"
        assert len(plane.services.guards) == 0


@pytest.mark.asyncio
async def test_a_circuit_that_is_held_closed_never_opens(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(docker_down)
        held = (await plane.post(f"/api/v1/circuits/{HOST}/docker/close", {"reason": ""})).json()
        assert (held["state"], held["forced"]) == ("closed", True)
        for _ in range(4):
            await plane.done(READ)
        assert (await circuit(plane))["state"] == "closed"


@pytest.mark.asyncio
async def test_incident_27_asking_for_circuits_that_are_not_there_leaves_nothing(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        for number in range(20):
            is_problem(await plane.post(f"/api/v1/circuits/bogus-{number}/agent/open"), 404, "unknown_host")
            is_problem(await plane.get(f"/api/v1/circuits/bogus-{number}/agent"), 404, "unknown_host")
        await plane.post("/api/v1/circuits/web-1/agent/reset")
        await circuit(plane)
        is_problem(await plane.get("/api/v1/circuits/web-1/network"), 422, "invalid_request")
        is_problem(await plane.post("/api/v1/circuits/web-1/agent/explode"), 422, "invalid_request")
        for body in ({"reason": 7}, {"why": "x"}, {"reason": "x" * 501}):
            is_problem(await plane.post("/api/v1/circuits/web-1/agent/open", body), 422, "invalid_request")
        assert len(plane.services.guards) == 0


# Tokens


@pytest.mark.asyncio
async def test_a_token_works_from_its_making_until_its_revocation_and_not_a_moment_longer(
    tmp_path: Path,
) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.post("/api/v1/tokens", {"name": "ci", "role": "operator"})
        assert answer.status_code == 201
        made = answer.json()
        assert (made["name"], made["role"], made["expires_at"]) == ("ci", "operator", None)
        plane.tokens[Role.OPERATOR] = made["token"]
        assert (await plane.get("/api/v1/agents", Role.OPERATOR)).status_code == 200
        listed = await plane.get("/api/v1/tokens", Role.ADMIN)
        assert "ci" in [token["name"] for token in listed.json()]
        assert made["token"] not in listed.text
        assert "secret" not in listed.text
        revoked = await plane.request("DELETE", f"/api/v1/tokens/{made['token_id']}")
        assert (revoked.status_code, revoked.content) == (204, b"")
        is_problem(await plane.get("/api/v1/agents", Role.OPERATOR), 401, "unauthenticated")
        again = await plane.request("DELETE", f"/api/v1/tokens/{made['token_id']}")
        is_problem(again, 404, "not_found")


@pytest.mark.asyncio
async def test_a_token_expires(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        body = {"name": "hour", "role": "viewer", "expires_in_seconds": 3600}
        plane.tokens[Role.VIEWER] = (await plane.post("/api/v1/tokens", body)).json()["token"]
        await plane.clock.advance(3_599)
        assert (await plane.get("/api/v1/agents")).status_code == 200
        await plane.clock.advance(1)
        is_problem(await plane.get("/api/v1/agents"), 401, "unauthenticated")


@pytest.mark.asyncio
async def test_the_last_admin_token_cannot_be_revoked(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        tokens = (await plane.get("/api/v1/tokens", Role.ADMIN)).json()
        admin = next(token["token_id"] for token in tokens if token["role"] == "admin")
        is_problem(await plane.request("DELETE", f"/api/v1/tokens/{admin}"), 409, "conflict")
        assert (await plane.post("/api/v1/tokens", {"name": "second", "role": "admin"})).status_code == 201
        assert (await plane.request("DELETE", f"/api/v1/tokens/{admin}")).status_code == 204


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "role": "viewer"},
        {"name": " ", "role": "viewer"},
        {"name": "a\nb", "role": "viewer"},
        {"name": "x" * 65, "role": "viewer"},
        {"name": "ci", "role": "root"},
        {"name": "ci"},
        {"name": "ci", "role": "viewer", "expires_in_seconds": 0},
    ],
)
async def test_a_token_that_cannot_be_meant_is_422(tmp_path: Path, body: dict[str, object]) -> None:
    async with api_plane(tmp_path) as plane:
        is_problem(await plane.post("/api/v1/tokens", body), 422, "invalid_request")
        assert len(await plane.services.access.tokens()) == 3


@pytest.mark.asyncio
async def test_a_join_token_comes_with_the_command_to_run(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.post("/api/v1/join-tokens", {})
        assert answer.status_code == 201
        made = answer.json()
        token = parse_join_token(made["token"])
        assert token.ca_fingerprint == plane.controller.authority.fingerprint
        assert made["command"] == f"seawall agent join https://controller.test:7701 --token {made['token']}"
        assert (datetime.fromisoformat(made["expires_at"]) - plane.clock.wall()).total_seconds() == 600


# Operations, description, health


@pytest.mark.asyncio
async def test_operations_say_what_they_take_and_who_may(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        listed = {each["name"]: each for each in (await plane.get("/api/v1/operations")).json()}
        assert set(listed) == set(OPERATIONS)
        assert listed["container_update"]["supported"] is True
        restart = listed["container_restart"]
        assert (restart["role"], restart["safety"]) == ("operator", "verifiable")
        assert [argument["name"] for argument in restart["arguments"]] == ["container", "grace_seconds"]
        assert restart["arguments"][1]["kind"] == "int"


@pytest.mark.asyncio
async def test_the_description_names_every_route_and_the_body_of_a_command(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        described = (await plane.get("/api/v1/openapi.json")).json()
        assert "/api/v1/commands/{command_id}/cancel" in described["paths"]
        body = described["paths"]["/api/v1/commands"]["post"]["requestBody"]
        assert body["content"]["application/json"]["schema"]["required"] == ["operation", "agent"]


@pytest.mark.asyncio
async def test_it_is_ready_when_the_store_answers_and_recovery_is_done_and_both_listeners_are_up(
    tmp_path: Path,
) -> None:
    async with api_plane(tmp_path) as plane:
        readiness = plane.services.readiness
        assert (await plane.get("/healthz", None)).status_code == 200
        problem = is_problem(await plane.get("/readyz", None), 503, "not_ready")
        assert "listeners" in str(problem["detail"])
        readiness.recovered = True
        is_problem(await plane.get("/readyz", None), 503, "not_ready")
        readiness.listening = True
        assert (await plane.get("/readyz", None)).status_code == 200


@pytest.mark.asyncio
async def test_a_store_that_fails_is_503_and_never_500(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.services.readiness.recovered = plane.services.readiness.listening = True
        assert (await plane.get("/readyz", None)).status_code == 200
        assert (await plane.get("/api/v1/agents", Role.ADMIN)).status_code == 200
        await plane.services.store.close()
        answer = await plane.get("/api/v1/commands", Role.ADMIN)
        is_problem(answer, 503, "store_failed")
        assert int(answer.headers["retry-after"]) >= 1
        is_problem(await plane.post("/api/v1/tokens", {"name": "x", "role": "viewer"}), 503, "store_failed")
        await plane.clock.advance(1)
        problem = is_problem(await plane.get("/readyz", None), 503, "not_ready")
        assert "database" in str(problem["detail"])
        assert (await plane.get("/healthz", None)).status_code == 200
        with pytest.raises(StoreFailed):
            await plane.services.store.tokens()


@pytest.mark.asyncio
async def test_the_metrics_of_a_retry_can_be_scraped_under_their_names(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(first_fails(CommandErrorCode.TIMEOUT))
        assert (await plane.done(READ))["state"] == "SUCCEEDED"
        session.script = docker_down
        await plane.done(READ)
        await plane.done(READ)
        answer = await plane.get("/metrics", None)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.text.splitlines()
        assert f'command_retries_total{{agent_id="{HOST}"}} 5.0' in lines
        assert f'command_retry_success_total{{agent_id="{HOST}"}} 1.0' in lines
        assert 'command_errors_total{error_code="docker_error"} 2.0' in lines
        assert 'command_duration_seconds_count{retried="true"} 3.0' in lines
        moved = f'circuit_breaker_state_transitions_total{{agent_id="{HOST}",from="closed",to="open"}} 1.0'
        assert moved in lines
        assert 'commands_total{operation="container_list",state="SUCCEEDED"} 1.0' in lines
        assert "agents_connected 1.0" in lines
        assert f'circuit_state{{agent_id="{HOST}",domain="docker"}} 2.0' in lines
        assert "gateway_foreign_answers_total 0.0" in lines


@pytest.mark.asyncio
async def test_no_answer_is_kept_by_a_cache(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        for path in ("/healthz", "/api/v1/agents", "/nowhere"):
            assert (await plane.get(path)).headers["cache-control"] == "no-store"


def test_the_states_of_circuits_are_those_that_the_api_promises() -> None:
    assert {state.value for state in CircuitState} == {"closed", "open", "half_open"}
    assert {domain.value for domain in Domain} == {"agent", "docker", "registry"}


@pytest.mark.asyncio
async def test_the_metrics_say_how_busy_and_how_full_the_controller_is(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        session.hold = asyncio.Event()
        session.signs = Signs(free_bytes=5, total_bytes=100, clock_offset_seconds=-4.0)
        session.signs.take(HostVitals("", 5, 100, 0.0, {}, 7, 3, True))
        plane.attach(agent_id=OTHER).signs.take(HostVitals("", ledger_entries=9))
        await plane.post("/api/v1/commands", CHANGE)
        await plane.post("/api/v1/circuits/web-2/docker/open", {})
        await plane.settle()
        text = (await plane.get("/metrics")).text
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        expected = {
            'agents{state="connected"}': 2,
            'agents{state="disconnected"}': 0,
            'agent_latency_seconds{quantile="0.95"}': 0.002,
            "agents_disk_low": 1,
            "agent_clock_offset_seconds": 4,
            "ledger_entries": 16,
            "ledger_most_entries": 9,
            "ledger_unacknowledged": 3,
            "agents_ledger_full": 1,
            'circuits{domain="docker",state="open"}': 1,
            "bulkhead_in_flight": 1,
            "commands_open": 1,
            "streams_open": 0,
        }
        assert {name: float(found[name]) for name in expected} == expected
        for name in ("store_writes_total", "store_transactions_total", "store_bytes", "store_free_bytes"):
            assert float(found[name]) > 0, name
        session.hold.set()
        await plane.settle()
        assert "\nbulkhead_in_flight 0.0\n" in (await plane.get("/metrics")).text
