"""What happens in the Engine, for a reader that needs to do nothing to know how things are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from seawall.agent.docker import DockerFailure
from seawall.agent.operations.streaming import BEGIN_SECONDS, Lines, StreamWork
from seawall.core.errors import Circumstance

_AGAIN_SECONDS = 2.0
_PASSES = frozenset(
    {
        Circumstance.DOCKER_UNREACHABLE,
        Circumstance.DOCKER_FAILED,
        Circumstance.DOCKER_SILENT,
    }
)


async def system_events(work: StreamWork) -> object:
    """A line for each thing that happens; a line with all containers first, and again after whatever was missed.

    What is missed is said before: `dropped` events, which the reader was too slow for, or that the Engine's own events
    were `interrupted`. Then they are asked for again until they go on.
    """
    begun = said = False
    while True:
        try:
            async with work.docker.system_events(timeout_seconds=BEGIN_SECONDS) as pieces:
                await _list(work)
                begun, said = True, False
                await _pass_on(work, pieces)
            why = "the Docker Engine told no more events, as when it is restarted"
        except DockerFailure as failure:
            if not begun or failure.circumstance not in _PASSES:
                raise
            why = failure.message
        if not said:
            await work.write(_line({"interrupted": why}))
            said = True
        await work.pause(_AGAIN_SECONDS)


async def _pass_on(work: StreamWork, pieces: AsyncGenerator[bytes]) -> None:
    """Until the events end. Once a reader that was too slow has caught up, it is told how things are."""
    lines = Lines()
    coming = asyncio.ensure_future(anext(pieces, b""))
    behind: asyncio.Task[None] | None = None
    try:
        while True:
            waited_for = {coming, behind} if behind is not None else {coming}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if behind is not None and behind.done():
                behind = None
                await _list(work)
            if not coming.done():
                continue
            piece = coming.result()
            if not piece:
                return
            for line in lines.feed(piece):
                if not work.offer(line) and behind is None:
                    behind = asyncio.create_task(work.caught_up())
            coming = asyncio.ensure_future(anext(pieces, b""))
    finally:
        for each in (coming, behind):
            if each is not None:
                each.cancel()
                await asyncio.wait((each,))


async def _list(work: StreamWork) -> None:
    """All containers. The listening has begun before, so nothing falls between; what is told then may be in it."""
    containers = await work.docker.container_list(stopped=True, timeout_seconds=BEGIN_SECONDS)
    await work.write(_line({"listed": containers}))


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
