"""An HTTP server on a Unix socket that plays the Docker Engine's answers, and its silences."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class EngineDouble:
    """`answers` maps "METHOD /path" (without the version) to a handler; anything else is 404."""

    socket_path: str
    answers: dict[str, Handler] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    api_version: str = "1.41"
    oldest_version: str = "1.12"
    gone: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"unix://{self.socket_path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith("/v1."):
            version, _, rest = path[1:].partition("/")
            self.versions.append(version)
            path = f"/{rest}"
        name = f"{request.method} {path}"
        self.requests.append(f"{name}?{request.query_string}" if request.query_string else name)
        try:
            if name in self.answers:
                return await self.answers[name](request)
        except asyncio.CancelledError:
            self.gone.append(name)
            raise
        if path == "/version":
            return web.json_response({"ApiVersion": self.api_version, "MinAPIVersion": self.oldest_version})
        return web.json_response({"message": f"page not found: {path}"}, status=404)


@asynccontextmanager
async def engine_double(socket_path: Path) -> AsyncIterator[EngineDouble]:
    double = EngineDouble(str(socket_path))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.UnixSite(runner, double.socket_path).start()
        yield double
    finally:
        await runner.cleanup()


def says(status: int, message: str = "as told") -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if status < 400:
            return web.Response(status=status)
        return web.json_response({"message": message}, status=status)

    return handle


def gives(content: object) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(content)

    return handle


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("a hanging answer came")


async def breaks_before_the_answer(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_in_mid_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'[{"Id": "abc",')
    assert request.transport is not None
    request.transport.abort()
    return response


def frame(stream: int, data: bytes) -> bytes:
    """A piece of a log as Docker multiplexes it."""
    return struct.pack(">BxxxL", stream, len(data)) + data


def streams(*pieces: bytes) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.raw-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return handle
