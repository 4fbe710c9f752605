"""Controller and agent are killed at one system call after the other, between a request and its result."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from tests.chaos.figures import record
from tests.chaos.lone import AGENT, CONTROLLER, Lone
from tests.chaos.strike import strikes

SECONDS = float(os.environ.get("SEAWALL_CRASH_POINT_SECONDS", "25"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))
KILLED = -9
LEAST = 4
"""Kills of each side, also where they take longer."""

MOST = {
    CONTROLLER: {"flush": 3, "word": 12, "write": 28},
    AGENT: {"flush": 3, "word": 12, "write": 10},
}
"""How many calls of each kind one thread makes until the result is kept; where there are fewer, nobody is killed."""

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300 + 4 * SECONDS, func_only=True)]


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Lone]:
    with TemporaryDirectory(prefix="seawall-") as sockets:
        async with Lone(tmp_path, Path(sockets)) as lone:
            yield lone


@pytest.mark.parametrize("victim", MOST)
async def test_a_command_is_done_once_and_told_although_its_way_is_cut_at_any_system_call(
    victim: str, plane: Lone
) -> None:
    tried = [
        strike
        async for strike in strikes(plane, victim, "signal=KILL", MOST[victim], SEED, SECONDS, least=LEAST)
    ]
    kills = [strike for strike in tried if strike.exit_code is not None]
    lies = [strike for strike in tried if strike.lie is not None]
    record(f"kills of the {victim} at one system call after the other", len(kills), len(lies), "kills")
    assert not lies, f"seed {SEED}:\n" + "\n".join(map(str, lies))
    assert {strike.exit_code for strike in kills} == {KILLED}, plane.log(victim)[-3000:]
    assert len(kills) >= LEAST, f"only {len(kills)} kills in {len(tried)} strikes prove nothing"
