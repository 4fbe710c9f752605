"""What commands print while they run, kept from the beginning, so that a reader whose link broke misses none of it.

The notices of progress are hints: told once a second at most, and to whoever listens just then. Here is every line of
them. It lies in a file without a name in the agent's directory: not in memory, and gone with the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from seawall.clock import Clock, Timer
from seawall.wire.output import Line, changed, changes
from seawall.wire.stream import CHUNK_BYTES

KEEP_SECONDS = 600.0
"""How long an output is kept after the last of its command was heard."""

MOST_BYTES = 4 * 1024 * 1024
"""The most that is kept of one output; then lines are left out, and their number is said in the last one."""

MOST_ENDED = 64
"""So many are kept of commands that are over."""

_encode = msgspec.json.Encoder().encode

_logger = logging.getLogger("seawall.agent.outputs")


class Output:
    """What one command has printed. `directory` is where its file lies, without a name."""

    def __init__(self, directory: Path | None, clock: Clock, most: int = MOST_BYTES) -> None:
        self.ended = False
        self.lines = 0
        self.dropped = 0
        self.timer: Timer | None = None
        self._clock = clock
        self._most = most
        self._began = clock.now()
        self._detail: dict[str, object] = {}
        self._missed = 0
        self._last_missed: tuple[str, Mapping[str, object]] | None = None
        self._size = 0
        self._news = asyncio.Event()
        self._file: int | None = None
        try:
            with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            _logger.warning("the output of a command can't be kept: %s", error)

    def add(self, text: str, detail: Mapping[str, object]) -> None:
        """One more line, unless there is no room for it."""
        self.lines += 1
        if self._size < self._most and self._write(text, detail, self._missed):
            self._missed, self._last_missed = 0, None
        else:
            self.dropped, self._missed, self._last_missed = self.dropped + 1, self._missed + 1, (text, detail)

    def end(self) -> None:
        """Nothing more comes. What was left out is said, with how things stood at last."""
        if self.ended:
            return
        self.ended = True
        if self._last_missed is not None and self._write(*self._last_missed, self._missed - 1):
            self.dropped -= 1
        self._tell()

    def piece(self, offset: int) -> bytes:
        """The next bytes from an offset on, which are whole lines or parts of them; none if there are no more now."""
        if self._file is None:
            return b""
        return os.pread(self._file, min(CHUNK_BYTES, self._size - offset), offset)

    def holds(self, offset: int) -> bool:
        """Whether it can be read from an offset on."""
        return self._file is not None or offset >= self._size

    async def news(self) -> None:
        """Returns when there is more, or it has ended. Nothing may be awaited between the last look and this."""
        await self._news.wait()

    def close(self) -> None:
        """Keep nothing of it. Whoever reads it finds it gone."""
        self.end()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, text: str, detail: Mapping[str, object], dropped: int) -> bool:
        if self._file is None:
            return False
        patch = changes(self._detail, detail)
        line = Line(self.lines, round(self._clock.now() - self._began, 3), text, patch, dropped)
        content = _encode(line) + b"\n"
        try:
            # What a disk that is full took of it is written over by the next one.
            if os.pwrite(self._file, content, self._size) < len(content):
                return False
        except OSError as error:
            _logger.warning("a line of a command's output can't be kept: %s", error)
            return False
        self._detail = changed(self._detail, patch)
        self._size += len(content)
        self._tell()
        return True

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Outputs:
    """Of one agent. One event loop owns it; `is_over` says of a command whether its last word is known here."""

    def __init__(self, clock: Clock, is_over: Callable[[str], bool], directory: Path | None = None) -> None:
        self._clock = clock
        self._is_over = is_over
        self._directory = directory
        # In the order in which they ended, those that go on before all others.
        self._outputs: OrderedDict[str, Output] = OrderedDict()
        self._waiting: dict[str, list[asyncio.Future[Output | None]]] = {}

    def add(self, command_id: str, text: str, detail: Mapping[str, object] | None) -> None:
        """A command tells how it comes along."""
        output = self._outputs.get(command_id)
        if output is None:
            output = self._outputs[command_id] = Output(self._directory, self._clock)
            self._outputs.move_to_end(command_id, last=False)
            self._answer(command_id, output)
        if not output.ended:
            self._keep(output)
            output.add(text, detail or {})

    def rest(self, command_id: str) -> None:
        """A command isn't worked on any more, and its last word isn't said: another attempt may go on with it."""
        output = self._outputs.get(command_id)
        if output is not None:
            self._keep_for_a_while(command_id, output)

    def end(self, command_id: str) -> None:
        """A command is over. Its output is kept for KEEP_SECONDS."""
        self._answer(command_id, None)
        output = self._outputs.get(command_id)
        if output is None:
            return
        output.end()
        self._outputs.move_to_end(command_id)
        self._keep_for_a_while(command_id, output)
        ended = [each for each, one in self._outputs.items() if one.ended]
        for each in ended[: max(0, len(ended) - MOST_ENDED)]:
            self._drop(each)

    def find(self, command_id: str) -> Output | None:
        """What a command has printed so far; None if nothing of it is here."""
        return self._outputs.get(command_id)

    async def wait(self, command_id: str) -> Output | None:
        """As `find`, once there is something; None if it is over and nothing comes any more."""
        output = self._outputs.get(command_id)
        if output is not None or self._is_over(command_id):
            return output
        waiter: asyncio.Future[Output | None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(command_id, [])
        waiters.append(waiter)
        try:
            return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters and self._waiting.get(command_id) is waiters:
                del self._waiting[command_id]

    def close(self) -> None:
        """Keep nothing any more."""
        for command_id in list(self._outputs):
            self._drop(command_id)

    def _answer(self, command_id: str, output: Output | None) -> None:
        for waiter in self._waiting.get(command_id, ()):
            if not waiter.done():
                waiter.set_result(output)

    def _keep(self, output: Output) -> None:
        if output.timer is not None:
            output.timer.cancel()
            output.timer = None

    def _keep_for_a_while(self, command_id: str, output: Output) -> None:
        self._keep(output)
        output.timer = self._clock.call_at(
            self._clock.now() + KEEP_SECONDS, lambda: self._drop(command_id, output)
        )

    def _drop(self, command_id: str, output: Output | None = None) -> None:
        if output is None or self._outputs.get(command_id) is output:
            self._outputs.pop(command_id).close()
