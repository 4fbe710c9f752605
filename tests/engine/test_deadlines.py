"""Many deadlines on one timer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from seawall.engine.deadlines import Deadline, Deadlines
from seawall.testing.clock import FakeClock, FakeTimer


@pytest.mark.asyncio
async def test_each_is_called_at_its_time_and_in_order() -> None:
    clock, called = FakeClock(), []
    deadlines = Deadlines(clock)
    for seconds in (5, 1, 3):
        deadlines.add(1000.0 + seconds, lambda s=seconds: called.append((s, clock.now())))
    await clock.advance(4)
    assert called == [(1, 1001.0), (3, 1003.0)]
    await clock.advance(1)
    assert called[2:] == [(5, 1005.0)]


@pytest.mark.asyncio
async def test_those_of_the_same_moment_are_called_in_the_order_in_which_they_came() -> None:
    clock, called = FakeClock(), []
    deadlines = Deadlines(clock)
    for number in range(20):
        deadlines.add(1001.0, lambda n=number: called.append(n))
    await clock.advance(1)
    assert called == list(range(20))


@pytest.mark.asyncio
async def test_one_that_was_dropped_is_not_called() -> None:
    clock, called = FakeClock(), []
    deadlines = Deadlines(clock)
    dropped = deadlines.add(1001.0, lambda: called.append("dropped"))
    deadlines.add(1002.0, lambda: called.append("kept"))
    deadlines.drop(dropped)
    assert len(deadlines) == 1
    await clock.advance(5)
    assert called == ["kept"]
    assert len(deadlines) == 0


@pytest.mark.asyncio
async def test_dropping_twice_or_after_the_call_does_no_harm() -> None:
    clock = FakeClock()
    deadlines = Deadlines(clock)
    once, late = deadlines.add(1001.0, lambda: None), deadlines.add(1001.0, lambda: None)
    deadlines.drop(once)
    deadlines.drop(once)
    await clock.advance(2)
    deadlines.drop(late)
    assert len(deadlines) == 0


@pytest.mark.asyncio
async def test_there_is_one_timer_however_many_deadlines() -> None:
    clock = FakeClock()
    deadlines = Deadlines(clock)
    for number in range(1000):
        deadlines.add(2000.0 - number, lambda: None)
    assert clock.timers == [1001.0]


@pytest.mark.asyncio
async def test_a_callback_may_add_and_drop_others() -> None:
    clock, called = FakeClock(), []
    deadlines = Deadlines(clock)
    victims = [deadlines.add(1002.0, lambda: called.append("victim")) for _ in range(200)]

    def first() -> None:
        for victim in victims:
            deadlines.drop(victim)
        deadlines.add(1003.0, lambda: called.append("added"))

    deadlines.add(1001.0, first)
    await clock.advance(5)
    assert called == ["added"]


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_added_and_dropped_exactly_the_rest_is_called(seed: int) -> None:
    dice, clock, called = random.Random(seed), FakeClock(), []
    deadlines = Deadlines(clock)
    live: dict[int, Deadline] = {}
    for number in range(500):
        live[number] = deadlines.add(1000.0 + dice.randrange(1, 50), lambda n=number: called.append(n))
        if dice.random() < 0.6:
            deadlines.drop(live.pop(dice.choice(list(live))))
    assert len(deadlines) == len(live)
    await clock.advance(50)
    assert sorted(called) == sorted(live)


class LoopBoundClock(FakeClock):
    """As with a real clock, a loop that ends takes its timers with it."""

    def __init__(self) -> None:
        super().__init__()
        self.owed: list[FakeTimer] = []

    def call_at(self, when: float, callback: Callable[[], object]) -> FakeTimer:
        self.owed.append(super().call_at(when, callback))
        return self.owed[-1]

    def end_of_loop(self) -> None:
        for timer in self.owed:
            timer.cancel()


def test_a_timer_of_a_loop_that_is_gone_is_not_waited_for() -> None:
    clock, called = LoopBoundClock(), []
    deadlines = Deadlines(clock)

    async def add() -> None:
        deadlines.add(1001.0, lambda: called.append("first loop"))

    async def add_and_advance() -> None:
        deadlines.add(1005.0, lambda: called.append("second loop"))
        await clock.advance(10)

    asyncio.run(add())
    clock.end_of_loop()
    asyncio.run(add_and_advance())
    assert "second loop" in called
