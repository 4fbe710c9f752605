"""Streams and commands in one session: answers first, then one chunk, of each stream in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from seawall.agent.identity import AgentIdentity, new_private_key
from seawall.agent.link import AgentLink
from seawall.agent.session import ControllerSocket, End, HostFacts
from seawall.agent.worker import Worker
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.ledger import MemoryDisk
from seawall.wire.codec import decode_from_agent, encode_message
from seawall.wire.messages import (
    Challenge,
    FromAgent,
    FromController,
    OpenStream,
    Ping,
    Pong,
    StreamData,
    StreamInputCredit,
    Welcome,
)
from seawall.wire.stream import CHUNK_BYTES, WINDOW_BYTES

pytestmark = pytest.mark.asyncio

CONTROLLER = "controller-1"


class SlowSocket:
    """A connection that takes one frame each time the test says so."""

    def __init__(self) -> None:
        self.inward: asyncio.Queue[bytes | str | End] = asyncio.Queue()
        self._outward: asyncio.Queue[bytes] = asyncio.Queue()
        self._turns = asyncio.Semaphore(0)

    async def receive(self) -> bytes | str | End:
        return await self.inward.get()

    async def send(self, frame: bytes) -> None:
        await self._turns.acquire()
        self._outward.put_nowait(frame)

    async def close(self) -> None:
        pass

    def say(self, message: FromController) -> None:
        self.inward.put_nowait(encode_message(message))

    async def take(self) -> FromAgent:
        self._turns.release()
        async with asyncio.timeout(10):
            while isinstance(message := decode_from_agent(await self._outward.get()), StreamInputCredit):
                self._turns.release()
        return message


@asynccontextmanager
async def speaking() -> AsyncIterator[tuple[SlowSocket, FakeClock]]:
    """An agent whose session is open, with a log that is longer than a window."""
    socket, clock = SlowSocket(), FakeClock()

    async def dial() -> ControllerSocket | End:
        return socket

    async def describe() -> HostFacts:
        return HostFacts("1.0")

    loud = FakeContainer("loud", log=[("stdout", "x" * 8000)] * 200)
    identity = AgentIdentity("agent-1", "web-1", "https://x", CONTROLLER, {}, "", new_private_key())
    link = AgentLink(identity, clock, describe, dial=dial)
    ledger = MemoryDisk().ledger("agent-1", clock)
    worker = Worker(FakeDocker(clock, [loud]), clock, link.send, ledger=ledger, version="1.0")
    running = asyncio.create_task(link.run(worker))
    socket.say(Challenge(b"n" * 32, CONTROLLER, 1, "2030-01-01T00:00:00Z"))
    await socket.take()
    socket.say(Welcome(1, 10.0))
    try:
        yield socket, clock
    finally:
        running.cancel()
        await asyncio.wait((running,))
        await worker.close()


async def test_an_answer_waits_for_one_chunk_of_a_stream_at_most() -> None:
    arguments: dict[str, object] = {"container": "loud", "whole": True}
    async with speaking() as (socket, clock):
        for name in ("a", "b"):
            socket.say(OpenStream(name, "container_logs", arguments, 0, WINDOW_BYTES))
        await clock.settle()
        first, second, third = [await socket.take() for _ in range(3)]
        assert isinstance(first, StreamData)
        assert isinstance(second, StreamData)
        assert isinstance(third, StreamData)
        assert (first.stream_id, second.stream_id, third.stream_id) == ("a", "b", "a")
        assert len(third.data) == CHUNK_BYTES
        await clock.settle()
        socket.say(Ping(1))
        await clock.settle()
        # The chunk that the socket has in its hands can't be called back.
        assert isinstance(await socket.take(), StreamData)
        assert isinstance(await socket.take(), Pong)
        assert isinstance(await socket.take(), StreamData)
