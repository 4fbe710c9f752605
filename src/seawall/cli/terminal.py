"""A process on a host at this terminal: raw keys, its size as it changes, and the exit code of the process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from seawall.cli.exits import UsageProblem, code_of_process
from seawall.client.frames import Output
from seawall.wire import terminal

if TYPE_CHECKING:
    from seawall.client.streams import Stream

_READ_BYTES = 16 * 1024
_MOST_WAITING = 8


def check_terminal(*, interactive: bool) -> None:
    """A process with a terminal needs one here. Raises UsageProblem."""
    if interactive and not sys.stdin.isatty():
        raise UsageProblem(
            "--tty needs a terminal here, and the input is none: leave it out to pipe something in"
        )
    columns, rows = shutil.get_terminal_size()
    if not columns or not rows:
        raise UsageProblem(f"this terminal is {columns} x {rows}: give it a size with 'stty rows 24 cols 80'")


async def converse(stream: Stream, *, with_terminal: bool, interactive: bool) -> int:
    """Carry keys and output until the process ends; its exit code."""
    output = Output()
    with _raw() if with_terminal and interactive else _as_it_is():
        talking = asyncio.create_task(_talk(stream, with_terminal=with_terminal, interactive=interactive))
        try:
            async for data in stream:
                for is_error, piece in output.feed(data):
                    where = sys.stderr.buffer if is_error else sys.stdout.buffer
                    await asyncio.to_thread(_write, where.fileno(), piece)
        finally:
            talking.cancel()
            await asyncio.wait((talking,))
    return code_of_process(stream.response)


async def _talk(stream: Stream, *, with_terminal: bool, interactive: bool) -> None:
    """Tell the size whenever it changes, and pass on what is typed or piped in."""
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
    sizes: set[asyncio.Task[None]] = set()

    def resized() -> None:
        telling = asyncio.create_task(news.put(terminal.size(*shutil.get_terminal_size())))
        sizes.add(telling)
        telling.add_done_callback(sizes.discard)

    if with_terminal:
        resized()
        loop.add_signal_handler(signal.SIGWINCH, resized)
    reading = asyncio.create_task(_read(news)) if interactive else None
    try:
        while True:
            await stream.write(await news.get())
    finally:
        if with_terminal:
            loop.remove_signal_handler(signal.SIGWINCH)
        if reading is not None:
            reading.cancel()


async def _read(news: asyncio.Queue[bytes]) -> None:
    """Pass on standard input as it comes. What is read next waits until this was taken."""
    loop, number = asyncio.get_running_loop(), sys.stdin.fileno()
    while True:
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(number, partial(_resolve, ready))
        except PermissionError:
            # A file, which is always ready, can't be waited for.
            ready.set_result(None)
        try:
            await ready
        finally:
            loop.remove_reader(number)
        data = os.read(number, _READ_BYTES)
        await news.put(terminal.keys(data) if data else terminal.end())
        if not data:
            return


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@contextmanager
def _raw() -> Iterator[None]:
    """Every key goes to the process, Ctrl-C too. The terminal is as before afterwards, whatever happens."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setraw(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _write(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
