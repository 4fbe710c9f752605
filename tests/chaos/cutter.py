"""A relay of TCP connections that cuts them when told: the link between a reader and the controller."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_CHUNK_BYTES = 64 * 1024


class Cutter:
    """Listens on loopback, and passes everything on to a port."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while self._tasks:
            self.cut()
            await asyncio.wait(set(self._tasks), timeout=0.1)

    def cut(self) -> None:
        """Reset every connection."""
        if self._writers:
            self.cuts += 1
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, forth}
        self._writers |= ends
        try:
            await asyncio.gather(_carry(reader, forth), _carry(back, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
    sink.transport.abort()
