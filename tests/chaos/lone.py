"""One controller and one host in processes of their own, whose Engine outlives both and knows what was really done."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from http import HTTPStatus
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import httpx

from seawall.agent.join import join
from seawall.agent.local_policy import Level, LocalPolicy, Rules
from seawall.core.command import Domain
from tests.chaos.fake_dockerd import FakeDockerd
from tests.chaos.hatchery import start_agent, start_controller
from tests.system.plane import free_port

HOST = "host"
CONTROLLER, AGENT = "controller", "agent"

Found = TypeVar("Found")

_LONGEST_SECONDS = 30.0
_AGAIN_SECONDS = 0.01


class Lone:
    """`start` and `ended` are about CONTROLLER or AGENT; at the end of the context both are killed."""

    def __init__(self, directory: Path, sockets: Path, data: Path | None = None) -> None:
        """`data` is the controller's data directory, one in `directory` if nothing is said."""
        self.data = data if data is not None else directory / "data"
        self.agent_directory = directory / AGENT
        self.engine = FakeDockerd(sockets / "docker.sock", seed=0)
        self._directory = directory
        self._api, self._agents = free_port(), free_port()
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._api}", timeout=30.0)
        self._processes: dict[str, BaseProcess] = {}
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Lone:
        await self._stack.enter_async_context(self.engine)
        await self._stack.enter_async_context(self._http)
        self._stack.callback(self._kill_all)
        try:
            await self.start(CONTROLLER)
            self._http.headers["Authorization"] = f"Bearer {(self.data / 'admin.token').read_text().strip()}"
            invited = await self._http.post("/api/v1/join-tokens", json={})
            await join(
                f"https://127.0.0.1:{self._agents}",
                invited.json()["token"],
                name=HOST,
                labels={},
                directory=self.agent_directory,
                version="chaos",
                policy=LocalPolicy(Level.MANAGE, exec=True, rules=Rules(images=("*",))),
            )
            await self.start(AGENT)
            await self.connected()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # The processes

    async def start(self, name: str) -> None:
        """Start one of the two, instead of the one that there is; a controller is ready when this returns."""
        await self.stop(name)
        log = self._directory / f"{name}.log"
        if name == AGENT:
            await self.connected(False)
            self._processes[name] = start_agent(log, self.agent_directory, self.engine.address)
            return
        self._processes[name] = start_controller(
            log,
            data=str(self.data),
            api=f"127.0.0.1:{self._api}",
            agents=f"127.0.0.1:{self._agents}",
            heartbeat_seconds="1",
        )
        await self.until("the controller is ready", self._ready)

    async def stop(self, name: str) -> None:
        """Kill one of the two, if it lives."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.join)

    def process_id(self, name: str) -> int:
        """Of one of the two."""
        process_id = self._processes[name].pid
        assert process_id is not None
        return process_id

    def exit_code(self, name: str) -> int | None:
        """None as long as it lives; negative is the signal that ended it."""
        return self._processes[name].exitcode

    async def ended(self, name: str) -> int:
        """Wait for the end of one of the two, and say its exit code."""

        async def over() -> list[int]:
            code = self.exit_code(name)
            return [] if code is None else [code]

        return (await self.until(f"the {name} has ended", over))[0]

    async def survived(self, name: str) -> int | None:
        """None if it is alive after a fault that may just have struck, else its exit code."""

        async def sure() -> bool:
            return self.exit_code(name) is not None or name == AGENT or await self._answers()

        await self.until(f"the {name} is alive, or isn't", sure)
        return self.exit_code(name)

    def log(self, name: str) -> str:
        """What it has printed."""
        return (self._directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    # What callers do

    def hold(self) -> str:
        """A container that no other command is about: its name."""
        name = f"web-{next(self._numbers)}"
        self.engine.hold(name)
        return name

    async def close_circuits(self) -> None:
        """Forget the failures so far: these tests are about commands, and an open circuit would turn them away."""
        for domain in Domain:
            answer = await self._http.post(f"/api/v1/circuits/{HOST}/{domain.value}/reset", json={})
            assert answer.is_success, answer.text

    async def restart(self, container: str) -> httpx.Response | None:
        """Ask once for the restart of a container, under its name as key; None if there was no answer."""
        body = {"operation": "container_restart", "agent": HOST, "arguments": {"container": container}}
        try:
            return await self._http.post(
                "/api/v1/commands", json=body, headers={"Idempotency-Key": container}
            )
        except httpx.TransportError:
            return None

    async def record(self, command_id: str) -> dict[str, object] | None:
        """The command as the controller knows it; None if it doesn't, or isn't there."""
        try:
            answer = await self._http.get(f"/api/v1/commands/{command_id}")
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == HTTPStatus.OK else None

    async def over(self, command_id: str) -> dict[str, object]:
        """The command once its last word is spoken."""

        async def look() -> dict[str, object] | None:
            record = await self.record(command_id)
            return (
                record
                if record is not None and record["finished_at"] and record.get("settled", True)
                else None
            )

        return await self.until(f"command {command_id} is over", look)

    def executions(self, container: str) -> int:
        """How often this container was restarted, by the word of the Engine itself."""
        container_id = self.engine.docker.container(container).container_id
        return self.engine.effects()["container_restart", container_id]

    async def connected(self, wanted: bool = True) -> None:
        """Wait until the host is connected, or isn't."""

        async def look() -> bool:
            self._expect_controller()
            agents = (await self._http.get("/api/v1/agents")).json()
            return any(agent["state"] == "connected" for agent in agents) is wanted

        await self.until("the host is connected" if wanted else "the host is away", look)

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """What `look` finds, as soon as it does; real processes leave no choice but to look again."""
        last_moment = asyncio.get_running_loop().time() + _LONGEST_SECONDS
        while not (found := await look()):
            if asyncio.get_running_loop().time() > last_moment:
                logs = "\n".join(self.log(name)[-1500:] for name in self._processes)
                raise AssertionError(f"{what}: not within {_LONGEST_SECONDS:g} s\n{logs}")
            await asyncio.sleep(_AGAIN_SECONDS)
        return found

    async def _ready(self) -> bool:
        self._expect_controller()
        return await self._answers()

    async def _answers(self) -> bool:
        try:
            return (await self._http.get("/readyz")).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def _expect_controller(self) -> None:
        code = self.exit_code(CONTROLLER)
        if code is not None:
            raise AssertionError(f"the controller ended by itself ({code}): {self.log(CONTROLLER)[-4000:]}")

    def _kill_all(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.join()
