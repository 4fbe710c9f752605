"""What a person decided of a circuit holds until a person decides otherwise, whatever becomes of the controller."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from seawall.engine.records import TransitionRecord
from seawall.testing.clock import FakeClock
from tests.controller.api_plane import HOST, READ, ApiPlane, api_plane

pytestmark = pytest.mark.asyncio

Life = Callable[[], AbstractAsyncContextManager[ApiPlane]]

DOCKER, AGENT = "/api/v1/circuits/web-1/docker", "/api/v1/circuits/web-1/agent"


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """One controller after the other, on the same data."""
    return partial(api_plane, tmp_path, FakeClock())


async def shown(plane: ApiPlane, circuit: str) -> tuple[object, object]:
    found = (await plane.get(circuit)).json()
    return found["state"], found["forced"]


async def history(plane: ApiPlane) -> list[tuple[str, str, str]]:
    return [(each.domain, each.origin, each.target) for each in await plane.services.transitions(HOST)]


async def test_a_host_that_was_fenced_off_stays_so_when_the_controller_starts_anew(life: Life) -> None:
    async with life() as plane:
        await plane.post(f"{DOCKER}/open", {"reason": "the disk is being replaced"})
        before = await history(plane)
    async with life() as plane:
        plane.attach()
        assert await shown(plane, DOCKER) == ("open", True)
        assert (await plane.done(READ))["error_code"] == "circuit_open"
        assert await history(plane) == before, "nothing has happened to it"


async def test_one_that_is_held_closed_stays_so_and_one_that_is_reset_is_held_no_more(life: Life) -> None:
    async with life() as plane:
        await plane.post(f"{DOCKER}/open")
        await plane.post(f"{DOCKER}/close")
        await plane.post(f"{AGENT}/open")
        await plane.post(f"{AGENT}/reset")
    async with life() as plane:
        assert await shown(plane, DOCKER) == ("closed", True)
        assert await shown(plane, AGENT) == ("closed", False)


async def test_what_held_a_host_goes_with_its_identity(life: Life) -> None:
    async with life() as plane:
        await plane.post(f"{DOCKER}/open")
        await plane.post("/api/v1/agents/web-1/revoke")
        assert await plane.services.store.holds() == []


async def test_circuits_that_opened_of_their_own_accord_are_closed_on_record_at_the_next_start(
    life: Life,
) -> None:
    async with life() as plane:
        opened = TransitionRecord(plane.clock.wall(), HOST, "agent", "closed", "open", "five of six failed")
        await plane.services.store.add_transitions([opened])
    for _ in range(2):
        async with life() as plane:
            await plane.clock.advance(1.0)
            assert await shown(plane, AGENT) == ("closed", False)
            closed, before = await plane.services.store.transitions()
            assert before == opened
            assert (closed.origin, closed.target) == ("open", "closed")
            assert closed.reason == "the controller was started anew"
