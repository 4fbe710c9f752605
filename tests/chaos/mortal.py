"""A controller and its agents in real processes, which can be killed at any instant and started again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from seawall.agent.join import join
from seawall.agent.local_policy import Level, LocalPolicy, Rules
from tests.chaos.callers import Callers
from tests.chaos.hatchery import start_agent, start_controller
from tests.system.plane import free_port

CONTROLLER = "controller"

_READY_SECONDS = 60.0
_AGAIN_SECONDS = 0.005
_LOG_TAIL = 3_000


class Ended(Exception):
    """A process ended that nobody killed; the message has the end of its log."""


class MortalPlane:
    """`engines` tells the address of each host's Docker Engine. What it is made of lies in the directory."""

    def __init__(
        self,
        directory: Path,
        engines: Mapping[str, str],
        heartbeat_seconds: float = 1.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` is what its processes have besides this one's."""
        self._environment = environment
        self.kills: Counter[str] = Counter()
        """How often each of them was killed."""
        self._directory = directory
        self._engines = engines
        self._heartbeat_seconds = heartbeat_seconds
        self._data = directory / "data"
        self._api, self._agents = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._api}"
        self._processes: dict[str, BaseProcess] = {}
        self._callers: Callers | None = None

    @property
    def callers(self) -> Callers:
        """Who asks for something."""
        assert self._callers is not None
        return self._callers

    def ledger(self, host: str) -> Path:
        """The directory in which the agent of a host has its ledger."""
        return self._directory / host

    async def __aenter__(self) -> MortalPlane:
        try:
            await self.start(CONTROLLER)
            token = (self._data / "admin.token").read_text().strip()
            self._callers = Callers(self.url, token)
            for host in self._engines:
                await self._join(host, token)
                await self.start(host)
            await self.until("all agents are connected", lambda: self.connected(all))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.join()
        if self._callers is not None:
            await self._callers.aclose()

    async def kill(self, name: str) -> None:
        """SIGKILL the controller or the agent of a host."""
        self._expect_alive()
        process = self._processes.pop(name)
        process.kill()
        await asyncio.to_thread(process.join)
        self.kills[name] += 1

    async def start(self, name: str) -> None:
        """Start it anew. A controller is ready when this returns; an agent will connect."""
        log = self._directory / f"{name}.log"
        if name != CONTROLLER:
            self._processes[name] = start_agent(
                log, self._directory / name, self._engines[name], self._environment
            )
            return
        self._processes[name] = start_controller(
            log,
            self._environment,
            data=str(self._data),
            api=f"127.0.0.1:{self._api}",
            agents=f"127.0.0.1:{self._agents}",
            heartbeat_seconds=str(self._heartbeat_seconds),
        )
        async with httpx.AsyncClient(base_url=self.url) as http:
            await self.until("the controller is ready", lambda: _ready(http))

    async def connected(self, quantity: Callable[[list[bool]], bool]) -> bool:
        """Whether all, or any, of the hosts are connected."""
        states = await self.callers.agents()
        return quantity([states.get(host) == "connected" for host in self._engines])

    async def until(self, what: str, true: Callable[[], Awaitable[bool]]) -> None:
        """Look again until it is so; real processes leave no choice. Raises Ended."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await true():
                    self._expect_alive()
                    await asyncio.sleep(_AGAIN_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {_READY_SECONDS:g} s") from None

    async def _join(self, host: str, token: str) -> None:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            answer = await http.post(f"{self.url}/api/v1/join-tokens", json={})
        url, join_token = f"https://127.0.0.1:{self._agents}", answer.json()["token"]
        await join(
            url,
            join_token,
            name=host,
            labels={},
            directory=self._directory / host,
            version="chaos",
            policy=LocalPolicy(Level.MANAGE, exec=True, rules=Rules(images=("*",))),
        )

    def _expect_alive(self) -> None:
        for name, process in self._processes.items():
            if process.exitcode is not None:
                log = (self._directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                raise Ended(f"{name} ended by itself ({process.exitcode}): ...{log[-_LOG_TAIL:]}")


async def _ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False
