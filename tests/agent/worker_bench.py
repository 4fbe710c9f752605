"""A worker on a fake Docker Engine and a ledger in memory, what it is given, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from seawall.agent.ledger import State
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution, Runner
from seawall.agent.operations.verification import Verifier
from seawall.agent.spool import Spool
from seawall.agent.worker import Limits, Worker
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker, Fault, Latency
from seawall.testing.ledger import MemoryDisk
from seawall.wire.codec import encode_message
from seawall.wire.messages import Acknowledge, Cancel, Completed, Execute, FromAgent


class Bench:
    """Commands are numbered: command-1 has the sequence 1, and its first attempt is attempt-1."""

    def __init__(
        self,
        limits: Limits | None = None,
        runners: Mapping[str, Runner] | None = None,
        verifiers: Mapping[str, Verifier] | None = None,
        policy: LocalPolicy = UNRESTRICTED,
        uploads: Path | None = None,
    ) -> None:
        self.policy = policy
        self.uploads = uploads
        self.clock = FakeClock()
        self.docker = FakeDocker(self.clock)
        self.disk = MemoryDisk()
        self.sent: list[FromAgent] = []
        self.acknowledges = True
        self.on_send: Callable[[FromAgent], object] = lambda message: None
        self.limits = limits
        self.runners = {**RUNNERS, **(runners or {})}
        self.verifiers = {**VERIFIERS, **(verifiers or {})}
        self.worker = self.start()
        self.count = 0

    def start(self) -> Worker:
        """A process begins, on the ledger that the last one left."""
        self.worker = Worker(
            self.docker,
            self.clock,
            self.send,
            ledger=self.disk.ledger("agent-1", self.clock),
            version="0.1.0",
            limits=self.limits,
            runners=self.runners,
            verifiers=self.verifiers,
            policy=self.policy,
            spool=Spool(self.uploads, self.clock) if self.uploads is not None else None,
        )
        return self.worker

    async def crash(self) -> None:
        """The process is killed: nothing that it does on its way out is written or heard."""
        sent = list(self.sent)
        self.disk.crash()
        await self.worker.close()
        self.sent = sent

    async def restart(self, epoch: int = 2) -> None:
        """A crash, the next process, and its first session."""
        await self.crash()
        self.start()
        await self.open(epoch)

    async def open(self, epoch: int = 1, term: int = 1, acknowledged_up_to: int = 0) -> None:
        """A session begins."""
        await self.worker.begin_session(epoch, term, acknowledged_up_to)
        self.worker.resend()

    def send(self, message: FromAgent) -> None:
        encode_message(message)
        self.sent.append(message)
        self.on_send(message)
        if self.acknowledges and isinstance(message, Completed) and message.recorded:
            asyncio.get_running_loop().call_soon(self.acknowledge, message.sequence)

    def give(
        self, operation: str, remaining_seconds: float = 30.0, epoch: int = 1, **arguments: object
    ) -> str:
        """A new command; the correlation id of its first attempt."""
        self.count += 1
        return self.again(self.count, operation, remaining_seconds, epoch, attempt=1, **arguments)

    def again(
        self,
        number: int,
        operation: str,
        remaining_seconds: float = 30.0,
        epoch: int = 1,
        attempt: int = 2,
        age_seconds: float = 0.0,
        **arguments: object,
    ) -> str:
        """One more attempt of a command."""
        correlation_id = f"attempt-{number}" if attempt == 1 else f"attempt-{number}.{attempt}"
        declared = OPERATIONS.get(operation)
        sequence = number if declared is None or declared.changes else 0
        self.worker.execute(
            Execute(
                f"command-{number}",
                correlation_id,
                attempt,
                operation,
                dict(arguments),
                remaining_seconds,
                epoch,
                sequence,
            ),
            age_seconds,
        )
        return correlation_id

    def cancel(self, correlation_id: str) -> None:
        number = correlation_id.removeprefix("attempt-").partition(".")[0]
        self.worker.cancel(Cancel(f"command-{number}", correlation_id))

    def acknowledge(self, *sequences: int, up_to: int = 0) -> None:
        self.worker.acknowledge(Acknowledge(list(sequences), up_to))

    def completions(self) -> list[Completed]:
        return [message for message in self.sent if isinstance(message, Completed)]

    def answers(self) -> dict[str, Completed]:
        found = self.completions()
        assert len({message.correlation_id for message in found}) == len(found), (
            "an attempt was answered twice"
        )
        return {message.correlation_id: message for message in found}

    async def answer(self, correlation_id: str) -> Completed:
        await self.clock.settle()
        return self.answers()[correlation_id]

    def id_of(self, name: str) -> str:
        return self.docker.container(name).container_id


async def opened(
    limits: Limits | None = None,
    runners: Mapping[str, Runner] | None = None,
    verifiers: Mapping[str, Verifier] | None = None,
    policy: LocalPolicy = UNRESTRICTED,
) -> Bench:
    """A bench with a session."""
    bench = Bench(limits, runners, verifiers, policy)
    await bench.open()
    return bench


def held(release: asyncio.Event, begun: list[str]) -> Runner:
    """A runner that notes that it has begun, and waits."""

    async def run(execution: Execution) -> object:
        begun.append(str(execution.arguments.get("container", "-")))
        await release.wait()
        return {}

    return run


def sick(operation: str, fault: Fault, times: int = 1) -> dict[str, Runner]:
    """The operation's own runner, whose first calls meet this fault; looking at the container before does not."""
    left = [fault] * times

    async def run(execution: Execution) -> object:
        if left:
            execution.docker.fail_next(left.pop())  # type: ignore[attr-defined]  # a FakeDocker
        return await RUNNERS[operation](execution)

    return {operation: run}


def summary(completed: Completed) -> tuple[str | None, str]:
    return completed.code, completed.circumstance


def state_of(bench: Bench, number: int = 1) -> State | None:
    entry = bench.worker.ledger.entry(f"command-{number}")
    return entry.state if entry is not None else None


def last(bench: Bench, number: int = 1) -> Completed:
    """The last word about a command."""
    return [
        message
        for message in bench.completions()
        if message.command_id == f"command-{number}" and message.recorded
    ][-1]


def slow(operation: str, seconds: float) -> Callable[[str], Latency]:
    """An Engine whose answer to one operation takes so long; the effect comes at once."""
    return lambda called: Latency(0.0, 0.0, seconds) if called == operation else Latency()
