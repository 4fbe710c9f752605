"""Streams of what happens, as server-sent events. The bus is a hint: where it lost something the store is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from seawall.controller.api.permissions import Viewer
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.engine.notices import Notice
from seawall.engine.records import command_document
from seawall.engine.store import StoreFailed

HEARTBEAT_SECONDS = 15.0
MAX_STREAMS = 1_000

_BUSY_RETRY_AFTER_SECONDS = 5.0
_HEARTBEAT = b": heartbeat\n\n"

_logger = logging.getLogger("seawall.api")

router = APIRouter(prefix="/api/v1/events", tags=["events"])


@router.get("")
async def follow_everything(_: Viewer, services: TheServices) -> Response:
    """Everything that happens to commands, circuits and agents, until the caller goes."""
    return _stream(services, _everything(services))


def command_stream(services: Services, command_id: str) -> Response:
    """What happens to one command: `record` as it is, then what follows, `finished` with the final record last."""
    return _stream(services, _of_command(services, command_id))


async def _everything(services: Services) -> AsyncGenerator[bytes]:
    with services.bus.listen() as notices:
        yield b": listening\n\n"
        async for notice in _paced(services, notices):
            yield _HEARTBEAT if notice is None else _notice_event(notice)


async def _of_command(services: Services, command_id: str) -> AsyncGenerator[bytes]:
    # Whoever listens before reading misses nothing that happens in between.
    with services.bus.listen(command_id) as notices:
        record = await services.store.command(command_id)
        if record is None:
            return
        yield _event("record", command_document(record))
        if record.state.final:
            yield _event("finished", command_document(record))
            return
        async for notice in _paced(services, notices):
            if notice is None:
                yield _HEARTBEAT
            elif notice.kind == "finished":
                yield _event("finished", notice.content)
                return
            elif notice.kind == "lost":
                record = await services.store.command(command_id)
                if record is None or record.state.final:
                    yield _event("finished", command_document(record) if record is not None else {})
                    return
                yield _event("record", command_document(record))
            else:
                yield _notice_event(notice)


async def _paced(services: Services, notices: AsyncIterator[Notice]) -> AsyncGenerator[Notice | None]:
    """The notices as they come, None after every silence of HEARTBEAT_SECONDS; ends when the controller stops."""
    loop, clock = asyncio.get_running_loop(), services.clock
    stopping = asyncio.ensure_future(services.stopping.wait())
    arrival: asyncio.Future[Notice] | None = None
    try:
        while not stopping.done():
            if arrival is None:
                arrival = asyncio.ensure_future(anext(notices))
            silence: asyncio.Future[None] = loop.create_future()
            timer = clock.call_at(clock.now() + HEARTBEAT_SECONDS, silence.cancel)
            try:
                await asyncio.wait((arrival, stopping, silence), return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            if arrival.done():
                notice, arrival = arrival.result(), None
                yield notice
            elif silence.done():
                yield None
    finally:
        stopping.cancel()
        if arrival is not None:
            arrival.cancel()


def _stream(services: Services, events: AsyncGenerator[bytes]) -> Response:
    if services.open_streams >= MAX_STREAMS:
        raise Problem(
            503,
            ProblemCode.BUSY,
            f"{MAX_STREAMS} event streams are open already; close some, or ask for records instead",
            retry_after_seconds=_BUSY_RETRY_AFTER_SECONDS,
        )
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_counted(services, events), headers=headers, media_type="text/event-stream")


async def _counted(services: Services, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    services.open_streams += 1
    try:
        async for event in events:
            yield event
    except StoreFailed as error:
        # The caller sees the stream end without its last event, and asks again.
        _logger.warning("an event stream ends: %s", error)
    finally:
        services.open_streams -= 1
        await events.aclose()


def _notice_event(notice: Notice) -> bytes:
    named = {"agent_id": notice.agent_id, "command_id": notice.command_id}
    return _event(notice.kind, {**named, **notice.content})


def _event(kind: str, content: dict[str, object]) -> bytes:
    # JSON has no raw line ends, so one line holds it.
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(content))
