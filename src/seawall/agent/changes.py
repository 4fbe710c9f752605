r"""The life of a changing command on this host: waited for, begun once, verified if in doubt, recorded, and told.

    WAITING -> RESOLVING -> WAITING -> BEGUN -> (IN_DOUBT) -> ENDING
         \________________________________________________/    (cancelled, expired, refused)

The ledger decides what may happen, never what is in memory only: STARTED is durable before the effect, DONE before
anybody is told. What has begun goes on to its end, whoever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import ParamSpec

from seawall.agent.admission import Admission, turn
from seawall.agent.answers import (
    bug,
    failed,
    is_last_word,
    not_begun,
    pack,
    packed,
    unpack_map,
    unpack_outcome,
)
from seawall.agent.attempts import Attempts
from seawall.agent.docker import Docker
from seawall.agent.failure import DockerFailure
from seawall.agent.intake import Intake, Order, forbidden, no_room
from seawall.agent.job import Job, Phase, project_of
from seawall.agent.ledger import Entry, Ledger, LedgerFailed, State
from seawall.agent.operations.containers import grace_of
from seawall.agent.operations.runner import Target
from seawall.agent.operations.verification import Verifier
from seawall.agent.outbox import Outbox
from seawall.agent.outputs import Outputs
from seawall.agent.projects import Projects
from seawall.agent.verification import Case, Verification
from seawall.clock import Clock
from seawall.core.command import Outcome
from seawall.core.errors import CommandErrorCode, verdict
from seawall.turns import Turns
from seawall.wire.messages import Cancel, Execute, FromAgent

_TIMEOUT_SECONDS = 30.0  # of a call for an operation that this version doesn't know

Work = ParamSpec("Work")

_logger = logging.getLogger("seawall.agent.worker")


class Changes:
    """Of one agent. It takes up at once what the ledger says was under way when the last process ended."""

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        ledger: Ledger,
        send: Callable[[FromAgent], None],
        intake: Intake,
        admission: Admission,
        verifiers: Mapping[str, Verifier],
        outputs: Outputs,
    ) -> None:
        self._docker = docker
        self._clock = clock
        self._ledger = ledger
        self._intake = intake
        self._admission = admission
        self._outputs = outputs
        self._attempts = Attempts(clock, ledger, send, self._too_late, outputs)
        self._outbox = Outbox(ledger, clock, send)
        self._verification = Verification(docker, clock, ledger, verifiers, intake.policy, intake.spool)
        self._names, self._ids, self._projects = Turns(), Turns(), Projects()
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        for entry in ledger.unfinished():
            self._take_up(entry)

    @property
    def in_flight(self) -> int:
        """How many attempts have no answer yet."""
        return sum(len(job.waiters) for job in self._jobs.values())

    def moved_at(self) -> list[float]:
        """When each change that has begun last showed that it moves."""
        return [job.moved_at for job in self._jobs.values() if job.begun]

    # What the controller says

    def execute(self, message: Execute, age_seconds: float) -> None:
        """Take on an attempt. The command is begun once, and every attempt hears what becomes of it."""
        asks = not message.remaining_seconds > 0  # not a number is no time either
        remaining = 0.0 if asks else message.remaining_seconds - age_seconds
        job, entry = self._jobs.get(message.command_id), self._ledger.entry(message.command_id)
        if job is None and entry is not None and entry.state is State.DONE:
            self._replay(message, entry)
            return
        earlier = None if asks else self._attempts.earlier_answer(message)
        if earlier is not None:
            self._attempts.tell(message, earlier)
        elif job is not None:
            self._join(job, message, remaining, asks=asks)
        else:
            refusal = forbidden(message, self._ledger)
            if refusal is not None:
                self._attempts.tell(message, refusal)
            else:
                self._begin(message, entry, remaining)

    def cancel(self, message: Cancel) -> None:
        """Stop a command if it has not begun. One that has goes on, and its true end is told."""
        job = self._jobs.get(message.command_id)
        if job is None or job.phase is Phase.ENDING:
            return
        if job.begun:
            _logger.info("%s had begun when it was cancelled: it goes on", job.about)
            return
        self._abandon(job, Outcome(CommandErrorCode.CANCELLED, f"{job.about} was cancelled before it began"))

    def acknowledge(self, sequences: list[int], up_to: int) -> None:
        """The controller holds these results, and every command up to `up_to` is over there."""
        before = self._ledger.watermark
        self._ledger.acknowledge(sequences, up_to)
        self._outbox.acknowledged(sequences)
        if self._ledger.watermark > before:
            self._attempts.forget_up_to(self._ledger.watermark)

    def begin_session(self, epoch: int) -> None:
        """What an earlier session asked for and has not begun never begins by that: its controller asks again."""
        self._attempts.begin_session(epoch)
        for job in self._not_begun():
            if all(waiter.epoch != epoch for waiter in job.waiters):
                text = f"{job.about} had not begun when the connection was lost: nothing was done"
                self._abandon(job, not_begun(text))

    def resend(self) -> None:
        """Tell every result that is not acknowledged."""
        if self._attempts.epoch is not None:
            self._outbox.begin_session(self._attempts.epoch)

    # The end of the process

    def refuse(self) -> set[asyncio.Task[None]]:
        """Take on nothing more; the tasks of what is still under way."""
        self._closing = True
        for job in self._not_begun():
            text = f"{job.about} had not begun when the agent stopped: nothing was done"
            self._abandon(job, not_begun(text))
        return {job.task for job in self._jobs.values() if job.task is not None}

    async def close(self) -> None:
        """Leave what is under way as it is in the ledger: the next process finds out what became of it."""
        for job in list(self._jobs.values()):
            text = f"the agent stopped during {job.about}; what became of it is told when the agent is back"
            self._answer(job, Outcome(CommandErrorCode.AGENT_DISCONNECTED, text))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._outbox.close()

    # How an attempt is taken on

    def _not_begun(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.phase in (Phase.WAITING, Phase.RESOLVING)]

    def _begin(self, message: Execute, entry: Entry | None, remaining: float) -> None:
        order = self._intake.check(message)
        if not remaining > 0:
            text = f"{message.operation[:64]} arrived after its time was over: nothing was done"
            last = unpack_outcome(entry.outcome) if entry is not None and entry.outcome else None
            self._record(message, last or Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text))
            return
        if isinstance(order, Outcome):
            self._record(message, order)
            return
        if self._closing:
            text = f"the agent is stopping and did not begin {message.operation}: nothing was done"
            self._attempts.tell(message, not_begun(text))
            return
        if not self._ledger.has_room:
            self._attempts.tell(message, no_room(message))
            return
        full = self._admission.enter(job := Job(message, order))
        if full is not None:
            self._record(message, full)
            return
        job.await_by(message, remaining, self._clock.now())
        self._jobs[job.command_id] = job
        self._attempts.watch(job)
        job.task = self._start(f"command {job.command_id}", self._work, job, order)

    def _join(self, job: Job, message: Execute, remaining: float, *, asks: bool) -> None:
        if asks and job.begun:
            self._attempts.tell(message, self._attempts.interim(job))
            return
        job.await_by(message, remaining, self._clock.now())
        if job.phase is Phase.ENDING:
            return
        if asks:
            text = f"{job.about} had not begun when its time was over: nothing was done"
            self._abandon(job, Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text))
        elif remaining > 0:
            self._attempts.watch(job)
            if job.phase is Phase.BEGUN or job.phase is Phase.IN_DOUBT:
                self._attempts.say_started(job)

    def _replay(self, message: Execute, entry: Entry) -> None:
        if entry.outcome is not None:
            self._outbox.answer(entry, unpack_outcome(entry.outcome), (message.correlation_id,))
        else:
            _ = self._start(f"replay of {message.command_id}", self._replay_from_file, message, entry)

    async def _replay_from_file(self, message: Execute, entry: Entry) -> None:
        content = await self._ledger.outcome(entry)
        if content is not None:
            self._outbox.answer(entry, unpack_outcome(content), (message.correlation_id,))

    def _record(self, message: Execute, outcome: Outcome) -> None:
        """Refuse for good: no duplicate that comes later begins it."""
        job = Job(message)
        job.phase = Phase.ENDING
        job.await_by(message, 0.0, self._clock.now())
        self._jobs[job.command_id] = job
        job.task = self._start(f"refusal of {job.command_id}", self._conclude, job, outcome, final=True)

    def _take_up(self, entry: Entry) -> None:
        operation = self._intake.operation(entry.operation)
        arguments = unpack_map(entry.arguments)
        job = Job(Execute(entry.command_id, "", 0, entry.operation, arguments, 0.0, 0, entry.sequence))
        if operation is not None:
            job.turn, job.project = operation.turn(arguments), project_of(operation, arguments)
        timeout_seconds = operation.timeout_seconds if operation is not None else _TIMEOUT_SECONDS
        case = self._doubt(job, entry, None, timeout_seconds)
        self._jobs[job.command_id] = job
        job.task = self._start(f"recovery of {job.command_id}", self._recover, job, case)

    # A command's way

    async def _work(self, job: Job, order: Order) -> None:
        looked = self._projects.container(job, partial(self._look, job, order), self._admission.free)
        async with turn(self._names, job.turn), self._projects.whole(job.project):
            try:
                async with looked as target, turn(self._ids, target.object_id if target else None):
                    await self._conclude(job, await self._change(job, order, target))
            except DockerFailure as failure:
                await self._conclude(job, job.unanswered(failure))
            except LedgerFailed:
                raise
            except Exception as error:  # a bug costs its command, not the agent
                if job.begun:
                    raise
                _logger.exception("%s failed unexpectedly", job.about)
                await self._conclude(job, bug(job.about, error))

    async def _recover(self, job: Job, case: Case) -> None:
        object_id = case.pre_image.get("id")
        turn_by_id = turn(self._ids, object_id if isinstance(object_id, str) else None)
        async with turn(self._names, job.turn), self._projects.whole(job.project), turn_by_id:
            await self._conclude(job, await self._verification.decide(case))

    async def _look(self, job: Job, order: Order) -> Target | None:
        job.slot = await self._admission.wait(job)
        if order.resolver is None:
            return None
        job.phase, job.begun_at = Phase.RESOLVING, self._clock.now()
        try:
            return await order.resolver(self._docker, job.arguments, max(job.answer_at - job.begun_at, 0.0))
        finally:
            if job.phase is Phase.RESOLVING:
                job.phase = Phase.WAITING

    async def _change(self, job: Job, order: Order, target: Target | None) -> Outcome:
        entry = self._ledger.entry(job.command_id)
        if entry is None and job.sequence <= self._ledger.watermark:
            text = f"{job.about} was over for the controller before it began: nothing was done"
            return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        arguments = pack(job.told_arguments)
        seen = self._verification.pre_image(job.operation, target)
        # From here on nobody stops it: whether the row is there isn't known before the ledger says so.
        job.phase, job.begun_at = Phase.BEGINNING, self._clock.now()
        entry = await self._ledger.start(job.sequence, job.command_id, job.operation, arguments, pack(seen))
        job.phase, now = Phase.BEGUN, self._clock.now()
        if now >= job.begin_by:
            text = f"{job.about} was not begun, because its time was over: nothing was done"
            return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        if target is not None and order.operation.grace is not None:
            job.grace_until = now + grace_of(job.arguments, target)
        self._attempts.say_started(job)
        seconds, progress = max(job.answer_at - now, 0.0), partial(self._attempts.progress, job)
        try:
            execution = self._verification.execution(entry, job.arguments, seconds, progress, target, seen)
            return Outcome(response=await order.runner(execution))
        except DockerFailure as failure:
            outcome = failed(failure)
            if not verdict(outcome.code, outcome.circumstance).may_have_run:
                return outcome
        except Exception as error:  # a bug in one runner costs its command, not the agent
            _logger.exception("%s failed unexpectedly", job.about)
            outcome = bug(job.about, error)
        self._admission.free(job)
        case = self._doubt(job, entry, outcome, order.operation.timeout_seconds)
        return await self._verification.decide(case)

    def _doubt(self, job: Job, entry: Entry, failure: Outcome | None, timeout_seconds: float) -> Case:
        job.phase = Phase.IN_DOUBT
        job.case = Case(
            entry,
            job.about,
            job.arguments,
            unpack_map(entry.pre_image),
            self._clock.now(),
            failure,
            timeout_seconds,
            partial(self._attempts.progress, job),
            job.begin_by,
        )
        return job.case

    async def _conclude(self, job: Job, outcome: Outcome, *, final: bool = False) -> None:
        """Record what is final, and tell it; of what isn't, record that there was no effect."""
        job.phase = Phase.ENDING
        if final or is_last_word(outcome):
            outcome, content = packed(outcome)
            entry = await self._ledger.finish(
                job.sequence, job.command_id, job.operation, pack(job.told_arguments), content
            )
            waiting = [
                waiter.correlation_id for waiter in job.waiters if waiter.epoch == self._attempts.epoch
            ]
            job.waiters.clear()
            self._intake.over(job.command_id, job.arguments)
            self._forget(job)
            self._attempts.forget(job.command_id)
            self._outputs.end(job.command_id)
            self._outbox.answer(entry, outcome, waiting)
            return
        known = self._ledger.entry(job.command_id)
        if known is not None:
            await self._ledger.void(known, packed(outcome)[1])
        self._outputs.rest(job.command_id)
        self._answer(job, outcome)
        self._forget(job)

    def _answer(self, job: Job, outcome: Outcome) -> None:
        """Tell its attempts what is not the last word; if the work goes on, it takes nobody's place."""
        self._attempts.answer(job, outcome)
        self._admission.leave(job)

    def _forget(self, job: Job) -> None:
        """Nothing is left to do for it."""
        if self._jobs.get(job.command_id) is job:
            del self._jobs[job.command_id]
        self._admission.leave(job)

    def _too_late(self, job: Job) -> None:
        if job.begun:
            self._answer(job, self._attempts.interim(job))
        elif job.phase is not Phase.ENDING:
            self._abandon(job, job.too_late(self._clock.now()))

    def _abandon(self, job: Job, outcome: Outcome) -> None:
        """End a command that has not begun."""
        job.phase = Phase.ENDING
        if job.task is not None:
            job.task.cancel()
        if is_last_word(outcome):
            job.task = self._start(f"end of {job.command_id}", self._conclude, job, outcome)
        else:
            self._answer(job, outcome)
            self._forget(job)

    def _start(
        self,
        name: str,
        work: Callable[Work, Coroutine[object, object, None]],
        *given: Work.args,
        **more: Work.kwargs,
    ) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work(*given, **more)
            except LedgerFailed as error:
                # The process is about to end. Without the ledger nothing can be said that would be true afterwards.
                _logger.critical("the %s can't be recorded: %s", name, error)
            except Exception:
                _logger.exception("the %s failed unexpectedly", name)

        task = asyncio.create_task(guarded(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
