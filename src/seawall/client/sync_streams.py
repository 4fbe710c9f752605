"""Streams for programs without an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar

from seawall.client.streams import Stream

Answer = TypeVar("Answer")


class WaitFor(Protocol):
    """Runs a coroutine to its end where the stream lives."""

    def __call__(self, work: Coroutine[object, object, Answer]) -> Answer:
        """What the coroutine returns."""


class SyncStream:
    """One stream: a context manager, and an iterator of its bytes. Raises what `Stream` raises."""

    def __init__(self, stream: Stream, wait_for: WaitFor) -> None:
        self._stream = stream
        self._wait_for = wait_for

    @property
    def response(self) -> object:
        """What the stream came to, once it has ended."""
        return self._stream.response

    def __enter__(self) -> Self:
        self._wait_for(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        pieces = aiter(self._stream)
        while (piece := self._wait_for(_next(pieces))) is not None:
            yield piece

    def write(self, data: bytes) -> None:
        """Send input, where the stream takes any; waits while the host has no room for it."""
        self._wait_for(self._stream.write(data))

    def close(self) -> None:
        """Have the host stop; nothing more is read."""
        self._wait_for(self._stream.close())


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)
