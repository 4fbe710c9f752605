"""An agent's worker on a real Docker Engine: what the controller would send goes in, answers come out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from seawall.agent.docker import AioDocker
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.operations.registry import OPERATIONS
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Completed, Execute, FromAgent

SECONDS = 30.0


class Host:
    """The worker of one host. Its session is open."""

    def __init__(self, docker: AioDocker, policy: LocalPolicy) -> None:
        self.docker = docker
        self._clock = SystemClock()
        self._answers: dict[str, asyncio.Future[Completed]] = {}
        self._count = 0
        self.worker = Worker(
            docker,
            self._clock,
            self._hear,
            ledger=MemoryDisk().ledger("agent-1", self._clock),
            version="test",
            policy=policy,
        )

    async def ask(self, operation: str, **arguments: object) -> Completed:
        """The answer to a command."""
        self._count += 1
        correlation_id = f"attempt-{self._count}"
        answer = asyncio.get_running_loop().create_future()
        self._answers[correlation_id] = answer
        sequence = self._count if OPERATIONS[operation].changes else 0
        self.worker.execute(
            Execute(
                f"command-{self._count}", correlation_id, 1, operation, dict(arguments), SECONDS, 1, sequence
            )
        )
        async with asyncio.timeout(2 * SECONDS):
            return await answer

    async def do(self, operation: str, **arguments: object) -> dict[str, object]:
        """The response of a command that succeeds."""
        response = await self.read(operation, **arguments)
        assert isinstance(response, dict), response
        return response

    async def read(self, operation: str, **arguments: object) -> object:
        """The response of a command that succeeds, whatever it is."""
        answer = await self.ask(operation, **arguments)
        assert answer.code is None, f"{operation}: {answer.code} {answer.error}"
        return answer.response

    def _hear(self, message: FromAgent) -> None:
        if isinstance(message, Completed) and not self._answers[message.correlation_id].done():
            self._answers[message.correlation_id].set_result(message)


@asynccontextmanager
async def host_on(address: str, policy: LocalPolicy = UNRESTRICTED) -> AsyncIterator[Host]:
    """A host whose Docker Engine is at this address."""
    docker = AioDocker(address)
    host = Host(docker, policy)
    await host.worker.begin_session(1, 1, 0)
    host.worker.resend()
    try:
        yield host
    finally:
        await host.worker.close()
        await docker.close()
