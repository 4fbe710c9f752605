"""A controller with its dashboard and simulated hosts, in a thread of this process, for a real browser to look at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvloop

from seawall.agent.app import run_agent
from seawall.agent.identity import AgentIdentity
from seawall.agent.join import join
from seawall.clock import SystemClock
from seawall.controller.app import Running, run_controller
from seawall.controller.settings import Address, ControllerSettings
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker

Done = TypeVar("Done")

_ANY = Address("127.0.0.1", 0)
_PATIENCE_SECONDS = 30.0


class MovableClock(SystemClock):
    """The machine's clock, but for the time of day, which a test may move."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()
        told = self.wall
        self.wall = partial(self._moved, told)  # type: ignore[assignment]  # a function as well

    def _moved(self, told: partial[datetime]) -> datetime:
        return told() + self.ahead


class Stage:
    """See the module's text. Methods may be called from the test's thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.clock = MovableClock()
        self.cookies: dict[str, list[Any]] = {}
        """Those of users who have signed in, by name."""
        self.labels: dict[str, str] = {}
        """What hosts that join are labelled with."""
        self.running: Running
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._agents: dict[str, asyncio.Task[None]] = {}

    def call(self, work: Coroutine[None, None, Done]) -> Done:
        """Do something in the controller's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)

    def do(self, work: partial[object]) -> None:
        """Do something in the controller's thread that doesn't wait."""

        async def call() -> None:
            work()

        self.call(call())

    def add_host(self, name: str, containers: list[FakeContainer] | None = None) -> FakeDocker:
        """Let a host join and connect."""
        token = self.api("POST", "/api/v1/join-tokens").json()["token"]
        return self.call(self._join(name, token, containers))

    def cut_off(self, name: str) -> None:
        """A host is gone, as by a power cut."""

        async def cancel() -> None:
            self._agents[name].cancel()
            await asyncio.wait((self._agents[name],))

        self.call(cancel())

    def join_with(self, name: str, token: str) -> FakeDocker:
        """Let a host join with a token that somebody else has made."""
        return self.call(self._join(name, token, None))

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One request to the API, as an admin."""
        token = self.running.admin_token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(
            method, self.running.api_url + path, json=body, headers=headers, timeout=_PATIENCE_SECONDS
        )

    def command(self, operation: str, agent: str, **more: object) -> dict[str, object]:
        """Have something done and wait for its end."""
        body = {"operation": operation, "agent": agent, **more}
        found: dict[str, object] = self.api("POST", "/api/v1/commands?wait=20", body).json()
        return found

    async def _join(self, name: str, token: str, containers: list[FakeContainer] | None) -> FakeDocker:
        directory = self._directory / name
        identity: AgentIdentity = await join(
            self.running.agents_url, token, name=name, labels=self.labels, directory=directory, version="1.0"
        )
        docker = FakeDocker(self.clock, containers, hostname=name)
        connected = asyncio.Event()

        async def agent() -> None:
            while await run_agent(
                identity,
                directory,
                docker,
                self.clock,
                simulated=True,
                on_connected=connected.set,
                stop=self._stop,
                restarts=True,
            ):
                pass

        self._agents[name] = asyncio.create_task(agent())
        await asyncio.wait_for(connected.wait(), _PATIENCE_SECONDS)
        return docker

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        settings = ControllerSettings(
            data=self._directory / "data", api=_ANY, agents=_ANY, heartbeat_seconds=1.0
        )

        def announce(running: Running) -> None:
            self.running = running
            ready.set()

        try:
            await run_controller(settings, self.clock, on_ready=announce, stop=self._stop)
        finally:
            ready.set()
            if self._agents:
                await asyncio.wait(self._agents.values(), timeout=_PATIENCE_SECONDS)

    def end(self) -> None:
        """Stop the controller and its hosts."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def run(self, ready: threading.Event) -> None:
        """Run it to its end."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run(ready))


@contextmanager
def staged(directory: Path) -> Iterator[Stage]:
    """A stage without hosts or users."""
    stage, ready = Stage(directory), threading.Event()
    thread = threading.Thread(target=stage.run, args=(ready,), name="stage")
    thread.start()
    try:
        assert ready.wait(_PATIENCE_SECONDS), "the controller didn't start"
        yield stage
    finally:
        stage.end()
        thread.join(_PATIENCE_SECONDS)
        assert not thread.is_alive(), "the controller didn't stop"
