"""Drives accepted commands to their result, durably: every attempt is on record before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime

import msgspec

from seawall.clock import Clock, moment_of
from seawall.core.command import Attempt, Command, CommandResult, CommandState, Outcome
from seawall.core.dispatch import Dispatch
from seawall.core.errors import CommandErrorCode
from seawall.core.events import CommandFinished
from seawall.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from seawall.engine.drive import Driver
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus, Notice
from seawall.engine.records import AttemptRecord, CommandRecord, command_document
from seawall.engine.store import CommandStore, IdempotencyConflict, StoreFailed, StoreFull
from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS


class _Run:
    """A command on its way."""

    __slots__ = ("attempt", "cancelled_by", "dispatch", "record", "result", "task", "write")

    def __init__(self, record: CommandRecord, dispatch: Dispatch) -> None:
        self.record = record
        self.dispatch = dispatch
        self.attempt: Attempt | None = None
        self.cancelled_by: str | None = None
        self.result: asyncio.Future[CommandRecord] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.write: asyncio.Task[None] | None = None


class Dispatcher:
    """Runs one task a command; `engine.ports.Journal` for its own driver."""

    def __init__(self, driver: Driver, store: CommandStore, fleet: Fleet, bus: Bus, clock: Clock) -> None:
        self._driver = driver
        self._store = store
        self._fleet = fleet
        self._bus = bus
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._open_by_agent: dict[str, int] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def open_commands(self, agent_id: str) -> int:
        """How many commands to this agent aren't over."""
        return self._open_by_agent.get(agent_id, 0)

    async def recover(self) -> int:
        """Take up what an earlier controller left open; says how many.

        What was never sent, or is safe to repeat, goes on within its deadline. What was sent and left no outcome is
        UNKNOWN: only the host knows.
        """
        records = await self._store.open_commands()
        for record in records:
            lost = [attempt for attempt in record.attempts if attempt.finished_at is None]
            operation = OPERATIONS.get(record.operation)
            if operation is None or (lost and not operation.safety.repeatable):
                outcome = Outcome(
                    CommandErrorCode.OUTCOME_UNKNOWN,
                    "the controller stopped while this command was under way; look at the host before you repeat it",
                )
                abandoned = Command(record.command_id, record.operation, record.agent_id, {})
                result = self._end(Dispatch(abandoned, None, attempts=len(record.attempts)), outcome)
                await self._conclude(record, result)
            else:
                self.start(record)
        return len(records)

    async def admit(self, record: CommandRecord) -> CommandRecord:
        """Keep a new command and start it, both or neither, even if the caller is cancelled meanwhile.

        Returns what `CommandStore.accept` returns, and raises what it raises.
        """
        if self._tasks is None:
            raise StoreFailed(
                "the controller is stopping: nothing is accepted any more; try again in a moment"
            )
        admitted = await asyncio.shield(self._tasks.create_task(self._admit(record)))
        if not isinstance(admitted, CommandRecord):
            raise admitted
        return admitted

    def start(self, record: CommandRecord) -> None:
        """Drive this command, in a task of its own."""
        if self._tasks is None:
            raise RuntimeError("the dispatcher isn't running")
        dispatch = Dispatch(_command(record, self._clock), _policy(record), attempts=len(record.attempts))
        run = _Run(record, dispatch)
        self._runs[record.command_id] = run
        self._open_by_agent[record.agent_id] = self.open_commands(record.agent_id) + 1
        run.task = self._tasks.create_task(self._run(run), name=f"command {record.command_id}")

    def result_of(self, command_id: str) -> asyncio.Future[CommandRecord] | None:
        """The record once it is final and durable, cancelled if this controller stops first; wait for it, no more.

        None if the command isn't under way here: then the store knows it as it is.
        """
        run = self._runs.get(command_id)
        return run.result if run is not None else None

    async def cancel(self, command_id: str, requested_by: str) -> bool:
        """Ask for an end. False if the command isn't under way here.

        What waits ends at once as CANCELLED. Of what is on the host only the agent can say whether it was stopped.
        """
        run = self._runs.get(command_id)
        if run is None or run.task is None:
            return False
        run.cancelled_by = requested_by
        session = self._fleet.session(run.record.agent_id)
        if run.attempt is None:
            run.task.cancel()
        elif session is not None:
            await session.cancel(command_id, run.attempt.correlation_id)
        return True

    async def run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Live until `stop`; commands under way then stay open in the store, for the next start."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self.recover()
                ready.set()
                await stop.wait()
                for run in list(self._runs.values()):
                    if run.task is not None:
                        run.task.cancel()
        finally:
            self._tasks = None

    # ports.Journal

    async def attempt_started(self, command: Command, attempt: Attempt) -> None:
        """See `Journal.attempt_started`."""
        run = self._runs[command.command_id]
        record = AttemptRecord(attempt.number, attempt.correlation_id, self._clock.wall())
        await self._store.start_attempt(command.command_id, record)
        run.record.state = CommandState.DISPATCHED
        run.record.attempts.append(record)
        run.attempt = attempt

    async def attempt_finished(self, command: Command, attempt: Attempt, outcome: Outcome) -> None:
        """See `Journal.attempt_finished`."""
        run = self._runs[command.command_id]
        run.attempt = None
        record = run.record.attempts[-1]
        record.finished_at = self._clock.wall()
        record.error_code = outcome.code.value if outcome.code is not None else None
        record.circumstance = outcome.circumstance.value
        record.error = outcome.error
        if self._tasks is not None:
            # Written beside what follows, in this order: a result needn't wait for two commits.
            kept = self._store.finish_attempt(command.command_id, msgspec.structs.replace(record))
            run.write = self._tasks.create_task(kept)

    async def _admit(self, record: CommandRecord) -> CommandRecord | IdempotencyConflict | StoreFull:
        try:
            kept = await self._store.accept(record)
        except (IdempotencyConflict, StoreFull) as refusal:
            return refusal  # raised here it would end all tasks of the group
        if kept.command_id == record.command_id:
            self._bus.publish(Notice("accepted", kept.agent_id, kept.command_id, command_document(kept)))
            if not kept.state.final:
                self.start(kept)
        return kept

    async def _run(self, run: _Run) -> None:
        record = run.record
        try:
            try:
                result = await self._driver.drive(run.dispatch)
            except asyncio.CancelledError:
                if run.cancelled_by is None:
                    raise
                result = self._cancelled(run)
            await self._conclude(record, result, run.write)
            run.result.set_result(record)
        finally:
            run.result.cancel()
            del self._runs[record.command_id]
            left = self.open_commands(record.agent_id) - 1
            if left:
                self._open_by_agent[record.agent_id] = left
            else:
                del self._open_by_agent[record.agent_id]

    def _cancelled(self, run: _Run) -> CommandResult:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        outcome = Outcome(CommandErrorCode.CANCELLED, f"cancelled by {run.cancelled_by} before it was sent")
        return self._end(run.dispatch, outcome)

    def _end(self, dispatch: Dispatch, outcome: Outcome) -> CommandResult:
        now = self._clock.now()
        result = dispatch.end(outcome, now)
        self._driver.emit(CommandFinished(now, dispatch.command, result))
        return result

    async def _conclude(
        self, record: CommandRecord, result: CommandResult, write: asyncio.Task[None] | None = None
    ) -> None:
        apply_result(record, result, self._clock.wall())
        writes: list[Awaitable[None]] = [self._store.finish(record)]
        if write is not None:
            writes.insert(0, write)
        await asyncio.gather(*writes)
        self._bus.publish(Notice("finished", record.agent_id, record.command_id, command_document(record)))


