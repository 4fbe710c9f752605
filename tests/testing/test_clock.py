"""The fake clock: time stands until it is told to pass."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from seawall.clock import Clock
from seawall.testing.clock import FakeClock
from seawall.testing.dice import ScriptedDice

pytestmark = pytest.mark.asyncio


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock: Clock = FakeClock(now=5.0)
    await asyncio.sleep(0)
    assert clock.now() == 5.0


async def test_timers_fire_in_order_each_at_its_own_time() -> None:
    clock = FakeClock(now=0.0)
    seen: list[tuple[str, float]] = []
    for name, when in (("late", 3.0), ("early", 1.0), ("never", 9.0)):
        clock.call_at(when, lambda name=name: seen.append((name, clock.now())))
    await clock.advance(5.0)
    assert seen == [("early", 1.0), ("late", 3.0)]
    assert (clock.now(), clock.timers) == (5.0, [9.0])


async def test_timers_of_one_moment_fire_in_the_order_of_their_making() -> None:
    clock = FakeClock()
    seen: list[int] = []
    for number in range(3):
        clock.call_at(clock.now() + 1, lambda number=number: seen.append(number))
    await clock.advance(1)
    assert seen == [0, 1, 2]


async def test_a_cancelled_timer_does_not_fire() -> None:
    clock = FakeClock()
    seen: list[int] = []
    clock.call_at(clock.now() + 1, lambda: seen.append(1)).cancel()
    await clock.advance(2)
    assert seen == []


async def test_a_timer_for_the_past_fires_without_time_passing() -> None:
    clock = FakeClock()
    seen: list[int] = []
    clock.call_at(clock.now() - 1, lambda: seen.append(1))
    assert seen == []
    await clock.settle()
    assert seen == [1]


async def test_a_sleeper_that_sleeps_again_wakes_twice_in_one_advance() -> None:
    clock = FakeClock(now=0.0)
    woken: list[float] = []

    async def sleeper() -> None:
        for when in (1.0, 2.5):
            await clock.sleep_until(when)
            woken.append(clock.now())

    task = asyncio.create_task(sleeper())
    await clock.advance(10)
    await task
    assert woken == [1.0, 2.5]


async def test_a_cancelled_sleeper_leaves_no_timer() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep_until(clock.now() + 5))
    await clock.settle()
    task.cancel()
    await clock.settle()
    assert clock.timers == []


async def test_the_time_of_day_goes_with_time_and_jumps_alone() -> None:
    clock = FakeClock()
    before = clock.wall()
    await clock.advance(90)
    assert (clock.wall() - before).total_seconds() == 90
    clock.set_wall(before)
    assert (clock.wall(), clock.now()) == (before, 1090.0)


async def test_time_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never goes back"):
        await FakeClock().advance(-1)


async def test_ids_are_unique_ordered_and_of_version_7() -> None:
    clock = FakeClock()
    ids = [clock.new_id() for _ in range(100)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(text).version for text in ids} == {7}


async def test_dice_fall_as_scripted_and_then_rest() -> None:
    dice = ScriptedDice([0.1, 0.9], rest=0.25)
    assert [FakeClock(dice=dice).dice() for _ in range(4)] == [0.1, 0.9, 0.25, 0.25]


@pytest.mark.parametrize("number", [-0.1, 1.0, float("nan")])
async def test_dice_refuse_impossible_throws(number: float) -> None:
    with pytest.raises(ValueError, match="in"):
        ScriptedDice([number])
