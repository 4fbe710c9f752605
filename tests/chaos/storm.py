"""A storm: the controller and the agents are killed at random instants while callers have things done.

The Engines of the hosts live in the storm's own process, so that they survive and know what was really done.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos.callers import Callers
from tests.chaos.fake_dockerd import FakeDockerd
from tests.chaos.intents import Intent, Judgement, judge, random_intent
from tests.chaos.ledgers import recorded_results
from tests.chaos.mortal import CONTROLLER, MortalPlane

HOSTS = ("one", "two")
INTENTS_PER_ROUND = 5

_SLOWNESS_SECONDS = 0.12
_LONGEST_PEACE_SECONDS = 0.25
_HEALED_SECONDS = 90.0


class Storm:
    """One controller, two hosts. `run` kills the controller and, in turn, an agent as often as it is told."""

    def __init__(self, directory: Path, sockets: Path, seed: int) -> None:
        self._dice = random.Random(seed)
        self._engines = {
            host: FakeDockerd(sockets / f"{host}.sock", self._dice.randrange(1 << 30), _SLOWNESS_SECONDS)
            for host in HOSTS
        }
        addresses = {host: engine.address for host, engine in self._engines.items()}
        self.plane = MortalPlane(directory, addresses)
        self.intents: list[Intent] = []
        self.recorded: dict[str, str | None] = {}
        """The error code of each result that a ledger held when its agent was killed, by command_id."""

    async def run(self, kills: int) -> Judgement:
        """Kill each side `kills` times, let everything heal, and judge what became of the commands."""
        async with AsyncExitStack() as stack:
            for engine in self._engines.values():
                await stack.enter_async_context(engine)
            plane = await stack.enter_async_context(self.plane)
            async with asyncio.TaskGroup() as asking:
                for number in range(kills):
                    await self._round(number, asking)
                for host in HOSTS:
                    # So that none sits out a long back-off.
                    await self._kill(host)
                    await plane.start(host)
            records = await plane.callers.all_final(self.intents, _HEALED_SECONDS)
        effects = {host: engine.effects() for host, engine in self._engines.items()}
        found = judge(
            self.intents,
            records,
            lambda intent: effects[intent.host][intent.operation, intent.container_id],
        )
        for command_id, code in self.recorded.items():
            shown = records[command_id]["error_code"]
            if shown != code:
                found.lies.append(f"{command_id}: its ledger held {code}, and the controller shows {shown}")
        return found

    async def _round(self, number: int, asking: asyncio.TaskGroup) -> None:
        """Something is asked for, and at two random instants a controller and an agent die."""
        plane = self.plane
        await plane.until("an agent is connected", lambda: plane.connected(any))
        for order in range(INTENTS_PER_ROUND):
            host = self._dice.choice(HOSTS)
            intent = random_intent(self._dice, f"c{number}-{order}", host, self._hold)
            self.intents.append(intent)
            asking.create_task(self._ask(intent, plane.callers))
        victims = [CONTROLLER, HOSTS[number % len(HOSTS)]]
        self._dice.shuffle(victims)
        for victim in victims:
            await asyncio.sleep(self._dice.random() * _LONGEST_PEACE_SECONDS)
            await self._kill(victim)
        for victim in victims:
            await plane.start(victim)

    async def _kill(self, name: str) -> None:
        await self.plane.kill(name)
        if name != CONTROLLER:
            self.recorded |= recorded_results(self.plane.ledger(name))

    async def _ask(self, intent: Intent, callers: Callers) -> None:
        await asyncio.sleep(self._dice.random() * _LONGEST_PEACE_SECONDS)
        await callers.have_done(intent)
        await callers.watch(intent)

    def _hold(self, host: str, name: str, running: bool) -> str:
        return self._engines[host].hold(name, running=running)
