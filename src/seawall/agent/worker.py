"""Executes what the controller sends: so much at once, one change a container at a time, one answer each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping

from msgspec import Struct

from seawall.agent.admission import Lanes, Turns
from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.job import Job, Phase
from seawall.agent.operations.containers import TARGET, Target, grace_of, resolve
from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import ResponseTooLarge, Runner
from seawall.clock import Clock
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode, verdict
from seawall.operations.operation import InvalidArguments, Lane, Operation, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.wire.messages import Cancel, Completed, Execute, FromAgent, Ping, Pong

PING_SECONDS = 3.0
"""How long the Docker Engine may take to answer a ping."""

_LONGEST_SECONDS = 86_400.0
_MARGIN_SHARE, _LONGEST_MARGIN_SECONDS = 0.1, 1.0
_MOST_PINGS = 4
_LONGEST_ERROR = 2000

_logger = logging.getLogger("seawall.agent.worker")


class Limits(Struct, frozen=True):
    """How much a worker takes on: at once, more for the control lane, and waiting (in each of the two)."""

    at_once: int = 16
    reserved: int = 2
    waiting: int = 64


class Worker:
    """Takes `wire` messages, and answers them through `send`, which must not wait. One event loop owns it.

    `send` raises TypeError, ValueError, OverflowError or RecursionError for what no frame can carry.
    """

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        send: Callable[[FromAgent], None],
        *,
        version: str,
        limits: Limits | None = None,
        runners: Mapping[str, Runner] = RUNNERS,
        operations: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        self._docker = docker
        self._clock = clock
        self._send = send
        self._version = version
        self._limits = limits if limits is not None else Limits()
        self._runners = runners
        self._declared = operations
        self._lanes = Lanes(self._limits.at_once, self._limits.reserved)
        self._names, self._ids = Turns(), Turns()
        self._jobs: dict[str, Job] = {}
        self._open = {True: 0, False: 0}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pings = 0
        self._closing = False

    @property
    def operations(self) -> list[str]:
        """The names of what this worker performs."""
        return sorted(
            name for name in self._runners if name in self._declared and self._declared[name].supported
        )

    @property
    def in_flight(self) -> int:
        """How many attempts have no answer yet."""
        return len(self._jobs)

    # What the controller asks

    def execute(self, message: Execute) -> None:
        """Take on an attempt. It gets exactly one Completed, now or later."""
        job = self._jobs.get(message.correlation_id)
        if job is not None:
            job.epochs.append(message.epoch)
            return
        accepted = self._accept(message)
        if isinstance(accepted, Outcome):
            self._complete(message, message.epoch, accepted)
            return
        job = accepted
        self._jobs[message.correlation_id] = job
        self._open[job.urgent] += 1
        job.timer = self._clock.call_at(job.answer_at, lambda: self._expire(job))
        job.task = self._start(self._work(job), f"attempt {message.correlation_id}")

    def cancel(self, message: Cancel) -> None:
        """Stop an attempt if it can be stopped. One that is over has been answered."""
        job = self._jobs.get(message.correlation_id)
        if job is None:
            return
        if job.phase is Phase.RUNNING:
            text = f"{job.about} was under way when it was cancelled: look at the host before you repeat it"
            outcome = Outcome(CommandErrorCode.CANCELLED, text, circumstance=Circumstance.HEARD)
        else:
            outcome = Outcome(CommandErrorCode.CANCELLED, f"{job.about} was cancelled before it began")
        self._give_up(job, outcome)

    def ping(self, message: Ping) -> None:
        """Answer with a Pong, from a task as any work does."""
        # Pings wait for no slot: work that rightly takes long must not make the agent look dead.
        if self._pings >= _MOST_PINGS:
            _logger.warning(
                "ping %d has no answer: %d earlier ones have none yet", message.sequence, self._pings
            )
            return
        self._pings += 1
        _ = self._start(self._pong(message), f"ping {message.sequence}")

    def begin_session(self, epoch: int) -> None:
        """What an earlier session asked for and has not begun never begins: its controller has moved on."""
        for job in list(self._jobs.values()):
            if max(job.epochs) < epoch and job.phase is not Phase.RUNNING:
                text = f"{job.about} had not begun when the connection was lost: nothing was done"
                self._give_up(job, _not_begun(text))

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Take on nothing more, give what runs `grace_seconds` to end, and answer everything."""
        self._closing = True
        for job in list(self._jobs.values()):
            if job.phase is not Phase.RUNNING:
                self._give_up(
                    job, _not_begun(f"{job.about} had not begun when the agent stopped: nothing was done")
                )
        running = {job.task for job in self._jobs.values() if job.task is not None}
        if running and grace_seconds > 0:
            over = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + grace_seconds))
            ended = asyncio.ensure_future(asyncio.wait(running))
            await asyncio.wait((over, ended), return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            ended.cancel()
        for job in list(self._jobs.values()):
            text = f"the agent stopped during {job.about}: look at the host before you repeat it"
            self._answer(job, Outcome(CommandErrorCode.AGENT_DISCONNECTED, text))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # An attempt's way

    def _accept(self, message: Execute) -> Job | Outcome:
        remaining = min(message.remaining_seconds, _LONGEST_SECONDS)
        operation = self._declared.get(message.operation)
        runner = self._runners.get(message.operation)
        if operation is not None and not operation.supported:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"{operation.name} is not supported yet: this agent is version {self._version}; nothing was done",
            )
        if operation is None or runner is None:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"this agent is version {self._version} and doesn't know the operation {message.operation[:64]!r}: "
                "update it; nothing was done",
            )
        try:
            arguments = check_arguments(operation, message.arguments)
        except InvalidArguments as error:
            return Outcome(CommandErrorCode.INVALID_ARGUMENT, str(error))
        if not remaining > 0:  # not a number is no time either
            text = f"{operation.name} arrived after its time was over: nothing was done"
            return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        if self._closing:
            return _not_begun(f"the agent is stopping and did not begin {operation.name}: nothing was done")
        urgent = operation.lane is Lane.CONTROL
        limit = self._limits.waiting + (self._limits.reserved if urgent else self._limits.at_once)
        if self._open[urgent] >= limit:
            return Outcome(
                CommandErrorCode.BULKHEAD_FULL,
                f"this agent has {self._open[urgent]} commands under way or waiting and takes no more: nothing was "
                "done; try again when some of them are done",
            )
        # The answer has to arrive before the controller gives the attempt up.
        margin = min(_MARGIN_SHARE * remaining, _LONGEST_MARGIN_SECONDS)
        return Job(message, operation, runner, arguments, self._clock.now() + remaining - margin)

    async def _work(self, job: Job) -> None:
        try:
            outcome = await self._perform(job)
        except DockerFailure as failure:
            outcome = Outcome(failure.code, failure.message, circumstance=failure.circumstance)
        except ResponseTooLarge as error:
            outcome = Outcome(CommandErrorCode.AGENT_ERROR, f"{job.about}: {error}")
        except Exception as error:  # a bug in one runner costs its attempt, not the agent
            _logger.exception("%s failed unexpectedly", job.about)
            outcome = Outcome(
                CommandErrorCode.AGENT_ERROR, f"{job.about} met a bug of the agent: {_described(error)}"
            )
        self._answer(job, outcome)

    async def _perform(self, job: Job) -> Outcome:
        if job.container is None:
            return await self._in_slot(job, self._run(job, job.arguments))
        async with self._names.turn(job.container):
            return await self._in_slot(job, self._change(job, job.container))

    async def _in_slot(self, job: Job, work: Coroutine[object, object, Outcome]) -> Outcome:
        try:
            job.slot = await self._lanes.wait(urgent=job.urgent)
            return await work
        finally:
            work.close()  # where no slot came, it was never begun
            if job.slot is not None:
                job.slot.release()

    async def _change(self, job: Job, container: str) -> Outcome:
        target = await self._resolve(job, container)
        async with self._ids.turn(target.container_id):
            if any(argument.name == "grace_seconds" for argument in job.operation.arguments):
                job.grace_until = self._clock.now() + grace_of(job.arguments, target)
            return await self._run(job, {**job.arguments, TARGET: target})

    async def _run(self, job: Job, arguments: Mapping[str, object]) -> Outcome:
        job.phase, job.begun_at = Phase.RUNNING, self._clock.now()
        response = await job.runner(self._docker, arguments, max(job.answer_at - job.begun_at, 0.0))
        return Outcome(response=response)

    async def _resolve(self, job: Job, name: str) -> Target:
        job.phase, job.begun_at = Phase.RESOLVING, self._clock.now()
        try:
            return await resolve(self._docker, name, max(job.answer_at - job.begun_at, 0.0))
        except DockerFailure as failure:
            if verdict(failure.code, failure.circumstance).may_have_run:
                # Only a question was asked so far.
                raise self._unresolved(job, failure.message) from failure
            raise
        finally:
            job.phase = Phase.WAITING

    def _unresolved(self, job: Job, reason: str) -> DockerFailure:
        return DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_UNREACHABLE,
            f"{job.about} did not begin, because {reason}. Nothing was changed",
        )

    def _expire(self, job: Job) -> None:
        """The attempt's time is over."""
        now = self._clock.now()
        seconds = now - job.begun_at
        if job.phase is Phase.WAITING:
            text = f"{job.about} waited here until its time was over: nothing was done"
            outcome = Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        elif job.phase is Phase.RESOLVING:
            reason = f"the Docker Engine did not answer within {seconds:.3g} s"
            failure = self._unresolved(job, reason)
            outcome = Outcome(failure.code, failure.message, circumstance=failure.circumstance)
        elif now < job.grace_until:
            text = (
                f"{job.about} goes on: the container may take {job.grace_until - now:.3g} s more to stop. Look at it "
                "later, or give the command a timeout above its grace"
            )
            outcome = Outcome(CommandErrorCode.TIMEOUT, text, circumstance=Circumstance.HEARD)
        else:
            text = f"{job.about} had no answer within {seconds:.3g} s"
            if job.operation.changes:
                text += ": it may have been done all the same, so look at the host before you repeat it"
            silent = Circumstance.DOCKER_SILENT if job.operation.touches_docker else Circumstance.HEARD
            outcome = Outcome(CommandErrorCode.TIMEOUT, text, circumstance=silent)
        self._give_up(job, outcome)

    def _give_up(self, job: Job, outcome: Outcome) -> None:
        """Answer, and stop what can be stopped.

        A change that has begun goes on to its end, and keeps its turn at the container until then: cutting it off
        would leave the container in a state that nobody asked for.
        """
        self._answer(job, outcome)
        if job.task is not None and not (job.phase is Phase.RUNNING and job.operation.changes):
            job.task.cancel()

    def _answer(self, job: Job, outcome: Outcome) -> None:
        """The attempt's one answer; later ones come too late."""
        if self._jobs.get(job.execute.correlation_id) is not job:
            return
        del self._jobs[job.execute.correlation_id]
        self._open[job.urgent] -= 1
        if job.timer is not None:
            job.timer.cancel()
        if job.slot is not None:
            job.slot.release()
        for epoch in job.epochs:
            self._complete(job.execute, epoch, outcome)

    def _complete(self, execute: Execute, epoch: int, outcome: Outcome) -> None:
        code = outcome.code.value if outcome.code is not None else None
        names = (execute.command_id, execute.correlation_id, epoch)
        error = outcome.error[:_LONGEST_ERROR] if outcome.error is not None else None
        try:
            self._send(Completed(*names, code, outcome.circumstance.value, error, outcome.response))
        except (TypeError, ValueError, OverflowError, RecursionError) as problem:
            # Something that JSON doesn't know, a number beyond 64 bits, or more than a frame carries.
            error = f"{execute.operation}: its response can't be sent: {_described(problem)}"
            self._send(Completed(*names, CommandErrorCode.AGENT_ERROR.value, error=error))

    async def _pong(self, message: Ping) -> None:
        docker: bool | None = None
        try:
            if message.docker:
                docker = await self._docker_answers()
        finally:
            self._pings -= 1
        self._send(Pong(message.sequence, docker))

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

    def _start(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _not_begun(text: str) -> Outcome:
    return Outcome(CommandErrorCode.NETWORK_ERROR, text, circumstance=Circumstance.NOT_SENT)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
