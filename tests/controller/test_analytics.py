"""The figures over the API: what hosts did is counted, looking costs little, and limits are said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.controller.analyst import Analyst
from seawall.core.circuit import CircuitState
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.analytics_csv import CsvTable
from seawall.operations.operation import Role
from seawall.wire.secret import Secret
from tests.controller.api_plane import OTHER, READ, ApiPlane, api_plane, docker_down, failing, is_problem

pytestmark = pytest.mark.asyncio

REFUSED = failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED)


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ApiPlane]:
    async with api_plane(tmp_path) as made:
        yield made


def client(plane: ApiPlane) -> Client:
    return Client(
        Connection("http://seawall.test", Secret(plane.tokens[Role.VIEWER]), None),
        transport=httpx.ASGITransport(plane.controller.api),
    )


async def test_hosts_that_fail_stand_first_with_their_patterns_and_their_open_circuits(
    plane: ApiPlane,
) -> None:
    plane.attach(docker_down)
    plane.attach(agent_id=OTHER)
    for _ in range(5):
        await plane.done({**READ, "max_attempts": 1})
    await plane.done({**READ, "agent": "web-2"})
    await plane.controller.transitions.flush()
    await plane.clock.advance(10.0)
    async with client(plane) as asking:
        found = await asking.analytics.look()
        assert (found.commands, found.failures, found.complete) == (6, 5, True)
        bad, good = found.hosts
        assert (bad.host, bad.commands, bad.failed, bad.outages) == ("web-1", 5, 5, 1)
        # It is open, and nobody knows when it will be closed.
        assert bad.down_seconds == pytest.approx(10.0, abs=0.1)
        assert bad.mttr_seconds is None
        assert (good.host, good.succeeded, good.reliability) == ("web-2", 1, 1.0)
        (pattern,) = found.patterns
        assert (pattern.code, pattern.host, pattern.operation, pattern.total) == (
            *("docker_error", "web-1", "container_list", 5),
        )
        one = await asking.analytics.look(host="web-2")
        assert ([host.host for host in one.hosts], one.commands) == (["web-2"], 1)
        assert (await asking.analytics.look(limit=1)).hosts == [bad]
        lines = (await asking.analytics.csv(CsvTable.ERRORS, found.begins_at)).splitlines()
        assert lines[1].partition(",")[2].split(",")[0::2] == ["docker_error", pattern.agent_id, "5"]
        assert len((await asking.analytics.csv(CsvTable.HOSTS)).splitlines()) == 3


async def test_what_was_made_is_good_for_a_while_and_then_made_anew(plane: ApiPlane) -> None:
    plane.attach(REFUSED)
    await plane.done(READ)
    assert (await plane.get("/api/v1/analytics")).json()["commands"] == 1
    await plane.done(READ)
    assert (await plane.get("/api/v1/analytics")).json()["commands"] == 1
    # Another time is another question.
    since = plane.clock.wall().timestamp() - 3_600
    assert (await plane.get(f"/api/v1/analytics?since={since}")).json()["commands"] == 2
    await plane.clock.advance(6.0)
    assert (await plane.get("/api/v1/analytics")).json()["commands"] == 2


async def test_of_more_commands_than_are_looked_at_the_newest_count_and_it_says_so(plane: ApiPlane) -> None:
    plane.attach()
    for _ in range(3):
        await plane.done(READ)
        await plane.clock.advance(60.0)
    services = plane.services
    analyst = Analyst(services.store, services.fleet, services.guards, services.clock, most_commands=2)
    found = await analyst.look(3_600.0)
    assert (found.commands, found.complete) == (2, False)
    back = (found.ends_at - found.read_back_to).total_seconds()
    assert back == pytest.approx(120.0, abs=1.0)


class SlowStore:
    """A past without anything in it, which takes its time to say so."""

    def __init__(self, plane: ApiPlane) -> None:
        self._clock = plane.clock

    async def past_commands(self, **_: object) -> list[object]:
        await self._clock.advance(2.0)
        return []

    async def past_transitions(self, *_: object, **__: object) -> list[object]:
        return []

    absences = past_transitions


async def test_what_takes_long_is_made_the_more_rarely_but_a_new_question_is_answered(
    plane: ApiPlane,
) -> None:
    services = plane.services
    analyst = Analyst(SlowStore(plane), services.fleet, services.guards, services.clock)
    first = await analyst.look(3_600.0)
    await plane.clock.advance(17.0)
    assert await analyst.look(3_600.0) is first
    assert await analyst.look(7_200.0) is not first
    await plane.clock.advance(17.0)
    assert await analyst.look(3_600.0) is first
    await plane.clock.advance(2.0)
    assert await analyst.look(3_600.0) is not first


async def test_a_circuit_that_is_held_open_by_hand_is_no_outage(plane: ApiPlane) -> None:
    plane.attach()
    body = {"reason": "the disk is being replaced"}
    answer = await plane.post("/api/v1/circuits/web-1/docker/open", body)
    assert answer.json()["state"] == CircuitState.OPEN.value
    await plane.controller.transitions.flush()
    await plane.clock.advance(10.0)
    figures = (await plane.get("/api/v1/analytics")).json()["hosts"]
    assert [(host["availability"], host["outages"]) for host in figures] == [(1.0, 0), (1.0, 0)]
    # Nor is it one in a time that knows nothing of its opening.
    await plane.clock.advance(100.0)
    since = plane.clock.wall().timestamp() - 61.0
    figures = (await plane.get(f"/api/v1/analytics?since={since}")).json()["hosts"]
    assert [host["availability"] for host in figures] == [1.0, 1.0]


async def test_a_time_that_is_too_short_or_too_long_is_refused(plane: ApiPlane) -> None:
    for ago in (10.0, 400 * 86_400.0):
        since = plane.clock.wall().timestamp() - ago
        problem = is_problem(await plane.get(f"/api/v1/analytics?since={since}"), 422, "invalid_request")
        assert "366 days at most" in str(problem["detail"])
    is_problem(await plane.get("/api/v1/analytics?host=nowhere"), 404, "unknown_host")
    assert (await plane.get("/api/v1/analytics/users.csv")).status_code == 422
