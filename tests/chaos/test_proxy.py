"""Frames that are lost, late, doubled, out of order, damaged, replayed: no effect twice, no answer untrue."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.wire.messages import Completed, Execute
from tests.chaos import figures
from tests.chaos.plane import FaultyPlane, faulty_plane
from tests.chaos.proxy import Direction, Fault, Passage, seeded

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))
COMMANDS, MANY_COMMANDS, AT_ONCE = 40, 120, 8
HEALED_SECONDS = 60.0

# A lost connection makes the agent wait longer each time: few of them already take long.
SESSION_ENDERS = (Fault.CUT, Fault.HALF_OPEN, Fault.OVERSIZE)
# What makes nobody wait can be tried often.
QUICK = (Fault.TWICE, Fault.SWAP, Fault.REPLAY)
FEW, MANY = 3, 10_000


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[FaultyPlane]:
    async with faulty_plane(tmp_path, SEED) as plane:
        yield plane


async def work(plane: FaultyPlane, commands: int) -> None:
    """Have so many commands done, a few at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await plane.order(plane.intend())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(commands):
            tasks.create_task(one())


async def suffer(
    plane: FaultyPlane, faults: tuple[Fault, ...], rate: float, limit: int = MANY, commands: int = COMMANDS
) -> None:
    """Work with faults, heal, and judge."""
    plane.proxy.plan = seeded(random.Random(SEED), faults, rate, limit)
    working = asyncio.create_task(work(plane, commands))
    await asyncio.wait((working,), timeout=HEALED_SECONDS)
    plane.proxy.heal()
    async with asyncio.timeout(HEALED_SECONDS):
        await working
    found = await plane.judge(HEALED_SECONDS)
    injected = plane.proxy.injected.total()
    figures.record("faults of frames on the wire", injected, len(found.lies), "frames")
    assert not found.lies, f"seed {SEED}: " + "\n".join(found.lies)
    assert not found.doubtful, f"seed {SEED}: {found.states}"
    assert set(plane.proxy.injected) <= set(faults)
    assert injected, f"seed {SEED}: nothing was tried"


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_no_fault_of_frames_makes_an_effect_twice_or_an_answer_untrue(
    plane: FaultyPlane, fault: Fault
) -> None:
    if fault in SESSION_ENDERS:
        await suffer(plane, (fault,), 0.05, FEW)
    elif fault in QUICK:
        await suffer(plane, (fault,), 0.5, commands=MANY_COMMANDS)
    else:
        await suffer(plane, (fault,), 0.2)


async def test_all_faults_of_frames_together_change_nothing_either(plane: FaultyPlane) -> None:
    lasting = tuple(fault for fault in Fault if fault not in SESSION_ENDERS)
    await suffer(plane, lasting, 0.3)


async def test_a_result_that_is_lost_is_told_again_and_nothing_is_done_again(plane: FaultyPlane) -> None:
    lost = 0

    def lose_the_first_two(passage: Passage) -> Fault | None:
        nonlocal lost
        if isinstance(passage.message, Completed) and lost < 2:
            lost += 1
            return Fault.DROP
        return None

    plane.proxy.plan = lose_the_first_two
    intent = plane.intend("container_restart")
    await plane.order(intent)
    assert intent.told == ["SUCCEEDED"]
    assert plane.docker.effects == [("container_restart", intent.container_id)]


async def test_a_result_that_is_lost_with_its_connection_comes_in_the_next_session(
    plane: FaultyPlane,
) -> None:
    def cut_at_the_first_session(passage: Passage) -> Fault | None:
        return Fault.CUT if isinstance(passage.message, Completed) and passage.session == 1 else None

    plane.proxy.plan = cut_at_the_first_session
    intent = plane.intend("container_restart")
    await plane.order(intent)
    assert intent.told == ["SUCCEEDED"]
    assert plane.docker.effects == [("container_restart", intent.container_id)]


async def test_commands_replayed_from_an_earlier_session_have_no_effect(plane: FaultyPlane) -> None:
    intents = [plane.intend("container_restart")]
    await plane.order(intents[0])
    plane.proxy.cut_all()

    def replay(passage: Passage) -> Fault | None:
        later = passage.session > 1 and not passage.handshake
        return Fault.REPLAY if passage.direction is Direction.TO_AGENT and later else None

    plane.proxy.plan = replay
    for _ in range(5):
        intents.append(plane.intend("container_restart"))
        await plane.order(intents[-1])
    assert plane.proxy.injected[Fault.REPLAY] > len(intents)
    assert plane.docker.effects == [("container_restart", each.container_id) for each in intents]


async def test_a_command_that_arrives_twice_is_done_once(plane: FaultyPlane) -> None:
    def double_commands(passage: Passage) -> Fault | None:
        return Fault.TWICE if isinstance(passage.message, Execute) else None

    plane.proxy.plan = double_commands
    intents = [plane.intend("container_restart") for _ in range(5)]
    for intent in intents:
        await plane.order(intent)
    assert plane.docker.effects == [("container_restart", intent.container_id) for intent in intents]
