"""What commands print while they run, as their hosts keep it: whole, whichever link breaks meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from seawall.client.errors import ClientError, StreamFailed, Unreachable
from seawall.client.events import Event
from seawall.client.models import Command
from seawall.client.streams import Stream
from seawall.core.errors import CommandErrorCode
from seawall.wire.output import Line, changed

if TYPE_CHECKING:
    from seawall.client.client import Client

LAST_SECONDS = 5.0
"""How long the rest of an output may take to come once its command is over."""

_line = msgspec.json.Decoder(Line)


class Printed(Struct, frozen=True):
    """One line of a command's output: `text` for people, `detail` the same for programs, whole each time.

    `number` counts the lines from 1, `seconds` from the first one. `dropped` is how many before this one the host had
    no room for; their numbers are missing.
    """

    number: int
    seconds: float
    text: str
    detail: dict[str, object] = field(default_factory=dict)
    dropped: int = 0


class OutputReader:
    """Makes lines of the bytes of a `command_output`."""

    def __init__(self) -> None:
        self._begun = b""
        self._detail: dict[str, object] = {}

    def feed(self, data: bytes) -> list[Printed]:
        """The lines that these bytes complete. Raises StreamFailed for what is none."""
        *whole, self._begun = (self._begun + data).split(b"\n")
        return [self._read(line) for line in whole]

    def _read(self, content: bytes) -> Printed:
        try:
            line = _line.decode(content)
        except msgspec.DecodeError as error:
            text = f"the host's output can't be read ({error}): is the agent of a version near this one?"
            raise StreamFailed(CommandErrorCode.INVALID_RESPONSE.value, text) from error
        self._detail = changed(self._detail, line.changes)
        return Printed(line.number, line.seconds, line.text, self._detail, line.dropped)


async def output_of(client: Client, command_id: str, *, follow: bool = False) -> AsyncGenerator[Printed]:
    """What a command has printed so far; with `follow`, until it is over, and nothing if it never begins.

    Raises StreamFailed where the host has nothing of it, and what `Client.stream` raises.
    """
    command = await client.command(command_id)
    follow = follow and not command.state.final
    ending: asyncio.Task[None] | None = None
    async with _stream(client, command, follow=follow) as stream, aclosing(_lines(stream)) as lines:
        if follow:
            ending = asyncio.create_task(_end_with(client, command_id, stream))
        try:
            async for line in lines:
                yield line
        finally:
            if ending is not None:
                ending.cancel()
                await asyncio.wait((ending,))


async def follow_with_output(client: Client, command: Command) -> AsyncGenerator[Event]:
    """As `Client.follow`, but `progress` comes from what the host keeps: each line once, with its number.

    Where the host doesn't keep it, because its agent is too old or was started anew, one `progress` says so, and what
    follows are notices, which may have gaps.
    """
    happened: asyncio.Queue[Event | None] = asyncio.Queue()
    telling = asyncio.create_task(_tell(client, command, happened.put_nowait))
    telling.add_done_callback(lambda _: happened.put_nowait(None))
    try:
        while (event := await happened.get()) is not None:
            yield event
        await telling
    finally:
        telling.cancel()
        await asyncio.wait((telling,))


async def _tell(client: Client, command: Command, tell: Callable[[Event], None]) -> None:
    output = _Output(client, command, tell)
    try:
        async with aclosing(client.follow(command.command_id)) as events:
            async for event in events:
                if event.kind == "progress" and output.told_by_the_host(event):
                    continue
                if event.kind == "attempt_started" or event.content.get("attempts"):
                    output.begin()
                done = event.kind == "attempt_finished" and event.content.get("error_code") is None
                if done or event.kind == "finished":
                    await output.end()
                tell(event)
    finally:
        await output.close()


class _Output:
    """The reading of one command's output beside its events."""

    def __init__(self, client: Client, command: Command, tell: Callable[[Event], None]) -> None:
        self._client = client
        self._command = command
        self._tell = tell
        self._reading: asyncio.Task[None] | None = None
        self._hint: Event | None = None

    def begin(self) -> None:
        """The host has the command, or is about to have it."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    def told_by_the_host(self, hint: Event) -> bool:
        """Whether what a notice tells comes from the host's own record as well."""
        self._hint = hint
        return self._reading is not None and not self._reading.done()

    async def end(self) -> None:
        """The command is over: what is on its way still comes."""
        if self._reading is not None:
            await asyncio.wait((self._reading,), timeout=LAST_SECONDS)

    async def close(self) -> None:
        """Read no further."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def _read(self) -> None:
        try:
            async with (
                _stream(self._client, self._command, follow=True) as stream,
                aclosing(_lines(stream)) as lines,
            ):
                async for line in lines:
                    self._hint = None
                    self._tell(Event("progress", msgspec.structs.asdict(line)))
        except (StreamFailed, ClientError, Unreachable) as error:
            code = error.code if isinstance(error, StreamFailed) else ""
            if code == CommandErrorCode.AGENT_NOT_CONNECTED.value:
                self._reading = None  # it waits for the host, and so does its output
            elif code != CommandErrorCode.INVALID_ARGUMENT.value:  # that one has printed nothing
                self._tell(Event("progress", {"text": f"what is told from here on may have gaps: {error}"}))
            if self._hint is not None:
                self._tell(self._hint)


def _stream(client: Client, command: Command, *, follow: bool) -> Stream:
    arguments = {"command_id": command.command_id, "follow": follow}
    return client.stream("command_output", command.agent_id, arguments)


async def _lines(stream: Stream) -> AsyncGenerator[Printed]:
    reader = OutputReader()
    async for data in stream:
        for line in reader.feed(data):
            yield line


async def _end_with(client: Client, command_id: str, stream: Stream) -> None:
    """A command that never reached its host has no output that would end."""
    with suppress(ClientError, Unreachable):
        await client.wait(command_id)
        await asyncio.sleep(LAST_SECONDS)
        await stream.close()
