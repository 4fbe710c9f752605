"""A storm over a real Docker Engine: its daemon dies, restarts or hangs, or the agent dies, in mid-command."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.chaos.intents import OPERATIONS, Intent, Judgement, judge
from tests.chaos.mortal import MortalPlane
from tests.chaos.witness import Sighting, forgotten, new_witness, sight, times_done
from tests.system.engine import Engine

HOST = "host"

_HEARTBEAT_SECONDS = 0.3
_GRACE_SECONDS = 1
_LONGEST_PEACE_SECONDS = 0.8
_LONGEST_HANG_SECONDS = 3.0
_TIMEOUTS_SECONDS = (3.0, 15.0)
_HEALED_SECONDS = 120.0


class DockerFault(Enum):
    """What strikes while one of each change is under way."""

    DAEMON_KILLED = "SIGKILL of the Docker daemon"
    DAEMON_RESTARTED = "restart of the Docker daemon"
    DAEMON_HUNG = "hang of the Docker daemon"
    AGENT_KILLED = "kill -9 of the agent on a real Docker Engine"


@dataclass
class _Round:
    """One change of each kind, and how its container was before."""

    intents: dict[str, Intent]
    before: dict[str, Sighting]
    asking: list[asyncio.Task[None]]
    daemon_died: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing is in doubt any more: its containers may go."""
        return all(task.done() for task in self.asking) and not any(
            intent.verifiable and intent.told[-1] == "UNKNOWN" for intent in self.intents.values()
        )


class DockerStorm:
    """One controller, one host, a real Engine. `run` strikes it as often as it is told."""

    def __init__(self, directory: Path, engine: Engine, seed: int) -> None:
        self.faults: Counter[DockerFault] = Counter()
        self.intents: list[Intent] = []
        self.starts: Counter[bool] = Counter()
        """Commands that start something and whose daemon died: how many of them it has forgotten, and how many not."""
        self._engine = engine
        self._dice = random.Random(seed)
        self._plane = MortalPlane(directory, {HOST: engine.host}, _HEARTBEAT_SECONDS)
        self._rounds: list[_Round] = []
        self._done: dict[str, int | None] = {}

    async def run(self, faults: int, of: Sequence[DockerFault] = tuple(DockerFault)) -> Judgement:
        """Strike, heal, and judge what became of the commands."""
        kinds = [of[number % len(of)] for number in range(faults)]
        self._dice.shuffle(kinds)
        async with self._plane as plane:
            async with asyncio.TaskGroup() as asking:
                for number, fault in enumerate(kinds):
                    await self._round(number, fault, asking)
                    await self._clear()
            records = await plane.callers.all_final(self.intents, _HEALED_SECONDS)
        for each in self._rounds:
            await self._sight(each)
        return judge(self.intents, records, lambda intent: self._done[intent.key])

    async def _round(self, number: int, fault: DockerFault, asking: asyncio.TaskGroup) -> None:
        intents = {operation: self._intend(operation, number) for operation in OPERATIONS}
        witnesses = await asyncio.gather(
            *(
                asyncio.to_thread(new_witness, self._engine, operation, str(intent.arguments["container"]))
                for operation, intent in intents.items()
            )
        )
        before: dict[str, Sighting] = {}
        for intent, witness in zip(intents.values(), witnesses, strict=True):
            intent.container_id, before[intent.key] = witness
        tasks = [asking.create_task(self._ask(intent)) for intent in intents.values()]
        self._rounds.append(_Round(intents, before, tasks))
        self.intents += intents.values()
        await asyncio.sleep(self._dice.random() * _LONGEST_PEACE_SECONDS)
        await self._strike(fault)
        self.faults[fault] += 1

    def _intend(self, operation: str, number: int) -> Intent:
        name = f"{operation.removeprefix('container_')}-{number}"
        arguments: dict[str, object] = {"container": name}
        if operation in ("container_stop", "container_restart"):
            arguments["grace_seconds"] = _GRACE_SECONDS
        elif operation == "container_rename":
            arguments["name"] = f"{name}-renamed"
        elif operation == "container_kill":
            arguments["signal"] = "SIGHUP"
        timeout = self._dice.choice(_TIMEOUTS_SECONDS)
        return Intent(f"key-{name}", HOST, operation, arguments, "", timeout_seconds=timeout)

    async def _ask(self, intent: Intent) -> None:
        await self._plane.callers.have_done(intent)
        await self._plane.callers.watch(intent)

    async def _strike(self, fault: DockerFault) -> None:
        """Let it happen, and heal it."""
        engine = self._engine
        match fault:
            case DockerFault.DAEMON_KILLED:
                await asyncio.to_thread(engine.kill)
                await asyncio.to_thread(engine.start)
            case DockerFault.DAEMON_RESTARTED:
                await asyncio.to_thread(engine.restart)
            case DockerFault.DAEMON_HUNG:
                engine.pause()
                await asyncio.sleep(self._dice.random() * _LONGEST_HANG_SECONDS)
                engine.resume()
            case DockerFault.AGENT_KILLED:
                await self._plane.kill(HOST)
                await self._plane.start(HOST)
        if fault in (DockerFault.DAEMON_KILLED, DockerFault.DAEMON_RESTARTED):
            for each in self._rounds:
                each.daemon_died = True

    async def _clear(self) -> None:
        """Note what became of the rounds that are over, and remove their containers."""
        for each in [each for each in self._rounds if each.over]:
            await self._sight(each)
            self._rounds.remove(each)

    async def _sight(self, each: _Round) -> None:
        for intent in each.intents.values():
            now = await asyncio.to_thread(sight, self._engine, intent.container_id)
            self._done[intent.key] = times_done(
                intent, each.before[intent.key], now, daemon_died=each.daemon_died
            )
            if each.daemon_died and intent.operation in ("container_start", "container_restart"):
                self.starts[forgotten(each.before[intent.key], now)] += 1
            await asyncio.to_thread(self._engine.remove_container, intent.container_id)
