"""Commands over the API: accepted, refused, repeated, waited for, cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seawall.controller.api.problems import Problem
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.fleet import Signs
from seawall.files import LOOK_SECONDS
from seawall.operations.host_level import Level
from seawall.operations.operation import Role
from seawall.storage.sqlite import RESERVE_BYTES
from tests.controller.api_plane import (
    CHANGE,
    HOST,
    PING,
    READ,
    ApiPlane,
    api_plane,
    docker_down,
    failing,
    first_fails,
    is_problem,
    ok,
)

COMMANDS = "/api/v1/commands"
RECORD = {
    *(
        "command_id",
        "operation",
        "agent_id",
        "agent",
        "arguments",
        "state",
        "error_code",
        "error",
        "response",
    ),
    *("attempts", "total_attempts", "retried", "duration_seconds", "timeout_seconds", "max_attempts"),
    *("accepted_at", "deadline_at", "finished_at", "requested_by", "idempotency_key", "retry_after_seconds"),
    *("sequence", "settled", "evidence", "resolved_by", "resolution", "safe_actions"),
}


@pytest.mark.asyncio
async def test_a_command_is_accepted_at_once_and_done_soon(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        accepted = await plane.post(COMMANDS, CHANGE, role=Role.OPERATOR)
        assert accepted.status_code == 202
        record = accepted.json()
        assert set(record) >= RECORD
        assert (record["state"], record["sequence"], record["settled"]) == ("DISPATCHED", 1, False)
        assert not {"fingerprint", "recorded"} & set(record)
        assert accepted.headers["location"] == f"{COMMANDS}/{record['command_id']}"
        over = (await plane.get(f"{accepted.headers['location']}?wait=10")).json()
        assert (over["state"], over["response"], over["requested_by"]) == (
            "SUCCEEDED",
            {"done": True},
            "operator",
        )
        assert [attempt["number"] for attempt in over["attempts"]] == [1]


@pytest.mark.asyncio
async def test_whoever_waits_long_enough_gets_200_with_the_final_record(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(first_fails(CommandErrorCode.TIMEOUT))
        answer = await plane.while_time_passes(plane.post(f"{COMMANDS}?wait=60", READ))
        assert answer.status_code == 200
        record = answer.json()
        assert (record["state"], record["total_attempts"], record["retried"]) == ("SUCCEEDED", 2, True)
        assert [attempt["error_code"] for attempt in record["attempts"]] == ["timeout", None]
        assert None not in [attempt["finished_at"] for attempt in record["attempts"]]


@pytest.mark.asyncio
async def test_whoever_waits_too_short_gets_202_with_the_record_as_it_is(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.post(f"{COMMANDS}?wait=0.01", CHANGE)
        assert answer.status_code == 202
        assert answer.json()["state"] == "ACCEPTED"


@pytest.mark.asyncio
async def test_a_controller_that_stops_answers_those_who_wait(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        waiting = asyncio.create_task(plane.post(f"{COMMANDS}?wait=600", CHANGE))
        while not (await plane.services.store.commands()):
            await plane.clock.settle()
        plane.services.stopping.set()
        answer = await asyncio.wait_for(waiting, 10)
        assert answer.status_code == 202


@pytest.mark.asyncio
async def test_one_idempotency_key_is_one_command(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        key = {"Idempotency-Key": "deploy-7"}
        first = await plane.post(f"{COMMANDS}?wait=60", CHANGE, headers=key)
        again = await plane.post(COMMANDS, CHANGE, headers=key)
        assert again.status_code == 200
        assert again.json() == first.json()
        assert len(session.reached) == 1
        other = await plane.post(COMMANDS, PING, headers=key)
        problem = is_problem(other, 409, "idempotency_conflict")
        assert problem["command_id"] == first.json()["command_id"]


@pytest.mark.asyncio
async def test_500_posts_of_one_key_at_once_are_one_command_and_500_equal_answers(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        key = {"Idempotency-Key": "deploy-8"}
        posts = (plane.post(f"{COMMANDS}?wait=60", CHANGE, headers=key) for _ in range(500))
        answers = await asyncio.gather(*posts)
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len(session.reached) == 1
        assert len(await plane.services.store.commands()) == 1


@pytest.mark.asyncio
async def test_a_disk_almost_full_stops_what_is_new_and_concludes_what_was_accepted(tmp_path: Path) -> None:
    room = [RESERVE_BYTES]
    async with api_plane(tmp_path, free_bytes=lambda _: room[0]) as plane:
        session = plane.attach()
        session.hold = asyncio.Event()
        key = {"Idempotency-Key": "deploy-9"}
        accepted = await plane.post(COMMANDS, CHANGE, headers=key)
        assert accepted.status_code == 202
        room[0] -= 1
        await plane.clock.advance(LOOK_SECONDS)
        refused = await plane.post(COMMANDS, CHANGE)
        is_problem(refused, 503, "store_full")
        assert int(refused.headers["retry-after"]) >= 1
        again = await plane.post(COMMANDS, CHANGE, headers=key)
        assert again.json()["command_id"] == accepted.json()["command_id"]
        session.hold.set()
        finished = await plane.get(f"{COMMANDS}/{accepted.json()['command_id']}?wait=60")
        assert finished.json()["state"] == "SUCCEEDED"
        assert len(session.reached) == 1
        room[0] += 1
        await plane.clock.advance(LOOK_SECONDS)
        assert (await plane.done(READ))["state"] == "SUCCEEDED"


@pytest.mark.asyncio
async def test_an_open_circuit_is_503_with_retry_after_and_the_record(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(docker_down)
        await plane.done(READ)
        await plane.done(READ)
        sent = len(session.reached)
        answer = await plane.post(f"{COMMANDS}?wait=5", READ)
        problem = is_problem(answer, 503, "circuit_open")
        assert int(answer.headers["retry-after"]) >= 1
        record = problem["command"]
        assert isinstance(record, dict)
        assert set(record) >= RECORD
        assert (record["state"], record["error_code"]) == ("REJECTED", "circuit_open")
        assert len(session.reached) == sent
        shown = await plane.get(f"{COMMANDS}/{record['command_id']}")
        assert shown.status_code == 200
        assert (await plane.done(PING))["error_code"] == "docker_error"


@pytest.mark.asyncio
async def test_retry_after_is_at_least_one_second_also_when_the_probe_is_due(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(docker_down)
        await plane.done(READ)
        await plane.done(READ)
        plane.controller.fleet.heard(HOST, Domain.DOCKER, "the Docker Engine answered a ping")
        session.hold = asyncio.Event()
        probing = asyncio.create_task(plane.post(f"{COMMANDS}?wait=60", READ))
        sent = len(session.reached)
        while len(session.reached) == sent:
            await plane.clock.settle()
        answer = await plane.post(COMMANDS, READ)
        is_problem(answer, 503, "circuit_open")
        assert answer.headers["retry-after"] == "1"
        session.script = ok
        session.hold.set()
        assert (await probing).json()["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (29.5, "30")]
)
def test_retry_after_is_whole_seconds_never_early_and_at_least_one(seconds: float, header: str) -> None:
    problem = Problem(503, CommandErrorCode.CIRCUIT_OPEN, "later", retry_after_seconds=seconds)
    assert problem.response().headers["retry-after"] == header


@pytest.mark.asyncio
async def test_too_many_commands_at_once_are_rejected_and_leave_the_others_alone(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        session.hold = asyncio.Event()
        posts = [asyncio.create_task(plane.post(f"{COMMANDS}?wait=600", READ)) for _ in range(30)]
        rejected = []
        for finished in asyncio.as_completed(posts):
            rejected.append((await finished).json())
            if len(rejected) == 6:
                break
        for record in rejected:
            assert (record["state"], record["error_code"]) == ("REJECTED", "bulkhead_full")
            assert record["retry_after_seconds"] > 0
        session.hold.set()
        answers = await asyncio.gather(*posts)
        states = sorted(answer.json()["state"] for answer in answers)
        assert states == ["REJECTED"] * 6 + ["SUCCEEDED"] * 24


@pytest.mark.asyncio
async def test_a_command_that_was_accepted_keeps_its_key_even_if_it_is_rejected_later(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        session.hold = asyncio.Event()
        filling = [asyncio.create_task(plane.post(f"{COMMANDS}?wait=600", READ)) for _ in range(24)]
        guards = plane.controller.guards
        async with asyncio.timeout(20):
            while guards.of(HOST).bulkhead.waiting < 16:
                await plane.clock.settle()
        key = {"Idempotency-Key": "k-1"}
        rejected = (await plane.post(f"{COMMANDS}?wait=600", READ, headers=key)).json()
        assert rejected["state"] == "REJECTED"
        session.hold.set()
        await asyncio.gather(*filling)
        again = (await plane.post(f"{COMMANDS}?wait=600", READ, headers=key)).json()
        assert (again["command_id"], again["state"]) == (rejected["command_id"], "REJECTED")


@pytest.mark.asyncio
async def test_incident_2_a_change_in_doubt_is_unknown_and_not_an_error_of_the_request(
    tmp_path: Path,
) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        answer = await plane.while_time_passes(plane.post(f"{COMMANDS}?wait=60", CHANGE))
        assert answer.status_code == 200
        assert answer.json()["state"] == "UNKNOWN"


@pytest.mark.asyncio
async def test_cancelling_what_waits_proves_that_it_never_ran(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        accepted = (await plane.post(COMMANDS, CHANGE)).json()
        await plane.clock.settle()
        answer = await plane.post(f"{COMMANDS}/{accepted['command_id']}/cancel", role=Role.OPERATOR)
        assert answer.status_code == 200
        record = answer.json()
        assert record["state"] == "CANCELLED"
        assert record["attempts"] == []
        assert "operator" in record["error"]


@pytest.mark.asyncio
async def test_cancelling_what_the_agent_has_stays_honest(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        session.hold = asyncio.Event()
        accepted = (await plane.post(COMMANDS, CHANGE)).json()
        while not session.reached:
            await plane.clock.settle()
        answer = await plane.post(f"{COMMANDS}/{accepted['command_id']}/cancel")
        assert answer.json()["state"] == "UNKNOWN"


@pytest.mark.asyncio
async def test_cancelling_what_is_over_changes_nothing(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        record = await plane.done(CHANGE)
        answer = await plane.post(f"{COMMANDS}/{record['command_id']}/cancel")
        assert answer.status_code == 200
        assert answer.json() == record


@pytest.mark.asyncio
async def test_commands_are_listed_newest_first_and_filtered(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        made = [await plane.done(body) for body in (READ, CHANGE, PING)]
        ids = [record["command_id"] for record in reversed(made)]

        async def listed(query: str) -> list[object]:
            answer = await plane.get(f"{COMMANDS}?{query}")
            assert answer.status_code == 200, answer.text
            return [record["command_id"] for record in answer.json()]

        assert await listed("") == ids
        assert await listed("limit=2") == ids[:2]
        assert await listed(f"before={ids[1]}") == ids[2:]
        assert await listed("operation=ping&agent=web-1&state=SUCCEEDED") == ids[:1]
        assert await listed(f"agent={HOST}&state=FAILED&state=UNKNOWN") == []
        assert await listed("agent=web-2") == []


BAD_ORDERS: list[tuple[object, int, str, str]] = [
    ({**PING, "operation": "container_explode"}, 422, "unsupported_operation", "container_list"),
    ({**PING, "agent": "nobody"}, 404, "unknown_host", "agent list"),
    ({**CHANGE, "arguments": {}}, 422, "invalid_argument", "missing"),
    ({**CHANGE, "arguments": {"container": 7}}, 422, "invalid_argument", "type str"),
    ({**CHANGE, "arguments": {"container": "a;rm -rf /"}}, 422, "invalid_argument", "container"),
    ({**CHANGE, "arguments": {"container": "web", "grace": 1}}, 422, "invalid_argument", "grace"),
    (
        {**CHANGE, "arguments": {"container": "web", "grace_seconds": 1 << 80}},
        422,
        "invalid_argument",
        "most",
    ),
    ({**PING, "timeout_seconds": 0}, 422, "invalid_request", "timeout_seconds"),
    ({**PING, "timeout_seconds": -1}, 422, "invalid_request", "timeout_seconds"),
    ({**PING, "max_attempts": 0}, 422, "invalid_request", "max_attempts"),
    ({**PING, "max_attempts": 1 << 70}, 422, "invalid_request", "max_attempts"),
    ({**PING, "max_attempts": 1.5}, 422, "invalid_request", "max_attempts"),
    ({**PING, "deadline_seconds": 0}, 422, "invalid_request", "deadline_seconds"),
    ({**PING, "timeout": 5}, 422, "invalid_request", "timeout"),
    ({**PING, "arguments": []}, 422, "invalid_request", "arguments"),
    ({"operation": "ping"}, 422, "invalid_request", "agent"),
    ([PING], 422, "invalid_request", "object"),
    ("ping", 422, "invalid_request", "object"),
]


@pytest.mark.asyncio
async def test_a_bad_order_is_a_problem_that_names_it_and_keeps_nothing(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        for body, status, error_code, said in BAD_ORDERS:
            problem = is_problem(await plane.post(COMMANDS, body), status, error_code)
            assert said in str(problem["detail"]), (body, problem)
        await keeps_nothing(plane)


BAD_BODIES = [
    b"",
    b"{",
    b"hello",
    b"\xff\xfe",
    b'{"operation": "ping", "agent": NaN}',
    b'{"operation": "\\ud800", "agent": "web-1"}',
    b'{"operation": "ping", "agent": "web-1", "arguments": {"a": ' + b"[" * 500_000,
]


@pytest.mark.asyncio
async def test_a_body_that_is_not_json_is_a_400_problem(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        for content in BAD_BODIES:
            answer = await plane.request("POST", COMMANDS, content=content)
            assert "JSON" in str(is_problem(answer, 400, "invalid_request")["detail"])
        await keeps_nothing(plane)


@pytest.mark.asyncio
async def test_a_body_of_more_than_a_mebibyte_is_413_however_it_comes(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        content = b'{"operation": "ping", "agent": "web-1"' + b" " * (20 * 1024 * 1024) + b"}"
        is_problem(await plane.request("POST", COMMANDS, content=content), 413, "too_large")
        fitting = b'{"operation": "ping", "agent": "web-1"' + b" " * (1024 * 1024 - 39) + b"}"
        assert len(fitting) == 1024 * 1024
        assert (await plane.request("POST", COMMANDS, content=fitting)).status_code == 202
        is_problem(await plane.request("POST", COMMANDS, content=fitting + b" "), 413, "too_large")


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "1e9", "soon", ""])
async def test_a_wait_that_cannot_be_meant_is_422_and_starts_nothing(tmp_path: Path, wait: str) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.post(f"{COMMANDS}?wait={wait}", PING)
        assert "wait" in str(is_problem(answer, 422, "invalid_request")["detail"])
        await keeps_nothing(plane)


@pytest.mark.asyncio
async def test_a_key_that_is_too_long_is_422(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.post(COMMANDS, PING, headers={"Idempotency-Key": "k" * 256})
        is_problem(answer, 422, "invalid_request")


@pytest.mark.asyncio
async def test_what_is_not_there_is_404_and_a_wrong_method_405(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        is_problem(await plane.get(f"{COMMANDS}/nothing"), 404, "not_found")
        is_problem(await plane.get(f"{COMMANDS}/nothing?wait=5"), 404, "not_found")
        is_problem(await plane.get(f"{COMMANDS}/nothing/events"), 404, "not_found")
        is_problem(await plane.post(f"{COMMANDS}/nothing/cancel"), 404, "not_found")
        is_problem(await plane.get(f"{COMMANDS}?agent=nobody"), 404, "unknown_host")
        is_problem(await plane.get(f"{COMMANDS}?state=DONE"), 422, "invalid_request")
        is_problem(await plane.get(f"{COMMANDS}?limit=0"), 422, "invalid_request")
        is_problem(await plane.get("/api/v2/commands"), 404, "not_found")
        is_problem(await plane.get("/api/v1/commands/"), 404, "not_found")
        for page in ("/docs", "/redoc", "/openapi.json", "/api/docs"):
            is_problem(await plane.get(page), 404, "not_found")
        wrong = await plane.request("DELETE", "/api/v1/agents")
        is_problem(wrong, 405, "method_not_allowed")
        assert wrong.headers["allow"] == "GET"


async def keeps_nothing(plane: ApiPlane) -> None:
    assert await plane.services.store.commands() == []


@pytest.mark.asyncio
async def test_an_open_circuit_of_the_registries_turns_pulls_away_and_nothing_else(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        breaker = plane.controller.guards.of(HOST).breaker(Domain.REGISTRY)
        breaker.put(CircuitState.OPEN, plane.clock.now() + 60.0)
        pull = {"operation": "image_pull", "agent": "web-1", "arguments": {"reference": "app:1"}}
        refused = is_problem(await plane.post(COMMANDS, pull), 503, "circuit_open")
        assert "registry" in str(refused["detail"])
        assert (await plane.done(CHANGE))["state"] == "SUCCEEDED"


EXEC = {
    "operation": "container_exec",
    "agent": "web-1",
    "arguments": {"container": "web", "command": ["true"]},
}
CREATE = {"operation": "container_create", "agent": "web-1", "arguments": {"image": "app:1"}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("level", "may_exec", "body", "rule"),
    [
        (Level.READ_ONLY, False, READ, None),
        (Level.READ_ONLY, True, CHANGE, "level"),
        (Level.OPERATE, False, CHANGE, None),
        (Level.OPERATE, True, CREATE, "level"),
        (Level.OPERATE, False, EXEC, "exec"),
        (Level.READ_ONLY, True, EXEC, None),
        (Level.MANAGE, False, CREATE, None),
        (None, False, CREATE, None),
    ],
)
async def test_what_a_host_has_told_to_forbid_is_refused_before_anything_is_sent(
    tmp_path: Path, level: Level | None, may_exec: bool, body: dict[str, object], rule: str | None
) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        session.signs = Signs(level=level, may_exec=may_exec)
        record = await plane.done(body)
        if rule is None:
            assert record["state"] == "SUCCEEDED"
            return
        assert (record["state"], record["error_code"]) == ("FAILED", "permission_denied")
        assert f"the policy of host web-1 forbids it ({rule})" in str(record["error"])
        assert (record["total_attempts"], record["settled"], session.reached) == (0, True, [])
        session.signs.level, session.signs.may_exec = Level.MANAGE, True
        assert (await plane.done(body))["state"] == "SUCCEEDED"