def apply_result(record: CommandRecord, result: CommandResult, finished_at: datetime) -> None:
    """Write a command's result into its record."""
    record.state = result.state if result.state is not None else CommandState.UNKNOWN
    record.error_code = result.error_code.value if result.error_code is not None else None
    record.error = result.error
    record.response = result.response
    record.total_attempts = len(record.attempts)
    record.duration_seconds = result.duration_seconds
    record.retry_after_seconds = result.retry_after_seconds
    record.finished_at = finished_at
    if never_admitted(result):
        record.idempotency_key = None


def never_admitted(result: CommandResult) -> bool:
    """Whether the command was turned away before anything was sent; its idempotency key is then free again."""
    return result.state is CommandState.REJECTED and result.error_code in (
        CommandErrorCode.CIRCUIT_OPEN,
        CommandErrorCode.BULKHEAD_FULL,
    )


def _policy(record: CommandRecord) -> RetryPolicy:
    return msgspec.structs.replace(DEFAULT_RETRY_POLICY, max_attempts=record.max_attempts)


def _command(record: CommandRecord, clock: Clock) -> Command:
    operation: Operation = OPERATIONS[record.operation]
    return Command(
        record.command_id,
        record.operation,
        record.agent_id,
        record.arguments,
        operation.safety,
        operation.touches_docker,
        record.timeout_seconds,
        moment_of(clock, record.deadline_at),
        record.queue,
        0 if operation.lane.value == "control" else 1,
    )
