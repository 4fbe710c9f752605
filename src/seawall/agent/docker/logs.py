"""The log of a container as the Engine sends it: frames of two streams, or the raw output of a terminal."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator

import aiohttp
from msgspec import Struct

LOG_LIMIT_BYTES = 2 * 1024 * 1024
"""What is kept of a log: the newest part."""

_FRAME_HEADER = struct.Struct(">BxxxL")
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


class LogChunk(Struct, frozen=True):
    """A piece of a log; `stream` is "stdout" or "stderr" (of a container with a terminal always "stdout")."""

    stream: str
    data: bytes


class LogTail(Struct, frozen=True):
    """The end of a log, oldest first; `truncated` says that more was asked for than fits."""

    chunks: list[LogChunk]
    truncated: bool


async def read_log(content: aiohttp.StreamReader, terminal: bool) -> LogTail:
    """Read a log to its end and keep what is newest."""
    chunks: deque[LogChunk] = deque()
    size, truncated = 0, False
    while (chunk := await (_read_raw(content) if terminal else _read_frame(content))) is not None:
        chunks.append(chunk)
        size += len(chunk.data)
        while size > LOG_LIMIT_BYTES and len(chunks) > 1:
            size -= len(chunks.popleft().data)
            truncated = True
    return LogTail(list(chunks), truncated)


async def frames(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """The pieces of both streams, as ("stdout" or "stderr", data), as they come. Raises ValueError."""
    while (chunk := await _read_frame(content)) is not None:
        yield chunk.stream, chunk.data


async def _read_raw(content: aiohttp.StreamReader) -> LogChunk | None:
    data = await content.readany()
    return LogChunk("stdout", data) if data else None


async def _read_frame(content: aiohttp.StreamReader) -> LogChunk | None:
    try:
        header = await content.readexactly(_FRAME_HEADER.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    kind, length = _FRAME_HEADER.unpack(header)
    if kind not in _STREAMS or length > LOG_LIMIT_BYTES:
        raise ValueError("the log isn't made of frames")
    return LogChunk(_STREAMS[kind], await content.readexactly(length))
