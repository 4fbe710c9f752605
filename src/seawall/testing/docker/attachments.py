"""Processes of a fake Docker Engine that somebody talks to: each says back what it is told, until it hears `exit`."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seawall.agent.docker.attachments import Attached
from seawall.testing import faults
from seawall.testing.docker.system import FakeSystem
from seawall.testing.effects import Work

_header = struct.Struct(">BxxxL").pack
_CONFLICT = 409


class FakeAttached:
    """Both ends of such a process."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._written: asyncio.Queue[bytes] = asyncio.Queue()
        self.over = False

    async def read(self) -> bytes:
        """See `Attached.read`."""
        data = b"" if self.over and self._written.empty() else await self._written.get()
        return data if self._tty or not data else _header(1, len(data)) + data

    async def write(self, data: bytes) -> None:
        """See `Attached.write`."""
        if data.strip() == b"exit":
            self.end_input()
        else:
            self._written.put_nowait(data)

    def end_input(self) -> None:
        """See `Attached.end_input`."""
        self.over = True
        self._written.put_nowait(b"")

    def close(self) -> None:
        """See `Attached.close`."""
        self.end_input()


class FakeAttachments(FakeSystem):
    """`agent.docker.attachments.Attachments` in memory."""

    @asynccontextmanager
    async def exec_attach(
        self, exec_id: str, *, tty: bool, timeout_seconds: float
    ) -> AsyncIterator[Attached]:
        """See `Attachments.exec_attach`."""
        process = self._process(exec_id)

        async def start(work: Work) -> None:
            if process.began:
                raise faults.refused(_CONFLICT, f"exec {exec_id} has already run")
            process.began = True
            work.done("exec", process.container_id)

        await self._change("exec_attach", start, timeout_seconds)
        attached = FakeAttached(tty=tty)
        try:
            yield attached
        finally:
            attached.close()
            process.exit_code = 0

    async def exec_resize(self, exec_id: str, *, columns: int, rows: int, timeout_seconds: float) -> None:
        """See `Attachments.exec_resize`."""

        def resize() -> None:
            self._process(exec_id).size = columns, rows

        await self._look("exec_resize", resize, timeout_seconds)
