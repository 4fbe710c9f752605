"""Processes that somebody talks to: what they write comes as it is written, and input goes in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol
from urllib.parse import urlsplit

import aiodocker

from seawall.agent.docker.engine import AioEngine

_PIECE_BYTES = 64 * 1024
_HEAD_BYTES = 64 * 1024
_UPGRADED, _OK = 101, 200


class Attached(Protocol):
    """The two ends of a process. Raises OSError when the connection breaks."""

    async def read(self) -> bytes:
        """What it writes next: Docker's frames, or raw with a terminal; nothing at its end."""

    async def write(self, data: bytes) -> None:
        """Its input."""

    def end_input(self) -> None:
        """It gets no more input."""

    def close(self) -> None:
        """Let go of it."""


class Attachments(Protocol):
    """See `Docker`."""

    def exec_attach(
        self, exec_id: str, *, tty: bool, timeout_seconds: float
    ) -> AbstractAsyncContextManager[Attached]:
        """Start a prepared process and hold both of its ends; `tty` as it was prepared."""

    async def exec_resize(self, exec_id: str, *, columns: int, rows: int, timeout_seconds: float) -> None:
        """Tell its terminal a size."""


class AioAttachments(AioEngine):
    """`Attachments` over the Engine's HTTP API."""

    @asynccontextmanager
    async def exec_attach(
        self, exec_id: str, *, tty: bool, timeout_seconds: float
    ) -> AsyncIterator[Attached]:
        """See `Attachments.exec_attach`."""

        async def work(client: aiodocker.Docker) -> _Connection:
            path = f"/{client.api_version}/exec/{exec_id}/start"
            return await _upgraded(self.address, path, json.dumps({"Detach": False, "Tty": tty}).encode())

        request = self.request(f"run the process {exec_id[:12]}", changes=True)
        connection = await self.call(request, work, timeout_seconds)
        try:
            yield connection
        finally:
            connection.close()

    async def exec_resize(self, exec_id: str, *, columns: int, rows: int, timeout_seconds: float) -> None:
        """See `Attachments.exec_resize`."""
        _ = await self.change(
            self.request(f"resize the terminal of the process {exec_id[:12]}", changes=True),
            "POST",
            f"exec/{exec_id}/resize",
            params={"w": columns, "h": rows},
            timeout_seconds=timeout_seconds,
        )


class _Connection:
    """A connection that was HTTP once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """See `Attached.read`."""
        return await self._reader.read(_PIECE_BYTES)

    async def write(self, data: bytes) -> None:
        """See `Attached.write`."""
        self._writer.write(data)
        await self._writer.drain()

    def end_input(self) -> None:
        """See `Attached.end_input`."""
        with suppress(OSError):
            self._writer.write_eof()

    def close(self) -> None:
        """See `Attached.close`."""
        self._writer.close()


async def _upgraded(address: str, path: str, body: bytes) -> _Connection:
    """Ask for a raw connection. aiodocker has one whose input can't end before its output does."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(parts.path, limit=_HEAD_BYTES)
    else:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_HEAD_BYTES)
    whole = False
    try:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status_line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(status_line.split(" ", 2)[1])
        if status not in (_UPGRADED, _OK):
            raise aiodocker.DockerError(status, await _text(reader, fields))
        whole = True
        return _Connection(reader, writer)
    finally:
        if not whole:
            writer.close()


async def _text(reader: asyncio.StreamReader, fields: list[str]) -> str:
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length":
            return (await reader.readexactly(min(int(value), _HEAD_BYTES))).decode("utf-8", "replace")
    return ""
