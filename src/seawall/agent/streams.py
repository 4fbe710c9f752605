"""The agent's end of streams: they outlive sessions, wait for slow readers, and share the link with commands.

What a stream's reader doesn't hold yet is kept, a window at most; then its source isn't read any more, or, of live
telemetry, what comes is left out and counted. A session takes one chunk at a time, of each stream in its turn, and only
when no answer waits to be sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from functools import partial

from seawall.agent.answers import bug
from seawall.agent.courtesy import Courtesy
from seawall.agent.discretion import hold_secrets
from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy, judge_operation
from seawall.agent.operations.registry import STREAMERS
from seawall.agent.operations.runner import Arguments, limited
from seawall.agent.operations.streaming import Streamer
from seawall.agent.outputs import Outputs
from seawall.agent.spool import Spool
from seawall.clock import Clock, Timer
from seawall.core.errors import CommandErrorCode
from seawall.operations.operation import InvalidArguments, Operation, StreamKind, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.telemetry.redaction import redact_text
from seawall.wire.messages import (
    CloseStream,
    FromAgent,
    OpenStream,
    StreamCredit,
    StreamData,
    StreamEnd,
    StreamInput,
    StreamInputCredit,
)
from seawall.wire.stream import WINDOW_BYTES, Inflow, OffsetError, Outflow

KEEP_SECONDS = 60.0
"""How long a stream waits for its reader after the session was lost."""

MOST_STREAMS = 64
"""How many streams there are at once; each may hold a window of bytes in both directions."""

_MARK_BYTES = 64  # room for the record that says how much was left out

_logger = logging.getLogger("seawall.agent.streams")


class _Stream:
    """One stream and its work; `StreamWork` for the streamer."""

    def __init__(self, message: OpenStream, arguments: Arguments, owner: Streams, *, uploads: bool) -> None:
        self.stream_id = message.stream_id
        self.operation = message.operation
        self.arguments = arguments
        self.docker, self.policy = owner.docker, owner.policy
        self.outputs, self.spool = owner.outputs, owner.spool
        self.out = Outflow(min(max(message.window, 1), WINDOW_BYTES))
        self.end: StreamEnd | None = None
        self.attached = True
        self.task: asyncio.Task[None] | None = None
        self.timer: Timer | None = None
        self._owner = owner
        self._room = asyncio.Event()
        self._dropped = 0
        self._written_at = 0.0
        self._input: deque[bytes] = deque()
        self._inflow = Inflow()
        self._given = asyncio.Event()
        self._read = 0
        # Where an upload goes on isn't known before somebody has looked.
        self._asks = not uploads

    @property
    def has_something_to_send(self) -> bool:
        """Whether it has a chunk, or its end, to send now."""
        return self.attached and (self.out.ready or (self.end is not None and self.out.sent == self.out.end))

    # What the streamer does

    async def write(self, data: bytes) -> None:
        """See `StreamWork.write`."""
        out = self.out
        self._written_at = await self._owner.courtesy.breathe(self._written_at)
        while data:
            if out.room < (_MARK_BYTES if self._dropped else 1):
                self._room.clear()
                await self._room.wait()
                continue
            self._say_what_was_dropped()
            room = out.room
            out.add(data[:room])
            data = data[room:]
            self._owner.note(self)

    def offer(self, record: bytes) -> bool:
        """See `StreamWork.offer`."""
        if self.out.room < len(record) + _MARK_BYTES:
            self._dropped += 1
            return False
        self._say_what_was_dropped()
        self.out.add(record)
        self._owner.note(self)
        return True

    async def caught_up(self) -> None:
        """See `StreamWork.caught_up`."""
        while self.out.room * 2 < self.out.window:
            self._room.clear()
            await self._room.wait()

    async def pause(self, seconds: float) -> None:
        """See `StreamWork.pause`."""
        clock = self._owner.clock
        await clock.sleep_until(clock.now() + seconds)

    def _say_what_was_dropped(self) -> None:
        if self._dropped:
            self.out.add(json.dumps({"dropped": self._dropped}).encode() + b"\n")
            self._dropped = 0

    async def read(self) -> bytes:
        """See `StreamWork.read`."""
        while not self._input:
            self._given.clear()
            await self._given.wait()
        data = self._input.popleft()
        self._read += len(data)
        self._owner.say(StreamInputCredit(self.stream_id, self._read), self)
        return data

    def begin_input(self, offset: int) -> None:
        """See `StreamWork.begin_input`."""
        self._read, self._asks = offset, True
        self._ask_again()

    # What the reader does

    def resume(self, message: OpenStream) -> None:
        """The reader is back. Raises OffsetError."""
        self.out.rewind(message.offset)
        self.attached = True
        self._room.set()
        if self._asks:
            self._ask_again()

    def credit(self, up_to: int) -> None:
        """The reader holds everything up to here. Raises OffsetError."""
        if self.out.credit(up_to):
            self._room.set()

    def give(self, message: StreamInput) -> None:
        """Input from the reader. Raises OffsetError for more than the window takes."""
        fresh = self._inflow.take(message.offset, message.data)
        if not fresh:
            return
        if self._inflow.position - self._read > WINDOW_BYTES:
            raise OffsetError(f"more than {WINDOW_BYTES} bytes of input came before they were asked for")
        self._input.append(fresh)
        self._given.set()

    def _ask_again(self) -> None:
        # What came in and isn't read yet comes again: the reader has it until there is credit for it.
        self._input.clear()
        self._inflow = Inflow(self._read)
        self._owner.say(StreamInputCredit(self.stream_id, self._read, again=True), self)


class _Refused(Exception):
    """A stream isn't begun."""

    def __init__(self, code: CommandErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Streams:
    """All streams of an agent. One event loop owns it.

    `send` is the link's: for what isn't a chunk. A session calls `attach` when it is open, `detach` when it is over,
    and `next_message` for each chunk.
    """

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        send: Callable[[FromAgent], None],
        *,
        version: str,
        streamers: Mapping[str, Streamer] = STREAMERS,
        operations: Mapping[str, Operation] = OPERATIONS,
        policy: LocalPolicy = UNRESTRICTED,
        most: int = MOST_STREAMS,
        outputs: Outputs | None = None,
        spool: Spool | None = None,
    ) -> None:
        self.docker = docker
        self.clock = clock
        self._send = send
        self._version = version
        self._streamers = streamers
        self._operations = operations
        self._most = most
        self.policy = policy
        self.outputs = outputs if outputs is not None else Outputs(clock, lambda _: False)
        self.spool = spool
        self._streams: dict[str, _Stream] = {}
        # In the order of their turns.
        self._ready: OrderedDict[str, _Stream] = OrderedDict()
        self._wake: Callable[[], object] | None = None
        self.courtesy = Courtesy(clock)
        self.moves = 0
        """How many times readers have taken more of their streams, by credit or where they resume, or sent more."""

    def __len__(self) -> int:
        return len(self._streams)

    # What the session asks

    def attach(self, wake: Callable[[], object]) -> None:
        """A session is open; `wake` is called when there is something to send. Streams go on when they are opened."""
        self._wake = wake

    def detach(self) -> None:
        """The session is over. Streams whose readers don't come back in KEEP_SECONDS end."""
        self._wake = None
        self._ready.clear()
        for stream in self._streams.values():
            stream.attached = False
            if stream.timer is None:
                stream.timer = self.clock.call_at(
                    self.clock.now() + KEEP_SECONDS, partial(self._expire, stream)
                )

    def next_message(self) -> StreamData | StreamEnd | None:
        """The next chunk, or end of a stream; None if nothing waits."""
        while self._ready:
            stream_id, stream = self._ready.popitem(last=False)
            chunk = stream.out.take()
            if chunk is not None:
                self.note(stream)
                return StreamData(stream_id, *chunk)
            if stream.end is not None and stream.out.sent == stream.out.end:
                return stream.end
        return None

    # What the controller asks

    def hear(self, message: OpenStream | StreamCredit | StreamInput | CloseStream) -> None:
        """Do what the reader wants."""
        if isinstance(message, OpenStream):
            self._open(message)
            return
        stream = self._streams.get(message.stream_id)
        if stream is None:
            return  # it has ended, or was given up; its reader learns of it in its own way
        match message:
            case StreamCredit():
                self.moves += 1
                self._obey(stream, lambda: stream.credit(message.up_to))
            case StreamInput():
                self.moves += 1
                self._obey(stream, lambda: stream.give(message))
            case CloseStream():
                self._drop(stream)

    def _open(self, message: OpenStream) -> None:
        """Begin a stream, or go on with one."""
        stream = self._streams.get(message.stream_id)
        try:
            stream = stream or self._begin(message)
        except _Refused as refusal:
            self._refuse(message, refusal.code, str(refusal))
            return
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        try:
            held = stream.out.start
            stream.resume(message)
            self.moves += stream.out.start > held
        except OffsetError as error:
            self._drop(stream)
            self._refuse(message, CommandErrorCode.AGENT_ERROR, str(error))
            return
        self.note(stream)

    async def end(self) -> None:
        """The agent stops: end them all."""
        tasks = [stream.task for stream in self._streams.values() if stream.task is not None]
        for stream in list(self._streams.values()):
            self._drop(stream)
        if tasks:
            await asyncio.wait(tasks)

    # What the streams ask

    def note(self, stream: _Stream) -> None:
        """It may have something to send."""
        if self._wake is not None and stream.has_something_to_send:
            self._ready.setdefault(stream.stream_id, stream)
            self._wake()

    def say(self, message: StreamInputCredit, stream: _Stream) -> None:
        """Tell the reader about its input, if it is there."""
        if stream.attached and self._wake is not None:
            self._send(message)

    # How

    def _begin(self, message: OpenStream) -> _Stream:
        """Raises _Refused."""
        operation = self._operations.get(message.operation)
        streamer = self._streamers.get(message.operation)
        if operation is None or operation.stream is None or streamer is None:
            text = (
                f"this agent is version {self._version} and can't stream the operation {message.operation[:64]!r}: "
                "update it"
            )
            raise _Refused(CommandErrorCode.UNSUPPORTED_OPERATION, text)
        refusal = judge_operation(self.policy, operation)
        if refusal is not None:
            raise _Refused(CommandErrorCode.PERMISSION_DENIED, refusal.message)
        if message.again and (message.offset > 0 or operation.stream is StreamKind.DUPLEX):
            text = (
                f"this stream of {operation.name} isn't known here: the agent was started anew, or nobody came back "
                f"for it within {KEEP_SECONDS:g} s. Open another one"
            )
            raise _Refused(CommandErrorCode.AGENT_DISCONNECTED, text)
        if len(self._streams) >= self._most:
            text = f"{self._most} streams of this host are open already: close one, then try again"
            raise _Refused(CommandErrorCode.BULKHEAD_FULL, text)
        try:
            arguments = check_arguments(operation, message.arguments, stream=True)
        except InvalidArguments as error:
            raise _Refused(CommandErrorCode.INVALID_ARGUMENT, str(error)) from error
        stream = _Stream(message, arguments, self, uploads=operation.stream is StreamKind.UPLOAD)
        hold_secrets(stream, operation, arguments)
        self._streams[stream.stream_id] = stream
        stream.task = asyncio.create_task(
            self._work(stream, streamer), name=f"stream {message.operation} {message.stream_id}"
        )
        return stream

    async def _work(self, stream: _Stream, streamer: Streamer) -> None:
        code: CommandErrorCode | None = None
        error: str | None = None
        response: object = None
        try:
            response = limited(await streamer(stream), "it is too much to say at the end of a stream")
        except DockerFailure as failure:
            code, error = failure.code, failure.message
        except Exception as problem:  # a bug in one streamer costs its stream, not the agent
            _logger.exception("the stream %s failed unexpectedly", stream.operation)
            code, error = CommandErrorCode.AGENT_ERROR, bug(f"the stream {stream.operation}", problem).error
        error = redact_text(error) if error is not None else None
        stream.end = StreamEnd(
            stream.stream_id, stream.out.end, code.value if code is not None else None, error, response
        )
        self.note(stream)

    def _obey(self, stream: _Stream, do: Callable[[], object]) -> None:
        try:
            do()
        except OffsetError as error:
            _logger.warning("a stream of %s ends: %s", stream.operation, error)
            self._drop(stream)
            end = StreamEnd(stream.stream_id, stream.out.sent, CommandErrorCode.AGENT_ERROR.value, str(error))
            self._send(end)
        else:
            self.note(stream)

    def _refuse(self, message: OpenStream, code: CommandErrorCode, error: str) -> None:
        self._send(StreamEnd(message.stream_id, message.offset, code.value, error))

    def _expire(self, stream: _Stream) -> None:
        _logger.info("a stream of %s ends: its reader did not come back", stream.operation)
        self._drop(stream)

    def _drop(self, stream: _Stream) -> None:
        if self._streams.get(stream.stream_id) is stream:
            del self._streams[stream.stream_id]
        self._ready.pop(stream.stream_id, None)
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        if stream.task is not None:
            stream.task.cancel()
