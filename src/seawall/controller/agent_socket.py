"""One WebSocket of an agent: aiohttp reads and closes it, frames are written here.

Frames that are ready in one turn of the loop leave in one write: with many attempts under way that is a system call
and, with TLS, a record for dozens of frames. Writing never waits; whoever writes asks `paused` first. So a frame can
be sent from any callback, and a peer that doesn't read holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from struct import Struct

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from seawall.clock import Clock
from seawall.engine.deadlines import Deadlines
from seawall.wire.codec import FRAME_LIMIT_BYTES, encode_message
from seawall.wire.messages import Goodbye, Message
from seawall.wire.session import ProtocolError, Session

SUBPROTOCOL = "seawall.v1"
CLOSE_SECONDS = 2.0
"""How long an agent has to take its Goodbye before the connection is cut."""

_CLOSE_TEXT_BYTES = 120  # a close frame holds no more than 123
_BATCH_BYTES = 32 * 1024
_BUFFERED_BYTES = 64 * 1024

# RFC 6455, 5.2: a final binary frame, not masked because it comes from the server.
_FINAL_BINARY = 0x82
_short_header, _middle_header, _long_header = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack


class AgentSocket:
    """A connection and its session machine. Use it after `open`."""

    __slots__ = (
        "_batch",
        "_batch_bytes",
        "_clock",
        "_closing",
        "_deadlines",
        "_loop",
        "_protocol",
        "_request",
        "_stream",
        "_transport",
        "machine",
        "response",
    )

    def __init__(self, request: web.Request, clock: Clock, deadlines: Deadlines) -> None:
        self._request = request
        self._protocol = request.protocol
        self._clock = clock
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._stream: AbstractStreamWriter | None = None
        self._transport: asyncio.Transport | None = None
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self.machine = Session()
        self.response = web.WebSocketResponse(
            timeout=CLOSE_SECONDS, protocols=(SUBPROTOCOL,), compress=False, max_msg_size=FRAME_LIMIT_BYTES
        )

    async def open(self) -> None:
        """Answer the upgrade. Raises ConnectionError if the peer is gone by now."""
        self._stream = await self.response.prepare(self._request)
        self._transport = self._request.transport
        if self._transport is not None:
            # TLS would keep half a megabyte otherwise, which nothing can overtake.
            self._transport.set_write_buffer_limits(_BUFFERED_BYTES)

    @property
    def source(self) -> str:
        """The address of the other end."""
        return self._request.remote or ""

    @property
    def closing(self) -> bool:
        """Whether this end has begun to close, or the connection is gone."""
        return self._closing or self._request.transport is None

    @property
    def paused(self) -> bool:
        """Whether the peer reads too slowly for more to be written now."""
        return self._protocol.writing_paused

    async def drain(self) -> None:
        """Wait until more may be written. Raises ConnectionError when the connection is lost meanwhile."""
        if self._stream is not None:
            await self._stream.drain()
        if self._request.transport is None:
            # A lost connection stays paused for ever, and aiohttp no longer waits for it.
            raise ConnectionResetError("the connection was lost")

    def write(self, frame: bytes) -> None:
        """Write a message, at the latest at the end of this turn of the loop.

        Raises ConnectionError if the connection is gone; nothing was written then.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        size = len(frame)
        if size < 126:
            header = _short_header(_FINAL_BINARY, size)
        elif size < 65_536:
            header = _middle_header(_FINAL_BINARY, 126, size)
        else:
            header = _long_header(_FINAL_BINARY, 127, size)
        if not self._batch:
            self._loop.call_soon(self._flush)
        self._batch += (header, frame)
        self._batch_bytes += size
        if self._batch_bytes > _BATCH_BYTES:
            # Only what the transport has been given makes it pause.
            self._flush()

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(batch))

    def send(self, message: Message) -> None:
        """Write a message that the session machine has to note. Raises as `write`, and ProtocolError."""
        self.machine.move(message)
        self.write(encode_message(message))

    async def receive(self) -> bytes | None:
        """The next frame; None once the connection is over. Text comes as its bytes: it is no message of ours."""
        message = await self.response.receive()
        if message.type is WSMsgType.BINARY:
            frame: bytes = message.data
            return frame
        if message.type is WSMsgType.TEXT:
            return str(message.data).encode()
        return None

    async def receive_all(self, take: Callable[[bytes], bool]) -> None:
        """Hand over each frame as `receive` gives it, until the connection is over or `take` wants no more."""
        receive, binary = self.response.receive, WSMsgType.BINARY
        while True:
            message = await receive()
            if message.type is binary:
                wanted = take(message.data)
            elif message.type is WSMsgType.TEXT:
                wanted = take(str(message.data).encode())
            else:
                return
            if not wanted:
                return

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """Say goodbye and close, at most for CLOSE_SECONDS: then the connection is cut. Once is enough.

        A peer that doesn't read is cut at once: a goodbye would only queue behind what it hasn't taken.
        """
        if self._closing:
            return
        self._closing = True
        self._flush()
        if self.paused:
            self.abort()
            return
        self._deadlines.add(self._clock.now() + CLOSE_SECONDS, self.abort)
        # A connection that is lost by now is closed; so is one that a goodbye has no place in any more.
        with suppress(ConnectionError, ProtocolError, RuntimeError):
            self.send(Goodbye(reason, retry_after_seconds))
            self._flush()
            await self.response.close(message=reason.encode()[:_CLOSE_TEXT_BYTES])

    def abort(self) -> None:
        """Cut the connection, whatever is still to be written."""
        self._closing = True
        transport = self._request.transport
        if transport is not None:
            transport.abort()
