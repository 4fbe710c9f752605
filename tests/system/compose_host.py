"""A host with a Compose program and a Docker Engine, driven through the agent's worker as the controller drives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from seawall.agent.docker import AioDocker
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.operations.compose import PROGRAM
from seawall.operations.registry import OPERATIONS
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Completed, Execute, FromAgent, Progress
from tests.system.engine import Engine
from tests.system.packages import SYSTEM_PATH

WEB_AND_DB = """
services:
  web:
    image: busybox:latest
    command: ["sh", "-c", "echo web ${WORD:-speaks}; sleep 600"]
    stop_grace_period: 1s
    depends_on: [db]
  db:
    image: busybox:latest
    command: ["sh", "-c", "echo db speaks >&2; sleep 600"]
    stop_grace_period: 1s
    volumes: ["data:/data"]
volumes: {data: {}}
"""


class Host:
    """One agent of the host; the next one takes over what it left, if it is given the same disk and directory."""

    def __init__(self, engine: Engine, directory: Path, disk: MemoryDisk | None = None) -> None:
        self.directory = directory
        self.disk = disk or MemoryDisk()
        self.docker = AioDocker(engine.host)
        self.progress: list[Progress] = []
        self._answers: asyncio.Queue[Completed] = asyncio.Queue()
        self._count = 0
        self._worker: Worker | None = None

    async def start(self, path: str = SYSTEM_PATH) -> None:
        """Look for the Compose program, and open a session."""
        await self.docker.find_compose(self.directory, path)
        clock = SystemClock()
        self._worker = Worker(
            self.docker,
            clock,
            self._hear,
            ledger=self.disk.ledger("agent", clock),
            version="test",
            absent=() if self.docker.compose_absent is None else (PROGRAM,),
        )
        await self._worker.begin_session(1, 1)
        self._worker.resend()

    @property
    def worker(self) -> Worker:
        """The agent's."""
        assert self._worker is not None
        return self._worker

    async def stop(self) -> None:
        """End it without waiting for what is under way."""
        await self.worker.close()
        await self.docker.close()

    def give(self, operation: str, **arguments: object) -> None:
        """A new command."""
        self._count += 1
        sequence = self._count if OPERATIONS[operation].changes else 0
        self.worker.execute(
            Execute(f"command-{self._count}", "attempt", 1, operation, dict(arguments), 60.0, 1, sequence)
        )

    async def answer(self, within_seconds: float = 60.0) -> Completed:
        """The next end of a command."""
        async with asyncio.timeout(within_seconds):
            return await self._answers.get()

    async def end(self, operation: str, **arguments: object) -> Completed:
        """How a command ends."""
        self.give(operation, **arguments)
        # On a slow machine what was told before is told again: nobody acknowledges it here.
        while (ended := await self.answer()).command_id != f"command-{self._count}":
            pass
        return ended

    async def done(self, operation: str, **arguments: object) -> dict[str, object]:
        """The response of a command that succeeds."""
        ended = await self.end(operation, **arguments)
        assert ended.code is None, ended.error
        assert isinstance(ended.response, dict)
        return ended.response

    async def refused(self, operation: str, **arguments: object) -> tuple[str | None, str]:
        """The code and the words of one that fails."""
        ended = await self.end(operation, **arguments)
        assert ended.code is not None, ended.response
        return ended.code, ended.error or ""

    def _hear(self, message: FromAgent) -> None:
        if isinstance(message, Completed):
            self._answers.put_nowait(message)
        elif isinstance(message, Progress):
            self.progress.append(message)
