"""An answer of the Engine that comes in pieces is read only as fast as they are taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, DockerFailure

pytestmark = pytest.mark.asyncio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
VERSION = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"ApiVersion": "1.41"}'
)
SENT_BYTES = 4096
READ_AHEAD_BYTES = 64 * 1024


class Engine:
    """Answers like a daemon that has much to tell; `taken` is how much of it has left its hands."""

    def __init__(self, path: Path) -> None:
        self.taken = 0
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._tasks: list[asyncio.Task[None]] = []
        self.talking: socket.socket | None = None

    async def __aenter__(self) -> Engine:
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._listener.setblocking(False)
        self._tasks.append(asyncio.create_task(self._serve()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._listener.close()
        if self.talking is not None:
            self.talking.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            asked = await loop.sock_recv(client, 65536)
            if b"/version" in asked.split(b"\r\n")[0]:
                await loop.sock_sendall(client, VERSION)
                client.close()
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)
            self.talking = client
            await loop.sock_sendall(client, HEAD)

    async def talk(self) -> None:
        """Send until nobody takes any more, though everybody had the time to."""
        assert self.talking is not None
        idle = 0
        while idle < 200:
            idle += 1
            await asyncio.sleep(0)
            with suppress(BlockingIOError):
                self.taken += self.talking.send(b"x" * 1024)
                idle = 0
            if self.taken > 10 * READ_AHEAD_BYTES:
                return


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with Engine(tmp_path / "docker.sock") as engine:
        yield engine


async def test_what_comes_while_a_piece_is_worked_on_stays_with_the_engine(
    engine: Engine, tmp_path: Path
) -> None:
    docker = AioDocker(f"unix://{tmp_path}/docker.sock")
    log = docker.container_log(
        *("web",),
        follow=True,
        tail=None,
        timestamps=False,
        since=None,
        until=None,
        timeout_seconds=5,
    )
    async with log as pieces:
        assert engine.talking is not None
        engine.talking.setblocking(False)
        engine.talking.send(b"first")
        assert await anext(pieces) == b"first"
        await engine.talk()
        assert 0 < engine.taken < READ_AHEAD_BYTES
        size = 0
        while size < engine.taken:
            size += len(await anext(pieces))
        engine.talking.send(b"last")
        assert await anext(pieces) == b"last"
        engine.talking.shutdown(socket.SHUT_RDWR)
        with pytest.raises((StopAsyncIteration, DockerFailure)):
            await anext(pieces)
    await docker.close()
