"""What a fake Docker Engine sends for as long as it is asked."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from seawall.testing.containers import FakeContainer
from seawall.testing.docker.archives import packed, saved
from seawall.testing.docker.attachments import FakeAttachments
from seawall.testing.faults import Fault

_header = struct.Struct(">BxxxL").pack
_STREAMS = {"stdout": 1, "stderr": 2}
_STATS_SECONDS = 1.0


class FakeStreams(FakeAttachments):
    """`agent.docker.streams.Streams` in memory: a log is followed until its container ends."""

    @asynccontextmanager
    async def container_log(
        self,
        container: str,
        *,
        follow: bool,
        tail: int | None,
        timestamps: bool,
        since: float | None,
        until: float | None,
        timeout_seconds: float,
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """See `Streams.container_log`."""
        found = await self._look("container_log", lambda: self._find(container), timeout_seconds)
        lines = self._lines(found, follow, tail, timestamps)
        try:
            yield lines
        finally:
            await lines.aclose()

    @asynccontextmanager
    async def container_figures(
        self, container: str, *, timeout_seconds: float
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """See `Streams.container_figures`."""
        found = await self._look("container_figures", lambda: self._find(container), timeout_seconds)

        async def figures() -> AsyncGenerator[bytes]:
            while found.running:
                yield json.dumps({"id": found.container_id, "name": f"/{found.name}"}).encode() + b"\n"
                await self._sleep(_STATS_SECONDS)

        content = figures()
        try:
            yield content
        finally:
            await content.aclose()

    @asynccontextmanager
    async def container_archive(
        self, container: str, *, path: str, timeout_seconds: float
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """See `Streams.container_archive`: one file, which holds its own path unless something was copied there."""
        found = await self._look("container_archive", lambda: self._find(container), timeout_seconds)

        async def archive() -> AsyncGenerator[bytes]:
            content = found.files.get(path, path.encode())
            yield packed([(path.rstrip("/").rpartition("/")[2] or "root", content)])

        pieces = archive()
        try:
            yield pieces
        finally:
            await pieces.aclose()

    @asynccontextmanager
    async def image_archive(
        self, images: Sequence[str], *, timeout_seconds: float
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """See `Streams.image_archive`."""

        def named() -> list[tuple[str, list[str]]]:
            found = [(self.find_image(image), image) for image in images]
            return [
                (each.image_id, [tag for tag in each.tags if tag in (text, f"{text}:latest")])
                for each, text in found
            ]

        content = saved(await self._look("image_archive", named, timeout_seconds))

        async def archive() -> AsyncGenerator[bytes]:
            yield content

        pieces = archive()
        try:
            yield pieces
        finally:
            await pieces.aclose()

    @asynccontextmanager
    async def system_events(self, *, timeout_seconds: float) -> AsyncIterator[AsyncGenerator[bytes]]:
        """See `Streams.system_events`."""
        told = len(self.history)
        await self._look("system_events", lambda: None, timeout_seconds)

        async def events() -> AsyncGenerator[bytes]:
            seen = told
            while self.alive and self._fault is not Fault.UNREACHABLE:
                for effect in self.history[seen:]:
                    seen += 1
                    event = {"Type": "container", "Action": effect.step, "Actor": {"ID": effect.container_id}}
                    yield json.dumps(event).encode() + b"\n"
                await self._sleep(_STATS_SECONDS)

        content = events()
        try:
            yield content
        finally:
            await content.aclose()

    async def _lines(
        self, found: FakeContainer, follow: bool, tail: int | None, timestamps: bool
    ) -> AsyncGenerator[bytes]:
        log = found.log
        index = 0 if tail is None else max(0, len(log) - tail)
        while True:
            for stream, text in log[index:]:
                index += 1
                time = f"{self._clock.wall().isoformat().replace('+00:00', 'Z')} " if timestamps else ""
                line = f"{time}{text}\n".encode()
                yield line if found.terminal else _header(_STREAMS[stream], len(line)) + line
            if not follow or (not found.running and index >= len(log)):
                return
            if index >= len(log):
                await found.written()
