"""Slots and turns: never more than allowed, in order, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from seawall.agent.admission import Lanes, Slot, turn
from seawall.turns import Turns

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def slot(lanes: Lanes, *, urgent: bool) -> AsyncIterator[Slot]:
    mine = await lanes.wait(urgent=urgent)
    try:
        yield mine
    finally:
        mine.release()


class Guest:
    """A task that goes in, and stays until it is told to leave."""

    def __init__(self, door: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self.inside = False
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self.visit(door))

    async def visit(self, door: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        async with door():
            self.inside = True
            try:
                await self.leave.wait()
            finally:
                self.inside = False


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def inside(guests: list[Guest]) -> list[int]:
    return [number for number, guest in enumerate(guests) if guest.inside]


async def end(guests: list[Guest]) -> None:
    for guest in guests:
        guest.task.cancel()
    await asyncio.wait({guest.task for guest in guests})


async def test_slots_are_given_in_order() -> None:
    lanes = Lanes(2, 0)
    guests = [Guest(lambda: slot(lanes, urgent=False)) for _ in range(4)]
    await settle()
    assert inside(guests) == [0, 1]
    guests[1].leave.set()
    await settle()
    assert inside(guests) == [0, 2]
    await end(guests)
    assert lanes.in_use == 0


async def test_the_urgent_go_first_and_have_slots_of_their_own() -> None:
    lanes = Lanes(1, 1)
    guests = [Guest(lambda: slot(lanes, urgent=False)) for _ in range(2)]
    urgent = [Guest(lambda: slot(lanes, urgent=True)) for _ in range(2)]
    await settle()
    assert (inside(guests), inside(urgent)) == ([0], [0])
    guests[0].leave.set()
    await settle()
    assert (inside(guests), inside(urgent)) == ([], [0, 1])
    await end(guests + urgent)
    assert lanes.in_use == 0


async def test_a_slot_is_given_back_once() -> None:
    lanes = Lanes(1, 0)
    async with slot(lanes, urgent=False) as mine:
        mine.release()
        mine.release()
        assert lanes.in_use == 0
    assert lanes.in_use == 0


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_is_cancelled_while_waiting_for_a_slot_loses_none(turns: int) -> None:
    lanes = Lanes(1, 0)
    guests = [Guest(lambda: slot(lanes, urgent=False)) for _ in range(3)]
    await settle()
    guests[0].leave.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    guests[1].task.cancel()
    await settle()
    assert inside(guests) == [2]
    await end(guests)
    assert lanes.in_use == 0


async def test_whoever_is_cancelled_in_the_moment_of_the_hand_over_passes_the_slot_on() -> None:
    lanes = Lanes(1, 0)
    async with slot(lanes, urgent=False) as mine:
        guests = [Guest(lambda: slot(lanes, urgent=False)) for _ in range(2)]
        await settle()
        mine.release()
        guests[0].task.cancel()
        await settle()
        assert inside(guests) == [1]
    await end(guests)
    assert lanes.in_use == 0


async def test_turns_at_one_key_are_taken_in_order_and_other_keys_wait_for_nobody() -> None:
    turns = Turns()
    guests = [Guest(lambda key=key: turn(turns, key)) for key in ("a", "a", "b", None, None)]  # type: ignore[misc]  # a default binds it
    await settle()
    assert inside(guests) == [0, 2, 3, 4]
    guests[0].leave.set()
    await settle()
    assert inside(guests) == [1, 2, 3, 4]
    await end(guests)
    assert len(turns) == 0


async def test_whoever_is_cancelled_in_the_moment_of_his_turn_passes_it_on() -> None:
    turns = Turns()
    guests = [Guest(lambda: turn(turns, "a")) for _ in range(3)]
    await settle()
    guests[0].leave.set()
    await asyncio.sleep(0)
    guests[1].task.cancel()
    await settle()
    assert inside(guests) == [2]
    await end(guests)
    assert len(turns) == 0


async def test_whoever_is_cancelled_while_waiting_for_a_turn_is_passed_over() -> None:
    turns = Turns()
    guests = [Guest(lambda: turn(turns, "a")) for _ in range(3)]
    await settle()
    guests[1].task.cancel()
    await settle()
    assert inside(guests) == [0]
    guests[0].leave.set()
    await settle()
    assert inside(guests) == [2]
    await end(guests)
    assert len(turns) == 0
