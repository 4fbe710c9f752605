"""A pull that is read through both links while they are cut, in step with the registry that serves it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from seawall.client.client import Client
from seawall.client.errors import ClientError
from seawall.client.models import Command, CommandOrder
from seawall.client.output import OutputReader, Printed
from seawall.client.streams import Stream
from seawall.clock import SystemClock
from seawall.core.command import CommandState
from tests.chaos.cutter import Cutter
from tests.chaos.plane import HOST, FaultyPlane

BREAKS = 20


class Hasty(SystemClock):
    """A clock whose dice have an agent come back as soon as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = lambda: 0.0


class Gate:
    """Lets a registry serve one layer more each time that the reader has read something."""

    def __init__(self) -> None:
        self.breaks = 0
        self._open = asyncio.Condition()

    async def serve(self, layer: int) -> None:
        """Returns once the links have been cut so often."""
        async with self._open:
            await self._open.wait_for(lambda: self.breaks >= min(layer, BREAKS))

    async def let_pass(self) -> None:
        """The links have been cut once more."""
        async with self._open:
            self.breaks += 1
            self._open.notify_all()


class Pull:
    """What a test finds of it afterwards."""

    def __init__(self, command: Command, content: bytes, stream: Stream, cuts: int) -> None:
        self.command = command
        self.content = content
        self.stream = stream
        self.cuts = cuts

    @property
    def lines(self) -> list[Printed]:
        """What was read, line by line."""
        return OutputReader().feed(self.content)


async def pull_through_breaks(plane: FaultyPlane, reference: str, gate: Gate) -> Pull:
    """Pull an image, and follow its output while each layer's coming is answered by a cut of both links."""
    content = b""
    async with (
        Client(plane.connection) as client,
        Cutter(urlsplit(plane.connection.url).port or 0) as cutter,
    ):
        order = CommandOrder("image_pull", HOST, {"reference": reference}, timeout_seconds=60.0)
        command = await client.submit(order)
        async with output_of(plane, command.command_id, cutter.port) as stream:
            async for data in stream:
                content += data
                # What was on its way before a cut comes after it: only a link that has come back can be cut again.
                if stream.resumptions >= gate.breaks and gate.breaks < BREAKS:
                    plane.proxy.cut_all()
                    cutter.cut()
                    await gate.let_pass()
        command = await client.wait(command.command_id, 30.0)
        # With so many breaks its attempts are used up before its end; what became of it is known to the agent.
        while command.state is CommandState.UNKNOWN:
            with suppress(ClientError):  # there is nothing to verify if it has been told meanwhile
                await client.verify(command.command_id, 10.0)
            command = await client.command(command.command_id)
        return Pull(command, content, stream, cutter.cuts)


async def whole_output(plane: FaultyPlane, command_id: str) -> bytes:
    """What the agent holds, read in one go."""
    async with output_of(plane, command_id, urlsplit(plane.connection.url).port or 0) as stream:
        return b"".join([data async for data in stream])


def output_of(plane: FaultyPlane, command_id: str, port: int) -> Stream:
    connection = msgspec.structs.replace(plane.connection, url=f"http://127.0.0.1:{port}")
    return Stream(connection, "command_output", HOST, {"command_id": command_id, "follow": True})
