"""What the API offers about a command whose outcome isn't known, and about a host that two use."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.core.command import Outcome, Source
from seawall.operations.operation import Role
from tests.controller.api_plane import HOST, READ, api_plane, is_problem

pytestmark = pytest.mark.asyncio

COMMANDS = "/api/v1/commands"
LOOKED = {"state": "FAILED", "reason": "it never restarted"}


async def test_an_unknown_command_says_what_can_be_done_about_it(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(lambda *_: Outcome(source=Source.AGENT))
        record = await plane.unknown()
        assert record["safe_actions"] == ["verify", "resolve", "force-retry"]
        assert (record["sequence"], record["error_code"], record["resolved_by"]) == (1, "timeout", "")
        done = await plane.done(READ)
        assert (done["safe_actions"], done["sequence"], done["settled"]) == ([], 0, True)


async def test_verifying_is_200_once_the_agents_ledger_has_told(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(lambda *_: Outcome(source=Source.AGENT))
        record = await plane.unknown()
        session.script = lambda *_: Outcome(response={"verified": True}, source=Source.LEDGER)
        answer = await plane.post(f"{COMMANDS}/{record['command_id']}/verify", role=Role.OPERATOR)
        assert (answer.status_code, answer.json()["state"]) == (200, "SUCCEEDED")
        again = await plane.post(f"{COMMANDS}/{record['command_id']}/verify")
        assert "SUCCEEDED" in str(is_problem(again, 409, "conflict")["detail"])


async def test_verifying_is_202_while_the_agent_can_not_tell(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(lambda *_: Outcome(source=Source.AGENT))
        record = await plane.unknown()
        answer = await plane.post(f"{COMMANDS}/{record['command_id']}/verify?wait=1")
        assert (answer.status_code, answer.json()["state"], answer.json()["settled"]) == (
            202,
            "UNKNOWN",
            False,
        )


async def test_resolving_keeps_who_said_so_and_why(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(lambda *_: Outcome(source=Source.AGENT))
        record = await plane.unknown()
        path = f"{COMMANDS}/{record['command_id']}"
        answer = await plane.post(f"{path}/resolve", LOOKED, role=Role.OPERATOR)
        assert answer.status_code == 200
        shown = (await plane.get(path)).json()
        assert shown == answer.json()
        assert (shown["state"], shown["settled"], shown["resolved_by"], shown["resolution"]) == (
            "FAILED",
            True,
            "operator",
            "it never restarted",
        )
        is_problem(await plane.post(f"{path}/resolve", LOOKED), 409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "FAILED"},
        {"state": "FAILED", "reason": " "},
        {"state": "FAILED", "reason": "x" * 1_001},
        {"state": "CANCELLED", "reason": "because"},
        {"state": "GONE", "reason": "because"},
        {"state": "FAILED", "reason": "because", "more": 1},
    ],
    ids=str,
)
async def test_a_resolution_that_can_not_be_meant_is_422_and_changes_nothing(
    tmp_path: Path, body: dict[str, object]
) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(lambda *_: Outcome(source=Source.AGENT))
        record = await plane.unknown()
        path = f"{COMMANDS}/{record['command_id']}"
        is_problem(await plane.post(f"{path}/resolve", body), 422, "invalid_request")
        assert (await plane.get(path)).json()["state"] == "UNKNOWN"


async def test_forcing_a_retry_is_a_new_command_under_its_own_key(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(lambda *_: Outcome(response="anew", source=Source.LEDGER))
        session.script = lambda *_: Outcome(source=Source.AGENT)
        record = await plane.unknown()
        session.script = lambda _, attempt: Outcome(
            response="anew", source=Source.AGENT if attempt.asks else Source.LEDGER
        )
        path, key = f"{COMMANDS}/{record['command_id']}/force-retry", {"Idempotency-Key": "again-1"}
        forced = await plane.post(path, headers=key, role=Role.OPERATOR)
        assert forced.status_code == 202
        assert forced.json()["command_id"] != record["command_id"]
        assert forced.headers["location"] == f"{COMMANDS}/{forced.json()['command_id']}"
        over = (await plane.get(f"{forced.headers['location']}?wait=10")).json()
        assert (over["state"], over["response"], over["requested_by"]) == ("SUCCEEDED", "anew", "operator")
        again = await plane.post(path, headers=key)
        assert again.json()["command_id"] == over["command_id"]
        assert (await plane.get(f"{COMMANDS}/{record['command_id']}")).json()["state"] == "UNKNOWN"


@pytest.mark.parametrize("action", ["verify", "resolve", "force-retry"])
async def test_nothing_can_be_done_about_a_command_that_is_not_unknown_or_not_there(
    tmp_path: Path, action: str
) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        done = await plane.done(READ)
        body = LOOKED if action == "resolve" else None
        answer = await plane.post(f"{COMMANDS}/{done['command_id']}/{action}", body)
        is_problem(answer, 409, "conflict")
        is_problem(await plane.post(f"{COMMANDS}/nobody's/{action}", body), 404, "not_found")


async def test_a_host_in_quarantine_is_shown_so_until_an_admin_releases_it(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        assert await plane.services.store.quarantine(HOST, plane.clock.wall())
        record = plane.services.fleet.find(HOST)
        assert record is not None
        record.quarantined_at = plane.clock.wall()
        shown = (await plane.get("/api/v1/agents/web-1")).json()
        assert (shown["state"], shown["quarantined_at"]) == ("quarantined", "2030-01-01T00:00:00Z")
        is_problem(await plane.post("/api/v1/agents/web-1/release", role=Role.OPERATOR), 403, "forbidden")
        released = await plane.post("/api/v1/agents/web-1/release")
        assert released.status_code == 200
        assert (released.json()["state"], released.json()["quarantined_at"]) == ("disconnected", None)
        kept = await plane.services.store.agent(HOST)
        assert kept is not None
        assert kept.quarantined_at is None
        is_problem(await plane.post("/api/v1/agents/web-3/release"), 404, "unknown_host")
        await plane.post("/api/v1/agents/web-1/revoke")
        is_problem(await plane.post("/api/v1/agents/web-1/release"), 404, "unknown_host")
