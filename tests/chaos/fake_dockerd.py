"""A Docker Engine's HTTP API over a Unix socket, as far as the agent uses it, in front of a `FakeDocker`.

Agents and controllers die around it and it lives on, so that its effects are the truth about what they did. As with
the real one, a change goes on when the connection that asked for it is gone.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from seawall.agent.failure import DockerFailure
from seawall.clock import SystemClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TIMEOUT_SECONDS = 60.0
_HANG_UP_SECONDS, _AGAIN_SECONDS = 5.0, 0.01


class FakeDockerd:
    """One host's Engine; `docker` is what it holds.

    A change takes up to `slowness_seconds`, half of it before its effect and half after it.
    """

    def __init__(self, socket_path: Path, seed: int, slowness_seconds: float = 0.0) -> None:
        self.docker = FakeDocker(SystemClock(), [], hostname=socket_path.stem)
        self.address = f"unix://{socket_path}"
        self._socket_path = socket_path
        self._dice = random.Random(seed)
        self._slowness_seconds = slowness_seconds
        self._changes: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeDockerd:
        self._runner = web.AppRunner(self._application(), access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._socket_path)).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._hung_up(self._runner)
            await self._runner.cleanup()
        if self._changes:
            await asyncio.wait(self._changes)

    def hold(self, name: str, *, running: bool = True) -> str:
        """Put a container there; its id."""
        return self.docker.add(FakeContainer(name, running=running)).container_id

    def effects(self) -> Counter[tuple[str, str]]:
        """How often each (operation, container id) was done."""
        return Counter(self.docker.effects)

    async def _hung_up(self, runner: web.AppRunner) -> None:
        """Wait for clients that were killed to be gone: aiohttp leaves to the loop what it closes itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HANG_UP_SECONDS):
                await asyncio.sleep(_AGAIN_SECONDS)
                while runner.server is not None and runner.server.connections:  # noqa: ASYNC110 - aiohttp tells nobody
                    await asyncio.sleep(_AGAIN_SECONDS)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_refusals])
        add = application.router.add_route
        for prefix in ("", r"/v{version:[\d.]+}"):
            add("GET", prefix + "/_ping", self._ping)
            add("GET", prefix + "/version", self._version)
            add("GET", prefix + "/info", self._info)
            add("GET", prefix + "/containers/json", self._list)
            add("GET", prefix + "/containers/{name}/json", self._inspect)
            add("POST", prefix + "/containers/{name}/{verb:start|stop|restart|kill|rename}", self._post)
            add("DELETE", prefix + "/containers/{name}", self._delete)
        return application

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(await self.docker.version(timeout_seconds=_TIMEOUT_SECONDS))

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response(await self.docker.info(timeout_seconds=_TIMEOUT_SECONDS))

    async def _list(self, request: web.Request) -> web.Response:
        stopped = request.query.get("all", "0").lower() in ("1", "true")
        found = await self.docker.container_list(stopped=stopped, timeout_seconds=_TIMEOUT_SECONDS)
        return web.json_response(found)

    async def _inspect(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response(await self.docker.container_inspect(name, timeout_seconds=_TIMEOUT_SECONDS))

    async def _post(self, request: web.Request) -> web.Response:
        docker, name, query = self.docker, request.match_info["name"], request.query
        grace = int(query.get("t", "10"))
        match request.match_info["verb"]:
            case "start":
                work = docker.container_start(name, timeout_seconds=_TIMEOUT_SECONDS)
            case "stop":
                work = docker.container_stop(name, grace_seconds=grace, timeout_seconds=_TIMEOUT_SECONDS)
            case "restart":
                work = docker.container_restart(name, grace_seconds=grace, timeout_seconds=_TIMEOUT_SECONDS)
            case "kill":
                signal = query.get("signal", "SIGKILL")
                work = docker.container_kill(name, signal=signal, timeout_seconds=_TIMEOUT_SECONDS)
            case _:
                work = docker.container_rename(name, name=query["name"], timeout_seconds=_TIMEOUT_SECONDS)
        return await self._change(work)

    async def _delete(self, request: web.Request) -> web.Response:
        force, volumes = (request.query.get(flag, "").lower() in ("1", "true") for flag in ("force", "v"))
        name = request.match_info["name"]
        return await self._change(
            self.docker.container_remove(name, force=force, volumes=volumes, timeout_seconds=_TIMEOUT_SECONDS)
        )

    async def _change(self, work: Awaitable[None]) -> web.Response:
        change = asyncio.create_task(self._slowly(work))
        self._changes.add(change)
        change.add_done_callback(self._forget)
        await asyncio.shield(change)
        return web.Response(status=204)

    async def _slowly(self, work: Awaitable[None]) -> None:
        pause = self._slowness_seconds / 2
        await asyncio.sleep(pause * self._dice.random())
        await work
        await asyncio.sleep(pause * self._dice.random())

    def _forget(self, change: asyncio.Task[None]) -> None:
        self._changes.discard(change)
        if not change.cancelled():
            # Whoever asked may be gone, and nobody else wants to hear of its failure.
            change.exception()


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a `FakeDocker` refuses, in the Engine's words."""
    try:
        return await handler(request)
    except DockerFailure as failure:
        return web.json_response({"message": failure.message}, status=failure.status or 500)
