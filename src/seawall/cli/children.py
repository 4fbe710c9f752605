"""Processes that `seawall up` starts, watches and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

STOP_SECONDS = 10.0
"""How long a process may take to end after SIGTERM."""


class Child:
    """One process of ours. Its output goes where ours goes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, stop_seconds: float) -> None:
        self.name = name
        self._process = process
        self._stop_seconds = stop_seconds

    async def ended(self) -> str:
        """Wait for its end, and say what that was."""
        code = await self._process.wait()
        if code < 0:
            return f"the {self.name} was killed by {_signal_name(-code)}"
        return f"the {self.name} has ended with exit code {code}"

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that isn't enough. Returns when it is gone."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self._process.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class Children:
    """The processes in the order of their start. Leaving the context stops them, the last started first."""

    def __init__(
        self,
        program: Sequence[str] = (sys.executable, "-m", "seawall"),
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._program = program
        self._stop_seconds = stop_seconds
        self._children: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._first_end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self, name: str, *arguments: str) -> None:
        """Start our own program with these arguments."""
        process = await asyncio.create_subprocess_exec(
            *self._program,
            *arguments,
            "--launcher",
            str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C of the terminal is for us: we stop them in order.
            process_group=0,
        )
        child = Child(name, process, self._stop_seconds)
        self._children.append(child)
        self._watchers.append(asyncio.create_task(self._watch(child)))

    async def first_end(self) -> str:
        """Wait until one of them has ended, and say which and how."""
        return await asyncio.shield(self._first_end)

    async def __aenter__(self) -> Children:
        return self

    async def __aexit__(self, *_: object) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        while self._children:
            await self._children.pop().stop()

    async def _watch(self, child: Child) -> None:
        end = await child.ended()
        if not self._first_end.done():
            self._first_end.set_result(end)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
