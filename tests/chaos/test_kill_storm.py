"""kill -9 of the controller and of the agents at random instants, again and again, while commands are under way."""

from __future__ import annotations

import os
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos import figures
from tests.chaos.mortal import CONTROLLER
from tests.chaos.storm import Storm

KILLS = int(os.environ.get("SEAWALL_KILLS", "100"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))
ONE_PERCENT = 100


@pytest.mark.asyncio
@pytest.mark.timeout(120 + 4 * KILLS)
async def test_no_command_is_lost_done_twice_or_lied_about_when_controllers_and_agents_are_killed(
    tmp_path: Path,
) -> None:
    with TemporaryDirectory(prefix="seawall-") as sockets:
        storm = Storm(tmp_path, Path(sockets), SEED)
        found = await storm.run(KILLS)
    kills, commands, lies = storm.plane.kills, len(storm.intents), len(found.lies)
    figures.record("kill -9 of the controller", kills[CONTROLLER], lies, "kills")
    figures.record("kill -9 of an agent", kills.total() - kills[CONTROLLER], lies, "kills")
    figures.record("commands in a kill storm", commands, lies, "commands")
    figures.record("results recorded by agents that were killed", len(storm.recorded), lies, "results")
    figures.record("no doubt left after a kill storm", found.verifiable, found.doubtful, "commands")
    assert not found.lies, f"seed {SEED}: " + "\n".join(found.lies)
    assert found.doubtful * ONE_PERCENT <= found.verifiable, f"seed {SEED}: {found.states}"
    assert found.states.get("SUCCEEDED", 0) * 2 > commands, f"seed {SEED}: {found.states}"
    assert storm.recorded, "no agent died with a result in its ledger: this run proves nothing"
