"""The WebSocket to the controller, over TLS that trusts the one controller that this host has joined."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import ssl
from typing import cast
from urllib.parse import urlsplit

import aiohttp

from seawall.agent.identity import AgentIdentity
from seawall.agent.session import ControllerSocket, End
from seawall.wire.codec import FRAME_LIMIT_BYTES
from seawall.wire.join import CONTROLLER_SERVER_NAME

SUBPROTOCOL = "seawall.v1"

_CLOSE_SECONDS = 2.0

# An answer waits behind what was given to the transport and to the kernel before it: a chunk or two of a stream.
_BUFFERED_BYTES = 64 * 1024
_UNSENT_BYTES = 128 * 1024

_logger = logging.getLogger("seawall.agent.link")


class Dialler:
    """Opens connections to the controller of one identity."""

    def __init__(self, identity: AgentIdentity) -> None:
        self.url, self._tls = _endpoint(identity)

    async def dial(self) -> ControllerSocket | End:
        """A new connection, or why there is none. May take for ever: whoever dials sets the limit."""
        http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(force_close=True),
        )
        socket: ControllerSocket | None = None
        try:
            found = await self._connect(http)
            if isinstance(found, End):
                return found
            socket = AioControllerSocket(http, found)
            return socket
        finally:
            if socket is None:
                await http.close()

    async def _connect(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse | End:
        try:
            socket = await http.ws_connect(
                self.url,
                protocols=(SUBPROTOCOL,),
                compress=0,
                max_msg_size=FRAME_LIMIT_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                ssl=self._tls if self._tls is not None else True,
                server_hostname=CONTROLLER_SERVER_NAME if self._tls is not None else None,
            )
        except (aiohttp.ClientError, OSError) as error:
            return End(_why(error))
        if socket.protocol != SUBPROTOCOL:
            await _close(socket)
            return End("what answers there is not a Seawall controller's door for agents; check the port")
        return socket


class AioControllerSocket:
    """`session.ControllerSocket` over aiohttp."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket
        _prepare(socket)

    async def receive(self) -> bytes | str | End:
        """See `ControllerSocket.receive`."""
        frame = await self._socket.receive()
        if frame.type is aiohttp.WSMsgType.BINARY:
            data: bytes = frame.data
            return data
        if frame.type is aiohttp.WSMsgType.TEXT:
            text: str = frame.data
            return text
        if frame.type is aiohttp.WSMsgType.ERROR:
            return End(f"the connection broke ({self._socket.exception()})")
        return End(f"the controller closed the connection (code {self._socket.close_code})")

    async def send(self, frame: bytes) -> None:
        """See `ControllerSocket.send`."""
        try:
            await self._socket.send_bytes(frame)
        except aiohttp.ClientError as error:
            raise ConnectionResetError(type(error).__name__) from error

    async def close(self) -> None:
        """See `ControllerSocket.close`."""
        try:
            await _close(self._socket)
        finally:
            await self._http.close()


class _Batches:
    """What aiohttp's writer needs of a transport: what is written in one turn of the loop leaves as one record of TLS.

    See ADR 10, which does the same for the controller's end.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._batch = bytearray()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._batch:
            self._loop.call_soon(self._flush)
        self._batch += data
        if len(self._batch) > _BUFFERED_BYTES:
            # Only what the transport has been given makes it pause.
            self._flush()

    def _flush(self) -> None:
        batch, self._batch = self._batch, bytearray()
        if batch and not self._transport.is_closing():
            self._transport.write(batch)


def _prepare(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Send in batches, and have little of what is sent wait on this host, where nothing can overtake it."""
    raw = socket.get_extra_info("socket")
    option: int | None = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
    if raw is not None and option is not None:
        try:
            raw.setsockopt(sockets.IPPROTO_TCP, option, _UNSENT_BYTES)
        except OSError as error:
            _logger.debug("the kernel doesn't limit what waits to be sent: %s", error)
    transport = socket._writer.transport  # aiohttp has no other way to it
    transport.set_write_buffer_limits(_BUFFERED_BYTES)
    socket._writer.transport = cast("asyncio.Transport", _Batches(transport))


def _endpoint(identity: AgentIdentity) -> tuple[str, ssl.SSLContext | None]:
    """The WebSocket's URL, and how to trust it. Without TLS only a controller on this very host is dialled."""
    parts = urlsplit(identity.controller_url)
    url = f"//{parts.netloc}{parts.path.rstrip('/')}/agent"
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1"):
        return f"ws:{url}", None
    return f"wss:{url}", identity.ssl_context()


def _why(error: Exception) -> str:
    """What a failed dial means. The kind of error decides, never its text."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "it could not prove that it is the controller that this host has joined"
    if isinstance(error, aiohttp.ClientSSLError):
        return "it doesn't speak TLS as a controller does"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it can't be reached ({error.os_error.strerror or error.os_error})"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it refused the connection (status {error.status})"
    return f"the connection broke ({type(error).__name__})"


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    try:
        await socket.close()
    except (aiohttp.ClientError, OSError):
        _logger.debug("the socket was gone before it was closed")
