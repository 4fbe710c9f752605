"""The controller's side of the agents' listener, as far as an agent can tell."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from seawall.wire.codec import FRAME_LIMIT_BYTES, decode_from_agent, encode_message
from seawall.wire.messages import Challenge, FromAgent, FromController, Hello, Pong, Welcome
from seawall.wire.signature import hello_signing_bytes

CONTROLLER_ID = "controller-1"


class Visit:
    """One WebSocket that an agent opened."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.heard: asyncio.Queue[FromAgent] = asyncio.Queue()
        self.close_code: int | None = None
        self.over = asyncio.Event()
        self.nonce = os.urandom(32)

    async def send(self, *messages: FromController) -> None:
        for message in messages:
            await self.socket.send_bytes(encode_message(message))

    async def challenge(self, **changes: object) -> None:
        fields: dict[str, object] = {
            "nonce": self.nonce,
            "controller_id": CONTROLLER_ID,
            "term": 1,
            "now": "2030-01-01T00:00:00Z",
        }
        await self.send(Challenge(**(fields | changes)))  # type: ignore[arg-type]  # free fields

    async def receive(self) -> FromAgent:
        async with asyncio.timeout(10):
            return await self.heard.get()

    async def welcome(self, epoch: int = 1, heartbeat_seconds: float = 10.0) -> Hello:
        """Everything up to the open session; the agent's hello."""
        await self.challenge()
        hello = await self.receive()
        assert isinstance(hello, Hello)
        await self.send(Welcome(epoch, heartbeat_seconds))
        return hello

    def proves(self, hello: Hello, public_key: bytes) -> None:
        """Raise unless the hello is signed by this key over this visit's nonce."""
        text = hello_signing_bytes(
            nonce=self.nonce, controller_id=CONTROLLER_ID, agent_id=hello.agent_id, term=1
        )
        Ed25519PublicKey.from_public_bytes(public_key).verify(hello.signature, text)

    def vanish(self) -> None:
        """End the connection without a word."""
        transport = self.socket._req.transport if self.socket._req is not None else None
        assert transport is not None
        transport.abort()


@dataclass
class ControllerDouble:
    """Takes visits, and leaves to the test what is said in them."""

    url: str = ""
    status: int = 101
    protocols: tuple[str, ...] = ("seawall.v1",)
    dials: int = 0
    offered: list[str] = field(default_factory=list)
    _visits: asyncio.Queue[Visit] = field(default_factory=asyncio.Queue)

    async def visit(self) -> Visit:
        async with asyncio.timeout(10):
            return await self._visits.get()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.dials += 1
        self.offered.append(request.headers.get("Sec-WebSocket-Extensions", ""))
        if self.status != 101:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse(
            protocols=self.protocols, compress=False, max_msg_size=FRAME_LIMIT_BYTES, timeout=1.0
        )
        await socket.prepare(request)
        visit = Visit(socket)
        self._visits.put_nowait(visit)
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.BINARY:
                visit.heard.put_nowait(decode_from_agent(frame.data))
        visit.close_code = socket.close_code
        visit.over.set()
        return socket


@asynccontextmanager
async def controller_double(tls: ssl.SSLContext | None) -> AsyncIterator[ControllerDouble]:
    double = ControllerDouble()
    app = web.Application()
    app.router.add_get("/agent", double.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        double.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}"
        yield double
    finally:
        await runner.cleanup()


def is_pong(message: FromAgent, sequence: int, docker: bool | None = None) -> bool:
    """Whether this is the answer to that ping; how the host is may be anything."""
    return isinstance(message, Pong) and (message.sequence, message.docker) == (sequence, docker)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn, sockets included, until it is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it may be about anything, and sockets tell nobody
            await asyncio.sleep(0)
