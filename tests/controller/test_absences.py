"""When a host had no session is on record, and is part of what its availability is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.controller.absences import LEAST_SECONDS, LOOK_SECONDS, AbsenceRecorder
from seawall.engine.history import Absence
from seawall.testing.clock import FakeClock
from tests.controller.api_plane import HOST, OTHER, ApiPlane, api_plane

pytestmark = pytest.mark.asyncio

LASTING = LEAST_SECONDS + LOOK_SECONDS


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ApiPlane]:
    async with api_plane(tmp_path) as made, recording(made):
        made.attach(agent_id=OTHER)
        yield made


@asynccontextmanager
async def recording(plane: ApiPlane) -> AsyncIterator[None]:
    """As the controller does it while it runs."""
    recorder = AbsenceRecorder(plane.services.store, plane.services.fleet, plane.clock)
    task = asyncio.create_task(recorder.run())
    await plane.settle()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def passes(plane: ApiPlane, seconds: float) -> None:
    await plane.while_time_passes(plane.clock.sleep_until(plane.clock.now() + seconds))


async def kept(plane: ApiPlane) -> list[Absence]:
    return await plane.services.store.absences(plane.clock.wall() - timedelta(days=1))


async def test_a_host_that_is_gone_for_a_minute_was_absent_since_it_was_last_heard(plane: ApiPlane) -> None:
    session = plane.attach()
    session.heard_at = plane.clock.now()
    heard = plane.clock.wall()
    await passes(plane, 30.0)
    plane.controller.fleet.detach(session)
    await passes(plane, LEAST_SECONDS - 30.0 - LOOK_SECONDS)
    assert await kept(plane) == []
    await passes(plane, 2 * LOOK_SECONDS)
    assert await kept(plane) == [Absence(HOST, heard, None)]
    plane.attach()
    await passes(plane, LOOK_SECONDS)
    ((agent_id, begin, end),) = await kept(plane)
    assert (agent_id, begin) == (HOST, heard)
    assert end is not None
    assert timedelta() <= plane.clock.wall() - end <= timedelta(seconds=LOOK_SECONDS)


async def test_a_host_that_comes_back_soon_was_not_absent(plane: ApiPlane) -> None:
    for _ in range(4):
        session = plane.attach()
        await passes(plane, LEAST_SECONDS / 2)
        session.heard_at = plane.clock.now()
        plane.controller.fleet.detach(session)
        await passes(plane, LEAST_SECONDS / 2)
    assert await kept(plane) == []


async def test_an_absence_counts_as_time_that_a_host_was_down(plane: ApiPlane) -> None:
    await passes(plane, LASTING)
    figures = (await plane.get("/api/v1/analytics?host=web-1")).json()["hosts"]
    assert [(host["outages"], host["availability"], host["mttr_seconds"]) for host in figures] == [
        (1, 0.0, None)
    ]
    assert (await plane.get("/api/v1/analytics?host=web-2")).json()["hosts"][0]["availability"] == 1.0


async def test_an_absence_goes_on_while_the_controller_is_away_and_ends_once_the_host_is_back(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with api_plane(tmp_path, clock) as plane, recording(plane):
        await passes(plane, LASTING)
        before = await kept(plane)
        assert {absence.agent_id for absence in before} == {HOST, OTHER}
    await clock.advance(1_000.0)
    async with api_plane(tmp_path, clock) as plane, recording(plane):
        plane.attach()
        await passes(plane, LASTING)
        found = {absence.agent_id: absence for absence in await kept(plane)}
        assert len(found) == len(await kept(plane))
        assert found[OTHER] in before
        ended = found[HOST].end
        assert ended is not None
        assert ended > found[HOST].begin + timedelta(seconds=1_000)


async def test_the_absence_of_a_host_that_is_revoked_ends(plane: ApiPlane) -> None:
    await passes(plane, LASTING)
    assert (await plane.post("/api/v1/agents/web-1/revoke")).status_code == 200
    await passes(plane, LOOK_SECONDS)
    assert [absence.end is None for absence in await kept(plane)] == [False]
