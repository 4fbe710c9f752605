"""Streams of operations over a WebSocket: one connection is one reader of one stream.

The reader says first what it wants, as text: `{"type": "open", "stream_id": ..., "operation": ..., "agent": ...,
"arguments": {...}}`, or the same with `"type": "resume"` and the `offset` up to which it holds the bytes. Then:

    from the reader                                          to the reader
    text {"type": "credit", "up_to": N}                      text {"type": "opened", "window": N}
    text {"type": "close"}                                   text {"type": "input_credit", "up_to": N, "again": false}
    binary: offset (8 bytes, big endian), then input         binary: offset, then bytes
                                                             text {"type": "end", "offset": N, "code": ...,
                                                                   "error": ..., "response": ...}, and a close
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from struct import Struct as Layout
from struct import error as LayoutError  # noqa: N812 - an exception's name is one of a class
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter
from msgspec import Struct, field
from starlette.websockets import WebSocket, WebSocketDisconnect

from seawall.controller.api.permissions import Viewer, allow
from seawall.controller.api.problems import Problem, ProblemCode, problem_of, unknown_host
from seawall.controller.api.services import Services, TheServices
from seawall.controller.auth import Principal
from seawall.controller.streams import Relay, Streams
from seawall.core.errors import CommandErrorCode
from seawall.engine.commands import find_operation
from seawall.engine.store import StoreFailed
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.wire.stream import CHUNK_BYTES, WINDOW_BYTES

FIRST_SECONDS = 10.0
"""How long a reader may take to say what it wants."""
MAX_STREAMS = 1_000

_LAST_SECONDS = 2.0

_STREAM_ID = re.compile(r"[0-9a-f-]{32,36}")
_OFFSET = Layout(">Q")
_NORMAL, _POLICY, _GOING_AWAY = 1000, 1008, 1012

_logger = logging.getLogger("seawall.api")

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class Order(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="open"):
    """What a reader wants to read."""

    stream_id: str
    operation: str
    agent: str
    arguments: dict[str, object] = field(default_factory=dict)
    offset: int = 0


class Again(Order, frozen=True, tag="resume"):
    """What a reader wants to go on with."""


class Credit(Struct, frozen=True, tag_field="type", tag="credit"):
    """The reader holds everything up to here."""

    up_to: int


class Close(Struct, frozen=True, tag_field="type", tag="close"):
    """The reader has seen enough."""


_order = msgspec.json.Decoder(Order | Again)
_said = msgspec.json.Decoder(Credit | Close)


@router.websocket("")
async def read_stream(socket: WebSocket, principal: Viewer, services: TheServices) -> None:
    """See the module's text. The operation says which role it needs."""
    _refuse_foreign(socket)
    await socket.accept()
    try:
        relay = await _open(socket, principal, services)
    except (Problem, InvalidArguments, StoreFailed, ValueError) as error:
        problem = problem_of(error)
        await _say_end(socket, problem.code.value, problem.detail)
        return
    except WebSocketDisconnect:
        return
    if relay is None:
        return
    await _serve(socket, relay[0], relay[1], services)


async def _open(socket: WebSocket, principal: Principal, services: Services) -> tuple[Relay, int] | None:
    """The stream that the reader wants, and the number of this connection. Raises what becomes a problem."""
    order = await _first(socket, services)
    if order is None:
        return None
    try:
        operation = find_operation(order.operation)
    except LookupError as error:
        raise Problem(422, CommandErrorCode.UNSUPPORTED_OPERATION, str(error)) from error
    allow(principal, operation.role, f"the operation {operation.name}")
    if operation.stream is None:
        text = f"the operation {operation.name} is no stream: give it as a command"
        raise Problem(422, CommandErrorCode.UNSUPPORTED_OPERATION, text)
    arguments = check_arguments(operation, order.arguments, stream=True)
    agent = services.fleet.find(order.agent)
    if agent is None:
        raise unknown_host(order.agent)
    streams, again = services.streams, isinstance(order, Again)
    relay = streams.find(order.stream_id)
    if relay is None:
        _check_room(streams, agent.agent_id, agent.name, again=again)
        relay = streams.open(
            *(order.stream_id, agent.agent_id, principal.token_id),
            _Checked(operation.name, arguments),
            order.offset,
            again=again,
        )
        _logger.info(
            "%s follows %s on %s",
            principal.name,
            operation.name,
            agent.name,
            extra={"agent": agent.agent_id, "operation": operation.name, "stream_id": order.stream_id},
        )
    elif (relay.owner, relay.agent_id, relay.order.operation) != (
        principal.token_id,
        agent.agent_id,
        operation.name,
    ):
        raise Problem(409, ProblemCode.CONFLICT, f"the stream {order.stream_id} is another one")
    return relay, streams.attach(relay, order.offset)


class _Checked(Struct, frozen=True):
    operation: str
    arguments: dict[str, object]


