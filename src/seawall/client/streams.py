"""Streams of operations for readers: bytes as they come, through broken connections, none lost and none twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from struct import Struct as Layout
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from seawall.client.context import Connection, is_loopback, trust
from seawall.client.errors import ClientError, Unreachable
from seawall.client.errors import StreamFailed as StreamFailed
from seawall.clock import Clock, SystemClock
from seawall.core.retry import RetryPolicy, back_off
from seawall.wire.stream import CHUNK_BYTES, Inflow, OffsetError, Outflow

RESUME_SECONDS = 60.0
"""How long a stream that broke off is tried to be resumed."""

_RETRIES = RetryPolicy(initial_delay=0.05, max_delay=2.0, jitter=True)
_FIRST_TRIES = 3
_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_SERVER_ERROR = 500
_OFFSET = Layout(">Q")
_MOST_FRAME_BYTES = CHUNK_BYTES + 4096
_NO_AGENT_LIMIT = 4 * 1024 * 1024  # an end may carry a response


class _Heard(Struct, frozen=True):
    type: str
    up_to: int = 0
    again: bool = False
    offset: int | None = None
    code: str | None = None
    error: str | None = None
    response: msgspec.Raw = msgspec.Raw()


_heard = msgspec.json.Decoder(_Heard)


class Stream:
    """One stream: an async context manager, and an async iterator of its bytes.

    `operation` says what is streamed, of the host `on`. Iterating raises StreamFailed when the host or the controller
    says no, ClientError when the controller refuses the connection, and Unreachable when there is none any more and
    RESUME_SECONDS of trying brought none. Input is sent only while somebody iterates.
    """

    def __init__(
        self,
        connection: Connection,
        operation: str,
        on: str,
        arguments: Mapping[str, object],
        *,
        clock: Clock | None = None,
    ) -> None:
        self.response: object = None
        """What the stream came to, once it has ended."""
        self.resumptions = 0
        """How often the connection broke, and the stream went on."""
        self._connection = connection
        self._clock = clock if clock is not None else SystemClock()
        self._order: dict[str, object] = {
            "stream_id": self._clock.new_id(),
            "operation": operation,
            "agent": on,
            "arguments": dict(arguments),
        }
        self._inflow = Inflow()
        self._outflow = Outflow()
        # Nothing is sent before the host has said from where.
        self._may_send = False
        self._room = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._opened = False
        self._ended = False
        self._sending = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Have the host stop; nothing more is read."""
        self._ended = True
        socket, self._socket = self._socket, None
        if socket is not None:
            with suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await socket.send('{"type":"close"}')
                    await socket.close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def write(self, data: bytes) -> None:
        """Send input; waits while the host is a window behind."""
        while data:
            room = self._outflow.room
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            self._outflow.add(data[:room])
            data = data[room:]
            await self._send_input()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while not self._ended:
            socket = self._socket
            try:
                if socket is None:
                    await self._resume()
                    continue
                message = await socket.recv()
                if isinstance(message, str):
                    await self._take(socket, _heard.decode(message))
                    continue
                (offset,) = _OFFSET.unpack_from(message)
                data = self._inflow.take(offset, message[_OFFSET.size :])
                if data:
                    yield data
                    # Credit is for what the caller has dealt with.
                    up_to = self._inflow.credit()
                    if up_to is not None:
                        await socket.send(f'{{"type":"credit","up_to":{up_to}}}')
            except ConnectionClosed:
                if self._socket is socket:
                    self._socket = None

    async def _take(self, socket: ClientConnection, heard: _Heard) -> None:
        if heard.type == "input_credit":
            self._credited(heard.up_to, again=heard.again)
            self._may_send = True
            self._room.set()
            await self._send_input()
        elif heard.type == "end":
            self._ended = True
            self.response = msgspec.json.decode(heard.response) if heard.response else None
            with suppress(ConnectionClosed):
                await socket.send('{"type":"close"}')
            if heard.code is not None:
                raise StreamFailed(heard.code, heard.error or heard.code)

    def _credited(self, up_to: int, *, again: bool) -> None:
        """The host holds the input up to here; `again` where it wants everything after that once more."""
        try:
            if again:
                self._outflow.rewind(max(up_to, self._outflow.start))
            else:
                self._outflow.credit(up_to)
        except OffsetError as error:
            raise StreamFailed(
                "invalid_response", f"the host misses what was sent before: {error}"
            ) from error

    def _next_input(self) -> tuple[int, bytes] | None:
        """What may be sent next, and its offset; None if there is nothing."""
        return self._outflow.take()

    async def _send_input(self) -> None:
        async with self._sending:
            while self._may_send and self._socket is not None:
                chunk = self._next_input()
                if chunk is None:
                    return
                with suppress(ConnectionClosed):
                    await self._socket.send(_OFFSET.pack(chunk[0]) + chunk[1])

    async def _connect(self) -> None:
        failures = 0
        while self._socket is None:
            try:
                await self._dial()
            except (OSError, TimeoutError, InvalidHandshake) as error:
                failures += 1
                if failures >= _FIRST_TRIES or isinstance(error, ssl.SSLError):
                    raise _unreachable(self._connection.url, error) from error
                await self._pause(failures)

    async def _resume(self) -> None:
        until, failures = self._clock.now() + RESUME_SECONDS, 0
        self.resumptions += 1
        while self._socket is None and not self._ended:
            try:
                await self._dial()
            except (OSError, TimeoutError, InvalidHandshake) as error:
                failures += 1
                if self._clock.now() >= until:
                    raise _unreachable(self._connection.url, error) from error
                await self._pause(failures)

    async def _dial(self) -> None:
        """Connect and say what is wanted. Raises ClientError where trying again makes no sense."""
        given = self._connection
        parts = urlsplit(given.url)
        headers = {"Authorization": f"Bearer {given.token.reveal()}"} if given.token is not None else {}
        tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            trusted = trust(given.ca_file)
            tls = trusted if isinstance(trusted, ssl.SSLContext) else ssl.create_default_context()
        scheme = "wss" if tls is not None else "ws"
        try:
            socket = await connect(
                f"{scheme}://{parts.netloc}{parts.path}/api/v1/streams",
                additional_headers=headers,
                user_agent_header="seawall",
                compression=None,
                max_size=_NO_AGENT_LIMIT,
                open_timeout=_CONNECT_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                ssl=tls,
                # A proxy of the environment is for other machines.
                proxy=None if is_loopback(parts.hostname or "") else True,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status >= _SERVER_ERROR:
                raise
            raise _refused(status, bytes(error.response.body or b"")) from error
        except InvalidURI as error:
            raise ClientError(0, "invalid_request", str(error)) from error
        self._may_send = False
        order = {"type": "resume" if self._opened else "open", **self._order}
        order["offset"] = self._inflow.position
        self._inflow.credited = self._inflow.position
        try:
            await socket.send(msgspec.json.encode(order).decode())
        except ConnectionClosed as error:
            raise ConnectionResetError("the connection broke at once") from error
        # Whether it came through or not: an agent begins a stream once.
        self._opened = True
        self._socket = socket

    async def _pause(self, failures: int) -> None:
        await self._clock.sleep_until(self._clock.now() + back_off(_RETRIES, failures, self._clock.dice))


def _refused(status: int, body: bytes) -> ClientError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = {}
    detail = str(problem.get("detail") or f"the stream was refused (status {status}); check the URL")
    return ClientError(status, str(problem.get("error_code") or f"http_{status}"), detail)


def _unreachable(url: str, error: Exception) -> Unreachable:
    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return Unreachable(
        f"no stream can be opened at the controller {url} ({reason}). Look whether it runs, then try again",
        may_have_arrived=False,
    )
