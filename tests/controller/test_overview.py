"""The fleet as pages show it: a small one as it is, a big one as it was a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.controller.ui.overview import FleetOverview
from seawall.engine.fleet import Signs
from seawall.engine.records import AgentRecord
from tests.controller.api_plane import ApiPlane, api_plane

pytestmark = pytest.mark.asyncio

BIG = 250


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ApiPlane]:
    async with api_plane(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def overview(plane: ApiPlane) -> AsyncIterator[FleetOverview]:
    made = FleetOverview(plane.services)
    yield made
    await made.close()


def joins(plane: ApiPlane, number: int) -> None:
    record = AgentRecord(f"agent-{number:05d}", f"host-{number:05d}", bytes(32), plane.clock.wall())
    plane.controller.fleet.learn(record)


def grow(plane: ApiPlane) -> None:
    """Let so many hosts join that the fleet is a big one."""
    for number in range(BIG - len(plane.controller.fleet.agents())):
        joins(plane, number)


def renewals() -> int:
    return sum(task.get_name() == "fleet overview" for task in asyncio.all_tasks())


async def size(overview: FleetOverview) -> int:
    return len((await overview.look()).hosts)


async def test_a_new_host_of_a_small_fleet_is_there_a_second_later(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    assert await size(overview) == 2
    joins(plane, 1)
    assert await size(overview) == 2
    await plane.clock.advance(1.0)
    assert await size(overview) == 3


async def test_what_was_changed_in_a_small_fleet_by_who_looks_is_seen_at_once(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    await overview.look()
    joins(plane, 1)
    overview.outdated()
    assert await size(overview) == 3


async def test_a_big_fleet_is_shown_as_it_was_while_it_is_looked_at_anew(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    grow(plane)
    assert await size(overview) == BIG
    joins(plane, BIG)
    await plane.clock.advance(1.0)
    assert await size(overview) == BIG, "nobody waits for the new one"
    await plane.clock.settle()
    assert await size(overview) == BIG + 1


async def test_a_big_fleet_that_nobody_has_looked_at_for_long_is_looked_at_before_it_is_shown(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    grow(plane)
    await overview.look()
    joins(plane, BIG)
    await plane.clock.advance(60.0)
    assert await size(overview) == BIG + 1


async def test_hosts_that_need_somebody_come_first_and_each_state_is_counted(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    plane.attach().signs = Signs(docker=False)
    grow(plane)
    shown = await overview.look()
    assert [(host.name, host.state) for host in shown.hosts[:2]] == [
        ("web-1", "degraded"),
        ("host-00000", "offline"),
    ]
    assert shown.counts == {"degraded": 1, "offline": BIG - 1}


async def test_a_defect_met_at_leisure_comes_to_who_looks_next(
    plane: ApiPlane, overview: FleetOverview
) -> None:
    grow(plane)
    session = plane.attach()
    await overview.look()
    session.signs = None  # type: ignore[assignment]  # the defect
    await plane.clock.advance(1.0)
    await overview.look()
    await plane.clock.settle()
    with pytest.raises(AttributeError):
        await overview.look()


async def test_nothing_goes_on_after_the_end(
    plane: ApiPlane, overview: FleetOverview, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rest(when: float) -> None:
        await asyncio.Event().wait()

    grow(plane)
    await overview.look()
    await plane.clock.advance(1.0)
    monkeypatch.setattr(plane.clock, "sleep_until", rest)
    await overview.look()
    assert renewals() == 1
    await overview.close()
    assert renewals() == 0
