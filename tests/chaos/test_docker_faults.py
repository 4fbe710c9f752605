"""A real Docker Engine dies, restarts or hangs in mid-command, or its agent dies: the truth or UNKNOWN, no hang."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos import figures
from tests.chaos.docker_storm import DockerFault, DockerStorm
from tests.system.engine import Engine

FAULTS = int(os.environ.get("SEAWALL_DOCKER_FAULTS", "30"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))


@pytest.mark.docker
@pytest.mark.asyncio
@pytest.mark.timeout(180 + 15 * FAULTS, func_only=True)
async def test_every_change_ends_in_the_truth_whatever_dies_under_it(
    tmp_path: Path, docker_engine: Engine
) -> None:
    storm = DockerStorm(tmp_path, docker_engine, SEED)
    found = await storm.run(FAULTS)
    lies = len(found.lies)
    for fault in DockerFault:
        figures.record(fault.value, storm.faults[fault], lies, "faults")
    figures.record("commands under faults of a real Docker Engine", len(storm.intents), lies, "commands")
    # Docker's failures, not ours: its record says less than what it did.
    figures.record(
        "starts of which a dead Docker daemon knows", storm.starts.total(), storm.starts[True], "starts"
    )
    assert not found.lies, f"seed {SEED}: " + "\n".join(found.lies)
    assert found.states.get("SUCCEEDED", 0) * 4 > len(storm.intents), f"seed {SEED}: {found.states}"