def _check_room(streams: Streams, agent_id: str, name: str, *, again: bool) -> None:
    if len(streams) >= MAX_STREAMS:
        text = f"{MAX_STREAMS} streams are open already; close some, then try again"
        raise Problem(503, ProblemCode.BUSY, text)
    if not again and not streams.is_connected(agent_id):
        text = f"the host {name} isn't connected, and a stream doesn't wait for it: see 'seawall agent list'"
        raise Problem(503, CommandErrorCode.AGENT_NOT_CONNECTED, text)


async def _first(socket: WebSocket, services: Services) -> Order | None:
    reading = asyncio.ensure_future(socket.receive_text())
    timer = services.clock.call_at(services.clock.now() + FIRST_SECONDS, reading.cancel)
    try:
        await asyncio.wait((reading,))
    finally:
        timer.cancel()
        reading.cancel()
    if reading.cancelled():
        await socket.close(_POLICY, "nothing was asked for")
        return None
    try:
        order: Order = _order.decode(reading.result())
    except (msgspec.DecodeError, KeyError) as error:
        text = f"the first message isn't one that opens a stream: {error}"
        raise Problem(422, ProblemCode.INVALID_REQUEST, text) from error
    if _STREAM_ID.fullmatch(order.stream_id) is None or order.offset < 0:
        text = "a stream needs a stream_id that is a UUID of the reader's making, and an offset from 0"
        raise Problem(422, ProblemCode.INVALID_REQUEST, text)
    return order


async def _serve(socket: WebSocket, relay: Relay, generation: int, services: Services) -> None:
    """Carry both directions until either is over."""
    stopping = asyncio.ensure_future(services.stopping.wait())
    reading = asyncio.ensure_future(_listen(socket, relay, generation, services.streams))
    writing = asyncio.ensure_future(_tell(socket, relay, generation))
    watching = asyncio.ensure_future(relay.closed.wait())
    parts = (stopping, reading, writing, watching)
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        if watching.done() and not writing.done():
            # It is over, or another connection reads it; what can be said is said, to a reader that listens.
            await asyncio.wait((writing,), timeout=_LAST_SECONDS)
        elif writing.done():
            # The end was said; a reader that has it closes, so that nobody waits for it to come back.
            await asyncio.wait(
                (reading, stopping), timeout=_LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        services.streams.detach(relay, generation)
    for part in (reading, writing):
        error = None if part.cancelled() else part.exception()
        if error is not None and not isinstance(error, WebSocketDisconnect | RuntimeError):
            raise error
    if socket.application_state.name == "CONNECTED" and socket.client_state.name == "CONNECTED":
        with suppress(WebSocketDisconnect):  # a reader whose link broke hears nothing of it
            await socket.close(_GOING_AWAY if services.stopping.is_set() else _NORMAL)


async def _listen(socket: WebSocket, relay: Relay, generation: int, streams: Streams) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect" or relay.generation != generation:
            return
        data = message.get("bytes")
        try:
            if data is not None:
                (offset,) = _OFFSET.unpack_from(data)
                streams.give(relay, offset, data[_OFFSET.size : _OFFSET.size + CHUNK_BYTES])
                continue
            said = _said.decode(message.get("text") or "")
            if isinstance(said, Close):
                streams.close(relay, "the reader has seen enough")
                return
            streams.credit(relay, said.up_to)
        except Exception as error:
            if not isinstance(error, msgspec.DecodeError | ValueError | LayoutError):
                raise
            await _say_end(socket, ProblemCode.INVALID_REQUEST.value, f"this isn't understood: {error}")
            streams.close(relay, "the reader broke the protocol")
            return


async def _tell(socket: WebSocket, relay: Relay, generation: int) -> None:
    await socket.send_text(_json({"type": "opened", "window": WINDOW_BYTES}))
    news = relay.news
    while relay.generation == generation:
        while relay.generation == generation and (chunk := relay.next_chunk()) is not None:
            offset, data = chunk
            await socket.send_bytes(_OFFSET.pack(offset) + data)
            await asyncio.sleep(0)  # commands have their turn between two chunks
        credit, relay.input_credit = relay.input_credit, None
        if credit is not None:
            content = {"type": "input_credit", "up_to": credit.up_to, "again": credit.again}
            await socket.send_text(_json(content))
            continue
        end = relay.end
        if end is not None:
            await _say_end(socket, end.code, end.error, end.offset, end.response)
            return
        if relay.over:
            return
        news.clear()
        await news.wait()


async def _say_end(
    socket: WebSocket,
    code: str | None,
    error: str | None,
    offset: int | None = None,
    response: object = None,
) -> None:
    content = {"type": "end", "offset": offset, "code": code, "error": error, "response": response}
    try:
        await socket.send_text(_json(content))
    except (WebSocketDisconnect, RuntimeError):
        _logger.debug("the reader was gone before the end of its stream")


def _json(content: dict[str, object]) -> str:
    return msgspec.json.encode(content).decode()


def _refuse_foreign(socket: WebSocket) -> None:
    """A page of another origin has no business here, whatever a browser sends with its request."""
    origin = socket.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != socket.headers.get("Host"):
        raise Problem(403, ProblemCode.FORBIDDEN, "streams aren't for pages from elsewhere")
