"""What has waited for its agents goes out one after the other when they are back."""

from __future__ import annotations

import asyncio

import pytest

from seawall.core.guard import Guards
from seawall.core.pace import Pace, PaceSettings
from seawall.engine.drive import Slot
from seawall.engine.fleet import Fleet
from seawall.testing.clock import FakeClock
from tests.engine.dispatch_plane import HOST, ScriptedSession, ok

pytestmark = pytest.mark.asyncio


async def left(clock: FakeClock, pace: Pace | None, waiting: int = 4) -> list[float]:
    """When each of those that wait for one host may go, in seconds after it is back."""
    guards: Guards[Slot] = Guards()
    fleet = Fleet(guards, clock, lambda _: None, pace)
    moments: list[float] = []

    async def wait() -> None:
        await fleet.connected(HOST, clock.now() + 600.0)
        moments.append(clock.now())

    tasks = [asyncio.create_task(wait()) for _ in range(waiting)]
    await clock.advance(60.0)
    back = clock.now()
    fleet.attach(ScriptedSession(ok))
    await clock.advance(60.0)
    await asyncio.gather(*tasks)
    return [round(moment - back, 3) for moment in moments]


async def test_those_that_waited_leave_at_the_pace_of_the_fleet() -> None:
    assert await left(FakeClock(), Pace(PaceSettings(fewest_per_second=5.0))) == [0.0, 0.2, 0.4, 0.6]


async def test_without_a_pace_all_of_them_leave_at_once() -> None:
    assert await left(FakeClock(), None) == [0.0] * 4


async def test_a_host_that_goes_again_meanwhile_keeps_the_others_waiting() -> None:
    clock = FakeClock()
    guards: Guards[Slot] = Guards()
    fleet = Fleet(guards, clock, lambda _: None, Pace(PaceSettings(fewest_per_second=1.0)))
    done = [asyncio.create_task(fleet.connected(HOST, clock.now() + 600.0)) for _ in range(2)]
    await clock.settle()
    session = ScriptedSession(ok)
    fleet.attach(session)
    await clock.advance(0.5)
    fleet.detach(session)
    await clock.advance(5.0)
    assert [task.done() for task in done] == [True, False]
    fleet.attach(ScriptedSession(ok, epoch=2))
    await clock.advance(5.0)
    assert all(task.done() for task in done)
