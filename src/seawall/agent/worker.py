"""Executes what the controller sends: changes by the ledger, reads at once, pings in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from seawall.agent.admission import Admission
from seawall.agent.admission import Limits as Limits
from seawall.agent.answers import UNENCODABLE, bug, completed, described, failed, not_begun, unpack_map
from seawall.agent.changes import Changes
from seawall.agent.docker import Docker
from seawall.agent.failure import DockerFailure
from seawall.agent.intake import Intake, Order
from seawall.agent.job import Job, Phase
from seawall.agent.ledger import Ledger, State
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution, ResponseTooLarge, Runner
from seawall.agent.operations.verification import Verifier
from seawall.agent.outputs import Outputs
from seawall.agent.registries import Reach, Registries
from seawall.agent.spool import Spool
from seawall.agent.streams import Streams
from seawall.clock import Clock
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS
from seawall.wire.messages import (
    Acknowledge,
    Cancel,
    Completed,
    Execute,
    FromAgent,
    HostVitals,
    Ping,
    Pong,
)

PING_SECONDS = 3.0
"""How long the Docker Engine may take to answer a ping."""

_MOST_PINGS = 4

_logger = logging.getLogger("seawall.agent.worker")


class Worker:
    """Takes `wire` messages, and answers them through `send`, which must not wait. One event loop owns it.

    It takes up at once what the ledger says was under way when the last process ended. `send` raises TypeError,
    ValueError, OverflowError or RecursionError for what no frame can carry. `disk_space` gives the free bytes and all
    bytes of the disk that matters, `policy` is the host's own, `absent` has what operations need and it hasn't got;
    `reach` says whether a registry answers, None asks none. `directory` is where there is room for what commands print,
    `spool` has what is uploaded, None takes no uploads. `within` is what an attempt is taken on in, such as its span.
    """

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        send: Callable[[FromAgent], None],
        *,
        ledger: Ledger,
        version: str,
        limits: Limits | None = None,
        runners: Mapping[str, Runner] = RUNNERS,
        verifiers: Mapping[str, Verifier] = VERIFIERS,
        operations: Mapping[str, Operation] = OPERATIONS,
        disk_space: Callable[[], tuple[int, int]] = lambda: (0, 0),
        policy: LocalPolicy = UNRESTRICTED,
        absent: Collection[str] = (),
        reach: Reach | None = None,
        directory: Path | None = None,
        spool: Spool | None = None,
        within: Callable[[Execute], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.ledger = ledger
        self._disk_space = disk_space
        self._registries = Registries(clock, reach)
        self._docker = docker
        self._clock = clock
        self._send = send
        self._within = within
        self.policy = policy
        self._intake = Intake(runners, operations, version, policy=policy, absent=absent, spool=spool)
        self._admission = Admission(limits if limits is not None else Limits())
        self._reads: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pings = 0
        self._closing = False
        self._outputs = Outputs(clock, self._is_over, directory)
        self.streams = Streams(
            *(docker, clock, send),
            version=version,
            operations=operations,
            policy=policy,
            outputs=self._outputs,
            spool=spool,
        )
        for entry in ledger.unfinished():
            self._intake.hold(entry.command_id, unpack_map(entry.arguments))
        self._changes = Changes(
            *(docker, clock, ledger, send, self._intake, self._admission, verifiers, self._outputs)
        )

    @property
    def operations(self) -> list[str]:
        """The names of what this worker performs."""
        return self._intake.operations

    @property
    def in_flight(self) -> int:
        """How many attempts have no answer yet."""
        return len(self._reads) + self._changes.in_flight

    # What the controller asks

    def execute(self, message: Execute, age_seconds: float = 0.0) -> None:
        """Take on an attempt; it gets one answer at least, now or later. `age_seconds` is what it lost on its way."""
        self.streams.courtesy.command_came()
        if self._within is None:
            self._take_on(message, age_seconds)
        else:
            with self._within(message):
                self._take_on(message, age_seconds)

    def cancel(self, message: Cancel) -> None:
        """Stop what can be stopped: a read, and a change that has not begun."""
        job = self._reads.get(message.correlation_id)
        if job is None:
            self._changes.cancel(message)
        elif job.phase is Phase.BEGUN:
            text = f"{job.about} was under way when it was cancelled"
            self._give_up(job, Outcome(CommandErrorCode.CANCELLED, text, circumstance=Circumstance.HEARD))
        else:
            self._give_up(
                job, Outcome(CommandErrorCode.CANCELLED, f"{job.about} was cancelled before it began")
            )

    def acknowledge(self, message: Acknowledge) -> None:
        """The controller holds results for good."""
        self._changes.acknowledge(message.sequences, message.up_to)

    def ping(self, message: Ping) -> None:
        """Answer with a Pong, from a task as any work does."""
        # Pings wait for no slot: work that rightly takes long must not make the agent look dead.
        if self._pings >= _MOST_PINGS:
            _logger.warning(
                "ping %d has no answer: %d earlier ones have none yet", message.sequence, self._pings
            )
            return
        self._pings += 1
        if self._registries.due:
            _ = self._start(self._registries.ask(), "registries")
        _ = self._start(self._pong(message), f"ping {message.sequence}")

    async def begin_session(self, epoch: int, term: int, acknowledged_up_to: int = 0) -> None:
        """A session is about to open; until this returns nothing is executed, and nothing sent.

        What an earlier session asked for and has not begun never begins by that. Raises LedgerFailed.
        """
        await self.ledger.begin_session(epoch, term)
        for job in list(self._reads.values()):
            if all(waiter.epoch != epoch for waiter in job.waiters) and job.phase is not Phase.BEGUN:
                text = f"{job.about} had not begun when the connection was lost: nothing was done"
                self._give_up(job, not_begun(text))
        self._changes.begin_session(epoch)
        self._changes.acknowledge([], acknowledged_up_to)

    def resend(self) -> None:
        """The session is open: tell every result that is not acknowledged."""
        self._changes.resend()

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Take on nothing more, give what runs `grace_seconds` to end, and answer everything."""
        self._closing = True
        for job in list(self._reads.values()):
            if job.phase is not Phase.BEGUN:
                text = f"{job.about} had not begun when the agent stopped: nothing was done"
                self._give_up(job, not_begun(text))
        running = {job.task for job in self._reads.values() if job.task is not None} | self._changes.refuse()
        if running and grace_seconds > 0:
            over = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + grace_seconds))
            ended = asyncio.ensure_future(asyncio.wait(running))
            await asyncio.wait((over, ended), return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            ended.cancel()
        for job in list(self._reads.values()):
            text = f"the agent stopped during {job.about}"
            self._answer(job, Outcome(CommandErrorCode.AGENT_DISCONNECTED, text))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._changes.close()
        await self.streams.end()
        self._outputs.close()

    # How an attempt is taken on

    def _take_on(self, message: Execute, age_seconds: float) -> None:
        operation = self._intake.operation(message.operation)
        if operation is not None and operation.image is not None and message.arguments.get("pull") != "never":
            self._registries.used(message.arguments.get(operation.image))
        if message.sequence > 0 and (operation is None or operation.changes):
            self._changes.execute(message, age_seconds)
        else:
            self._read(message, age_seconds)

    # A read's way

    def _read(self, message: Execute, age_seconds: float) -> None:
        job = self._reads.get(message.correlation_id)
        if job is not None:
            job.await_by(message, 0.0, self._clock.now())
            return
        order = self._intake.check(message)
        remaining = message.remaining_seconds - age_seconds
        job = Job(message, order if isinstance(order, Order) else None)
        job.await_by(message, remaining, self._clock.now())
        refusal = self._refusal(job, order, remaining)
        if refusal is not None:
            self._complete(job, refusal)
            return
        self._reads[message.correlation_id] = job
        reading = job
        job.timer = self._clock.call_at(job.answer_at, lambda: self._expire(reading))
        job.task = self._start(self._work(job), f"attempt {message.correlation_id}")

    def _refusal(self, job: Job, order: Order | Outcome, remaining: float) -> Outcome | None:
        if isinstance(order, Outcome):
            return order
        if not remaining > 0:  # not a number is no time either
            text = f"{job.operation} arrived after its time was over: nothing was done"
            return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        if self._closing:
            return not_begun(f"the agent is stopping and did not begin {job.operation}: nothing was done")
        return self._admission.enter(job)

    async def _work(self, job: Job) -> None:
        order = job.order
        if order is None:
            return
        try:
            if order.operation.waits:
                job.grace_until = job.answer_at
            else:
                job.slot = await self._admission.wait(job)
            job.phase, job.begun_at = Phase.BEGUN, self._clock.now()
            timeout_seconds = max(job.answer_at - job.begun_at, 0.0)
            response = await order.runner(
                Execution(
                    self._docker,
                    job.command_id,
                    job.arguments,
                    timeout_seconds,
                    _keep_quiet,
                    policy=self._intake.policy,
                )
            )
            outcome = Outcome(response=response)
        except DockerFailure as failure:
            outcome = failed(failure)
        except ResponseTooLarge as error:
            outcome = Outcome(CommandErrorCode.AGENT_ERROR, f"{job.about}: {error}")
        except Exception as error:  # a bug in one runner costs its attempt, not the agent
            _logger.exception("%s failed unexpectedly", job.about)
            outcome = bug(job.about, error)
        finally:
            self._admission.free(job)
        self._answer(job, outcome)

    def _expire(self, job: Job) -> None:
        self._give_up(job, job.too_late(self._clock.now()))

    def _give_up(self, job: Job, outcome: Outcome) -> None:
        self._answer(job, outcome)
        if job.task is not None:
            job.task.cancel()

    def _answer(self, job: Job, outcome: Outcome) -> None:
        """The attempt's one answer; later ones come too late."""
        correlation_id = job.waiters[0].correlation_id
        if self._reads.get(correlation_id) is not job:
            return
        del self._reads[correlation_id]
        self._admission.leave(job)
        self._complete(job, outcome)

    def _complete(self, job: Job, outcome: Outcome) -> None:
        for waiter in job.waiters:
            names = (job.command_id, waiter.correlation_id, waiter.epoch)
            try:
                self._send(completed(outcome, *names))
            except UNENCODABLE as problem:
                error = f"{job.operation}: its response can't be sent: {described(problem)}"
                self._send(Completed(*names, CommandErrorCode.AGENT_ERROR.value, error=error))

    # Pings

    async def _pong(self, message: Ping) -> None:
        docker: bool | None = None
        try:
            if message.docker:
                docker = await self._docker_answers()
        finally:
            self._pings -= 1
        self._send(Pong(message.sequence, docker, self._vitals()))

    def _vitals(self) -> HostVitals:
        now = self._clock.now()
        begun = [job.moved_at for job in self._reads.values() if job.phase is Phase.BEGUN]
        oldest = min([*begun, *self._changes.moved_at()], default=now)
        free_bytes, total_bytes = self._disk_space()
        standing = self.ledger.standing
        return HostVitals(
            self._clock.wall().isoformat(),
            free_bytes,
            total_bytes,
            max(0.0, now - oldest),
            self._registries.fresh(),
            standing.entries,
            standing.unacknowledged,
            not self.ledger.has_room,
        )

    async def _docker_answers(self) -> bool:
        try:
            await self._docker.ping(timeout_seconds=PING_SECONDS)
        except DockerFailure as failure:
            _logger.debug("the Docker Engine doesn't answer a ping: %s", failure)
            return False
        except Exception:  # a bug there must not make the agent look dead
            _logger.exception("the ping of the Docker Engine failed unexpectedly")
            return False
        return True

    def _is_over(self, command_id: str) -> bool:
        entry = self.ledger.entry(command_id)
        return entry is not None and entry.state is State.DONE

    def _start(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _keep_quiet(text: str, detail: Mapping[str, object] | None = None) -> None:
    """Reads are short: nobody waits for signs that they move."""
