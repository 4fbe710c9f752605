"""What takes long and tells how far it is: pulls, pushes, loads, builds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path

from seawall.agent.docker.engine import AioEngine, Parameters, an_object
from seawall.agent.failure import Request

_LONGEST_EVENT_BYTES = 1024 * 1024

OnEvent = Callable[[Mapping[str, object]], None]
"""Takes one of Docker's events: `status`, for a layer its `id` and `progressDetail`; of a build `stream`."""


class AioTransfers(AioEngine):
    """The transport for what answers with events."""

    async def transfer(
        self,
        request: Request,
        path: str,
        params: Parameters,
        headers: Mapping[str, str],
        progress: OnEvent,
        silence_seconds: float,
        archive: Path | None = None,
    ) -> None:
        """Ask for a transfer and follow it to its end; it goes on if the caller is cancelled.

        `archive` is sent along. Raises DockerFailure.
        """

        async def follow() -> None:
            async with self.stream(
                request,
                path,
                "POST",
                params=params,
                headers=headers,
                timeout_seconds=silence_seconds,
                archive=archive,
            ) as pieces:
                async for event in _events(pieces, request, silence_seconds):
                    detail = event.get("errorDetail")
                    if "error" in event or isinstance(detail, dict):
                        raise request.told(detail if isinstance(detail, dict) else {}, event.get("error"))
                    progress(event)

        await self.outlive(request.purpose, follow())


async def _events(
    pieces: AsyncGenerator[bytes], request: Request, silence_seconds: float
) -> AsyncIterator[dict[str, object]]:
    """Docker's objects, one a line. Raises DockerFailure."""
    rest = b""
    while True:
        try:
            async with asyncio.timeout(silence_seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise request.silent(silence_seconds) from None
        *lines, rest = (rest + piece).split(b"\n")
        try:
            for line in lines:
                if line.strip():
                    yield an_object(json.loads(line))
        except (TypeError, ValueError) as error:
            raise request.failed(error) from error
        if len(rest) > _LONGEST_EVENT_BYTES:
            raise request.failed(ValueError("an event has no end"))
    if rest.strip():
        raise request.failed(EOFError("the answer ended in the middle of an event"))
