"""Random sequences of operations have the same effects and refusals on the fake Docker Engine and on a real one."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from seawall.agent.docker import AioDocker
from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker
from tests.chaos import figures
from tests.system.engine import Engine
from tests.testing.projections import clean_up, differences

SEQUENCES = int(os.environ.get("SEAWALL_SEQUENCES", "500"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))
PARTS = 5
"""So that several workers can share them."""
AT_ONCE = 4
SHOWN = 5

pytestmark = [pytest.mark.docker, pytest.mark.asyncio, pytest.mark.timeout(900, func_only=True)]


@pytest.mark.parametrize("part", range(PARTS))
async def test_random_sequences_show_the_same_on_the_fake_and_on_the_real_docker(
    docker_engine: Engine, part: int
) -> None:
    numbers = range(part, SEQUENCES, PARTS)
    real, room = AioDocker(docker_engine.host), asyncio.Semaphore(AT_ONCE)
    found: list[str] = []

    async def run(seed: int) -> None:
        async with room:
            try:
                difference = await differences(FakeDocker(FakeClock(), []), real, seed)
            except Exception as error:
                error.add_note(f"in the sequence of seed {seed}")
                raise
            finally:
                await clean_up(real, seed)
            if difference is not None:
                found.append(difference)

    try:
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                _ = group.create_task(run(SEED + number))
    finally:
        await real.close()
    figures.record(
        "operations on the fake and on the real Docker", len(numbers), len(found), "random sequences"
    )
    again = "SEAWALL_SEQUENCES=1 SEAWALL_SEED=n repeats the one of seed n"
    assert not found, f"{len(found)} of {len(numbers)} differ; {again}:\n" + "\n".join(found[:SHOWN])
