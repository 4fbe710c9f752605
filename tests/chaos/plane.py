"""A real controller and a real agent in this process, and a faulty proxy between them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from seawall.agent.app import run_agent
from seawall.agent.docker import Docker
from seawall.agent.identity import AgentIdentity, pinned_context
from seawall.agent.join import join
from seawall.client.context import Connection
from seawall.clock import Clock, SystemClock
from seawall.controller.app import Running, run_controller
from seawall.controller.authority import CertificateAuthority
from seawall.controller.settings import load_settings
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.wire.secret import Secret
from tests.chaos.callers import Callers
from tests.chaos.intents import Intent, Judgement, intent_to, judge, random_intent
from tests.chaos.proxy import FaultProxy

HOST = "host"
HEARTBEAT_SECONDS = 0.3

_STARTED_SECONDS = 30.0
_TIMEOUT_SECONDS = 1.0


class FaultyPlane:
    """What a test does to it: `order` commands, set the proxy's plan, and `judge` at the end."""

    def __init__(
        self, proxy: FaultProxy, docker: FakeDocker, callers: Callers, seed: int, connection: Connection
    ) -> None:
        self.proxy = proxy
        self.connection = connection
        self.docker = docker
        self.callers = callers
        self.intents: list[Intent] = []
        self._dice = random.Random(seed)

    def intend(self, operation: str | None = None) -> Intent:
        """A change of a container of its own: this one, or any, with its moods."""
        name = f"c{len(self.intents)}"
        if operation is not None:
            intent = intent_to(operation, name, HOST, self._hold)
        else:
            intent = random_intent(self._dice, name, HOST, self._hold)
        intent.timeout_seconds = _TIMEOUT_SECONDS
        self.intents.append(intent)
        return intent

    async def order(self, intent: Intent) -> None:
        """Have it done, and wait until it is over."""
        await self.callers.have_done(intent)
        await self.callers.watch(intent)

    async def judge(self, within_seconds: float) -> Judgement:
        """How everything ended, once it has."""
        records = await self.callers.all_final(self.intents, within_seconds)
        effects = Counter(self.docker.effects)
        return judge(self.intents, records, lambda intent: effects[intent.operation, intent.container_id])

    def _hold(self, _: str, name: str, running: bool) -> str:
        return self.docker.add(FakeContainer(name, running=running)).container_id


@asynccontextmanager
async def faulty_plane(
    directory: Path, seed: int, engine: Docker | None = None, clock: Clock | None = None
) -> AsyncIterator[FaultyPlane]:
    """A plane of one host, connected through the proxy, which lets everything pass for now.

    `engine` is what the agent serves instead of the fake Docker, `clock` what it goes by.
    """
    async with _controller(directory / "data") as running:
        token = running.admin_token_file.read_text().strip()
        authority = CertificateAuthority.open(running.data / "authority", SystemClock().wall())
        tls = authority.server_context(), pinned_context(authority.ca_pem)
        identity = await _joined(running, token, directory / "agent")
        docker = FakeDocker(SystemClock(), [])
        async with (
            FaultProxy(running.agents.port, *tls, seed) as proxy,
            aclosing(Callers(running.api_url, token)) as callers,
            _agent(
                replace(identity, controller_url=proxy.url),
                engine or docker,
                directory / "agent",
                clock or SystemClock(),
            ),
        ):
            connection = Connection(running.api_url, Secret(token))
            yield FaultyPlane(proxy, docker, callers, seed, connection)


@asynccontextmanager
async def _controller(data: Path) -> AsyncIterator[Running]:
    addresses = {"api": "127.0.0.1:0", "agents": "127.0.0.1:0"}
    settings = load_settings({"data": data, "heartbeat_seconds": HEARTBEAT_SECONDS, **addresses})
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    work = asyncio.create_task(
        run_controller(settings, SystemClock(), on_ready=started.set_result, stop=stop)
    )
    try:
        await asyncio.wait((work, started), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        yield started.result()
    finally:
        stop.set()
        await work


@asynccontextmanager
async def _agent(
    identity: AgentIdentity, docker: Docker, directory: Path, clock: Clock
) -> AsyncIterator[None]:
    stop, connected = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(
        run_agent(identity, directory, docker, clock, on_connected=connected.set, stop=stop)
    )
    try:
        async with asyncio.timeout(_STARTED_SECONDS):
            await connected.wait()
        yield
    finally:
        stop.set()
        await work


async def _joined(running: Running, token: str, directory: Path) -> AgentIdentity:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.post(f"{running.api_url}/api/v1/join-tokens", json={})
    join_token = answer.json()["token"]
    return await join(
        running.agents_url, join_token, name=HOST, labels={}, directory=directory, version="chaos"
    )
