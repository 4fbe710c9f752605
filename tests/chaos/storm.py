"""A storm: real controllers and agents are killed at random instants while callers have things done.

The Engines of the hosts live in the storm's own process, so that they survive and know what was really done.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from seawall.agent.join import join
from tests.chaos.callers import Callers
from tests.chaos.fake_dockerd import FakeDockerd
from tests.chaos.hatchery import start_agent, start_controller
from tests.chaos.intents import Intent, Judgement, judge, random_intent
from tests.system.plane import free_port

HOSTS = ("one", "two")
INTENTS_PER_ROUND = 5

_SLOWNESS_SECONDS = 0.12
_LONGEST_PEACE_SECONDS = 0.25
_HEALED_SECONDS = 90.0
_AGAIN_SECONDS = 0.005


class Ended(Exception):
    """A process ended that nobody killed; the message has the end of its log."""


@dataclass
class Report:
    """What a storm did, and what is to be said of the commands in it."""

    kills: Counter[str]
    commands: int
    refusals: int
    judgement: Judgement


class Storm:
    """One controller and its hosts. `run` kills each side so many times."""

    def __init__(self, directory: Path, sockets: Path, seed: int) -> None:
        self._directory = directory
        self._sockets = sockets
        self._dice = random.Random(seed)
        self._data = directory / "data"
        self._api, self._agents = free_port(), free_port()
        self._url = f"http://127.0.0.1:{self._api}"
        self._processes: dict[str, BaseProcess] = {}
        self._engines: dict[str, FakeDockerd] = {}
        self._intents: list[Intent] = []
        self._kills: Counter[str] = Counter()

    async def run(self, kills: int) -> Report:
        """Kill the controller and one of the agents `kills` times each, then let everything heal, and judge."""
        async with AsyncExitStack() as stack:
            for number, host in enumerate(HOSTS):
                path = self._sockets / f"{host}.sock"
                engine = FakeDockerd(path, self._dice.randrange(1 << 30), _SLOWNESS_SECONDS)
                self._engines[host] = await stack.enter_async_context(engine)
                (self._directory / f"agent-{number}").mkdir()
            callers = await stack.enter_async_context(self._plane())
            async with asyncio.TaskGroup() as asking:
                for number in range(kills):
                    await self._round(number, callers, asking)
                await self._heal()
            records = await callers.all_final(self._intents, _HEALED_SECONDS)
            return Report(
                self._kills,
                len(self._intents),
                callers.refusals,
                judge(self._intents, records, self._effects()),
            )

    @asynccontextmanager
    async def _plane(self) -> AsyncIterator[Callers]:
        try:
            await self._start("controller")
            token = (self._data / "admin.token").read_text().strip()
            async with Callers(self._url, token) as callers:
                for host in HOSTS:
                    await self._join(host, token)
                    await self._start(host)
                await self._until(lambda: self._connected(callers, all), "both agents are connected")
                yield callers
        finally:
            for process in self._processes.values():
                process.kill()
                process.join()

    async def _join(self, host: str, token: str) -> None:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            answer = await http.post(f"{self._url}/api/v1/join-tokens", json={})
        await join(
            f"https://127.0.0.1:{self._agents}",
            answer.json()["token"],
            name=host,
            labels={},
            directory=self._directory / host,
            version="storm",
        )

    # One round

    async def _round(self, number: int, callers: Callers, asking: asyncio.TaskGroup) -> None:
        """Something is asked for, and at two random instants a controller and an agent die."""
        await self._until(lambda: self._connected(callers, any), "an agent is connected")
        for order in range(INTENTS_PER_ROUND):
            name = f"c{number}-{order}"
            intent = random_intent(self._dice, name, self._dice.choice(HOSTS), self._hold)
            self._intents.append(intent)
            asking.create_task(self._ask(intent, callers))
        victims = ["controller", HOSTS[number % len(HOSTS)]]
        self._dice.shuffle(victims)
        for victim in victims:
            await asyncio.sleep(self._dice.random() * _LONGEST_PEACE_SECONDS)
            await self._kill(victim)
        for victim in victims:
            await self._start(victim)

    async def _ask(self, intent: Intent, callers: Callers) -> None:
        await asyncio.sleep(self._dice.random() * _LONGEST_PEACE_SECONDS)
        await callers.have_done(intent)
        await callers.watch(intent)

    async def _heal(self) -> None:
        """Start the agents anew, so that none sits out a long back-off."""
        for host in HOSTS:
            await self._kill(host)
            await self._start(host)

    def _hold(self, host: str, name: str, running: bool) -> str:
        return self._engines[host].hold(name, running=running)

    def _effects(self) -> Counter[tuple[str, str]]:
        return sum((engine.effects() for engine in self._engines.values()), Counter[tuple[str, str]]())

    # Processes

    async def _kill(self, name: str) -> None:
        self._expect_alive(name)
        process = self._processes.pop(name)
        process.kill()
        await asyncio.to_thread(process.join)
        self._kills["controller" if name == "controller" else "agent"] += 1

    async def _start(self, name: str) -> None:
        """Start it anew; a controller is ready when this returns."""
        log = self._directory / f"{name}.log"
        if name != "controller":
            self._processes[name] = start_agent(log, self._directory / name, self._engines[name].address)
            return
        self._processes[name] = start_controller(
            log,
            data=str(self._data),
            api=f"127.0.0.1:{self._api}",
            agents=f"127.0.0.1:{self._agents}",
            heartbeat_seconds="1",
        )
        async with httpx.AsyncClient(base_url=self._url) as http:
            await self._until(lambda: _ready(http), "the controller is ready")

    async def _connected(self, callers: Callers, quantity: Callable[[list[bool]], bool]) -> bool:
        states = await callers.agents()
        return quantity([states.get(host) == "connected" for host in HOSTS])

    async def _until(self, true: Callable[[], Awaitable[bool]], what: str) -> None:
        """Look again until it is so; real processes leave no choice."""
        try:
            async with asyncio.timeout(_HEALED_SECONDS):
                while not await true():
                    for name in self._processes:
                        self._expect_alive(name)
                    await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {_HEALED_SECONDS:g} s") from None

    def _expect_alive(self, name: str) -> None:
        if self._processes[name].exitcode is not None:
            log = (self._directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
            raise Ended(f"{name} ended by itself ({self._processes[name].exitcode}): ...{log[-3000:]}")


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False
