"""Drives accepted commands to their result, durably: every attempt is on record before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from seawall.clock import Clock
from seawall.core.command import Attempt, Command, CommandResult, CommandState, Outcome, Source
from seawall.core.dispatch import Dispatch
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CommandFinished, CommandParked, Event, RetryScheduled, SlotAwaited
from seawall.core.retry_gate import RetryGate
from seawall.engine.audit import CONTROLLER, Caller
from seawall.engine.backlog import Backlog
from seawall.engine.drive import Driver
from seawall.engine.explain import decision_of
from seawall.engine.fleet import Fleet, LedgerResult
from seawall.engine.last_known import LastKnown
from seawall.engine.notices import Bus, Notice
from seawall.engine.policies import Fallback, Policies
from seawall.engine.records import AttemptRecord, CommandRecord, command_document
from seawall.engine.run import Run, command_of, key_of, policy_of, wait_for_turn
from seawall.engine.settlement import Settlement
from seawall.engine.store import CommandOver, CommandStore, IdempotencyConflict, StoreFailed, StoreFull
from seawall.operations.registry import OPERATIONS
from seawall.turns import Turns

_EXPIRING_AT_ONCE = 256
_SHOWN_RUNNING_AFTER_SECONDS = 0.25


class Dispatcher:
    """Runs one task a command. It is the `Journal` of its own driver and the `AgentListener` of the fleet."""

    def __init__(
        self,
        driver: Driver,
        store: CommandStore,
        fleet: Fleet,
        bus: Bus,
        clock: Clock,
        gate: RetryGate | None = None,
    ) -> None:
        self.gate = gate if gate is not None else RetryGate()
        """Has a say in every retry."""
        self.policies = Policies()
        """What holds for which operation; may be replaced at any time, and holds for what is started from then on."""
        self._driver = driver
        self._store = store
        self._fleet = fleet
        self._bus = bus
        self._clock = clock
        self.settlement = Settlement(store, fleet, bus, clock, driver.emit)
        self._last_known = LastKnown()
        self.backlog = Backlog(clock, self._due)
        self._runs: dict[str, Run] = {}
        self._open_by_agent: dict[str, int] = {}
        self._turns = Turns()
        self._taking_up: dict[str, asyncio.Task[None]] = {}
        self._begun: dict[str, None] = {}
        self._tasks: asyncio.TaskGroup | None = None
        fleet.listener = self
        driver.subscribers.append(self._decided)

    def open_commands(self, agent_id: str) -> int:
        """How many commands to this agent aren't over."""
        return self._open_by_agent.get(agent_id, 0) + self.backlog.waiting(agent_id)

    async def recover(self) -> int:
        """Take note of what an earlier controller left unsettled; says how much that is.

        Open commands go on when their agent is here, or when their time has come; UNKNOWN ones are asked about.
        """
        unsettled = await self._store.unsettled()
        for command in unsettled:
            self.settlement.watermarks.open(command.agent_id, command.sequence)
            if command.state is CommandState.UNKNOWN:
                self.settlement.reconciler.add(command.agent_id, command.command_id)
        self.backlog.fill([command for command in unsettled if not command.state.final])
        return len(unsettled)

    async def admit(self, record: CommandRecord, caller: Caller = CONTROLLER) -> CommandRecord:
        """Keep a new command and start it, both or neither, even if the caller is cancelled meanwhile.

        Returns what `CommandStore.accept` returns, and raises what it raises.
        """
        if self._tasks is None:
            raise StoreFailed(
                "the controller is stopping: nothing is accepted any more; try again in a moment"
            )
        admitted = await asyncio.shield(self._tasks.create_task(self._admit(record, caller)))
        if not isinstance(admitted, CommandRecord):
            raise admitted
        return admitted

    def result_of(self, command_id: str) -> asyncio.Future[CommandRecord] | None:
        """The record once it is final and durable, cancelled if this controller stops first; wait for it, no more.

        None if the command isn't under way here; what waits in the backlog has its result there.
        """
        run = self._runs.get(command_id)
        return run.result if run is not None else None

    async def cancel(self, command_id: str, requested_by: str) -> bool:
        """Ask for an end. False if the command isn't under way here.

        What waits ends at once as CANCELLED. Of what is on the host only the agent can say whether it was stopped.
        """
        run = self._runs.get(command_id) or await self._called_up(command_id)
        if run is None:
            return False
        session = self._fleet.session(run.record.agent_id)
        if run.attempt is None:
            run.end(
                Outcome(CommandErrorCode.CANCELLED, f"cancelled by {requested_by} before the agent began it")
            )
        elif session is not None:
            await session.cancel(command_id, run.attempt.correlation_id)
        return True

    async def run(self, ready: asyncio.Event, stop: asyncio.Event) -> None:
        """Live until `stop`; commands under way then stay open in the store, for the next start."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = self.settlement.reconciler.tasks = tasks
                await self.recover()
                ready.set()
                await stop.wait()
                self._tasks = self.settlement.reconciler.tasks = None
                for task in [*self._taking_up.values(), *self.settlement.reconciler.asking]:
                    task.cancel()
                for run in list(self._runs.values()):
                    if run.task is not None:
                        run.task.cancel()
        finally:
            self._tasks = self.settlement.reconciler.tasks = None
            self.backlog.close()

    # ports.Journal

    def prepared(self, command: Command) -> str | None:
        """See `Journal.prepared`."""
        return self._runs[command.command_id].prepared

    async def attempt_started(self, command: Command, attempt: Attempt) -> None:
        """See `Journal.attempt_started`."""
        run = self._runs[command.command_id]
        if run.prepared is None:
            record = AttemptRecord(attempt.number, attempt.correlation_id, self._clock.wall())
            await self._store.start_attempt(command.command_id, record)
            run.record.state = CommandState.DISPATCHED
            run.record.attempts.append(record)
        run.prepared = None
        run.attempt = attempt

    def attempt_finished(self, command: Command, attempt: Attempt, outcome: Outcome) -> None:
        """See `Journal.attempt_finished`."""
        run = self._runs[command.command_id]
        run.attempt = None
        self._begun.pop(command.command_id, None)
        run.end_attempt(outcome, self._clock.wall())

    async def waiting(self, command: Command) -> None:
        """See `Journal.waiting`."""
        run = self._runs[command.command_id]
        last = run.record.attempts[-1] if run.record.attempts else None
        ended = msgspec.structs.replace(last) if last is not None and last.finished_at is not None else None
        decisions, run.decisions = run.decisions, []
        await self._store.finish_attempt(command.command_id, ended, decisions)

    # fleet.AgentListener

    def agent_connected(self, agent_id: str) -> None:
        """See `AgentListener.agent_connected`."""
        self.settlement.reconciler.agent_connected(agent_id)
        self._take_up(agent_id)

    def agent_started(self, agent_id: str, command_id: str) -> None:
        """See `AgentListener.agent_started`."""
        run = self._runs.get(command_id)
        if run is None or run.record.agent_id != agent_id or run.record.state is not CommandState.DISPATCHED:
            return
        run.record.state = CommandState.RUNNING
        if not self._begun:
            self._clock.call_at(self._clock.now() + _SHOWN_RUNNING_AFTER_SECONDS, self._show_running)
        self._begun[command_id] = None

    def agent_told(self, agent_id: str, result: LedgerResult) -> None:
        """See `AgentListener.agent_told`."""
        run = self._runs.get(result.command_id)
        if run is not None and run.record.agent_id == agent_id and run.end(result.outcome):
            return
        if self._tasks is not None:
            self._tasks.create_task(self._take(agent_id, result), name=f"result {result.command_id}")

    def agent_lost_ledger(self, agent_id: str, lost: Mapping[str, int], reason: str) -> None:
        """See `AgentListener.agent_lost_ledger`."""
        text = (
            f"the agent can't say any more what became of it: {reason}; look at the host before you repeat it"
        )
        word = Outcome(CommandErrorCode.OUTCOME_UNKNOWN, text, source=Source.LEDGER)
        for command_id, sequence in lost.items():
            run = self._runs.get(command_id)
            if run is not None:
                run.end(word)
            self.backlog.remove(agent_id, command_id)
            self.settlement.reconciler.remove(agent_id, command_id)
            self.settlement.watermarks.settle(agent_id, sequence)

    # How

    async def _admit(self, record: CommandRecord, caller: Caller) -> CommandRecord | Exception:
        operation = OPERATIONS[record.operation]
        agent_id, fresh = record.agent_id, not record.state.final
        prepared = self._prepare(record) if fresh else None
        try:
            kept = await self._store.accept(record, sequenced=fresh and operation.changes, caller=caller)
        except (IdempotencyConflict, StoreFull) as refusal:
            return refusal  # raised here it would end all tasks of the group
        if kept.command_id != record.command_id:
            return kept
        self._bus.publish(Notice("accepted", kept.agent_id, kept.command_id, command_document(kept)))
        if not fresh:
            return kept
        if self._fleet.pace is not None:
            self._fleet.pace.asked(self._clock.now())
        self.settlement.watermarks.open(agent_id, kept.sequence)
        if self.backlog.waiting(agent_id) or agent_id in self._taking_up:
            # What was open before goes first, so that the order of a container's commands holds.
            taking_up = self._take_up(agent_id)
            if taking_up is not None:
                await asyncio.wait((taking_up,))
        if kept.command_id not in self._runs:
            self._start(kept, prepared)
            # What becomes of it from now on isn't durable yet, so whoever asked doesn't see it.
            return msgspec.structs.replace(kept, attempts=list(map(msgspec.structs.replace, kept.attempts)))
        return kept

    def _prepare(self, record: CommandRecord) -> str | None:
        """If its agent is there, put its first attempt on record together with the command: one write for both."""
        agent_id, guard = record.agent_id, self._driver.guards.get(record.agent_id)
        if (
            not self._fleet.is_connected(agent_id)
            or (guard is not None and not guard.closed)
            or self.backlog.waiting(agent_id)
            or agent_id in self._taking_up
        ):
            return None
        correlation_id = self._driver.new_correlation_id()
        record.attempts = [AttemptRecord(1, correlation_id, self._clock.wall())]
        record.state = CommandState.DISPATCHED
        return correlation_id

    def _start(self, record: CommandRecord, prepared: str | None = None) -> None:
        """Drive this command, in a task of its own."""
        if self._tasks is None:
            return  # stopping: it stays open in the store
        operation = OPERATIONS.get(record.operation)
        earlier = 0 if prepared is not None else len(record.attempts)
        in_doubt = earlier > 0 and (operation is None or operation.changes)
        command = command_of(record, operation, self._clock, self.policies)
        policy = policy_of(record, operation, self.policies)
        dispatch = Dispatch(command, policy, attempts=earlier, in_doubt=in_doubt, gate=self.gate)
        key = key_of(record, operation) if operation is not None else None
        place = self._turns.join(key) if key is not None else None
        run = Run(record, dispatch, place, self.backlog.hand_over(record.command_id))
        run.prepared = prepared
        self._runs[record.command_id] = run
        self._open_by_agent[record.agent_id] = self._open_by_agent.get(record.agent_id, 0) + 1
        run.task = self._tasks.create_task(self._run(run), name=f"command {record.command_id}")

    async def _run(self, run: Run) -> None:
        record, run.begun = run.record, True
        try:
            run.result.set_result(await self._end(run))
        finally:
            run.result.cancel()
            if run.place is not None:
                run.place.leave()
            del self._runs[record.command_id]
            left = self._open_by_agent[record.agent_id] - 1
            if left:
                self._open_by_agent[record.agent_id] = left
            else:
                del self._open_by_agent[record.agent_id]

    async def _end(self, run: Run) -> CommandRecord:
        record = run.record
        try:
            result = await self._result(run)
        except CommandOver:
            # Its ledger was lost, or told how it had ended, while it was on its way.
            run.concluding = True
            return await self.settlement.concluded(record)
        run.concluding = True
        self._begun.pop(record.command_id, None)
        return await self.settlement.conclude(record, result, run.decisions, self.last_known_for(record))

    async def _result(self, run: Run) -> CommandResult:
        word = run.word
        if word is None:
            try:
                if run.place is not None and not run.place.ready.done():
                    await wait_for_turn(run.place, run.dispatch.command.deadline, self._clock)
                result = await self._driver.drive(run.dispatch)
            except asyncio.CancelledError:
                word = run.word
                if word is None:
                    raise
                task = asyncio.current_task()
                if task is not None:
                    task.uncancel()
        if word is not None:
            now = self._clock.now()
            result = run.dispatch.end(word, now)
            self._driver.emit(CommandFinished(now, run.dispatch.command, result))
        if run.prepared is not None:
            # It was to be sent at once, and wasn't.
            code = result.error_code or CommandErrorCode.UNKNOWN_ERROR
            outcome = Outcome(code, result.error, circumstance=Circumstance.NOT_SENT)
            run.end_attempt(outcome, self._clock.wall())
        elif run.attempt is not None and run.word is not None:
            run.end_attempt(run.word, self._clock.wall())
        return result

    def last_known_for(self, record: CommandRecord) -> LastKnown | None:
        """Where to look for an older answer, if its operation's policy has it answered with one."""
        operation = OPERATIONS.get(record.operation)
        if operation is None or operation.changes:
            return None
        return self._last_known if self.policies.of(operation).fallback is Fallback.STALE else None

    def _decided(self, event: Event) -> None:
        """Keep what was decided about a command, to be written with what follows."""
        if isinstance(event, RetryScheduled | CommandParked | SlotAwaited):
            run = self._runs.get(event.command.command_id)
            if run is not None:
                run.decisions.append(decision_of(event, self._clock))

    def _take_up(self, agent_id: str) -> asyncio.Task[None] | None:
        """Start what was left open for an agent; the task that does, if there is anything to do."""
        if self.backlog.take(agent_id) and self._tasks is not None:
            work = self._start_open(agent_id)
            self._taking_up[agent_id] = self._tasks.create_task(work, name=f"take up {agent_id}")
        return self._taking_up.get(agent_id)

    async def _start_open(self, agent_id: str) -> None:
        try:
            for record in await self._store.open_commands(agent_id):
                if record.command_id not in self._runs:
                    self._start(record)
        finally:
            del self._taking_up[agent_id]

    async def _called_up(self, command_id: str) -> Run | None:
        """Drive a command that waits in the backlog for its agent, without waiting any longer."""
        record = await self._store.command(command_id)
        if record is not None and self.backlog.remove(record.agent_id, command_id):
            self._start(record)
        return self._runs.get(command_id)

    def _due(self, command_ids: list[str]) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._expire(command_ids), name="expire")

    async def _expire(self, command_ids: list[str]) -> None:
        """Conclude what has waited for its agent until its time had come, some at a time."""
        for first in range(0, len(command_ids), _EXPIRING_AT_ONCE):
            results: list[asyncio.Future[CommandRecord]] = []
            for command_id in command_ids[first : first + _EXPIRING_AT_ONCE]:
                record = await self._store.command(command_id)
                if record is not None and not record.state.final and command_id not in self._runs:
                    results.append(self.backlog.result(command_id))
                    self._start(record)
            if results:
                await asyncio.wait(results)

    def _show_running(self) -> None:
        """Write down what has been running for a moment; what is done by now needn't be shown."""
        begun, self._begun = self._begun, {}
        if begun and self._tasks is not None:
            self._tasks.create_task(self._store.running(list(begun)), name="show running")

    async def _take(self, agent_id: str, result: LedgerResult) -> None:
        run, taking_up = self._runs.get(result.command_id), self._taking_up.get(agent_id)
        if run is None and taking_up is not None:
            # It may be among those that are about to start, from a record that knows nothing of its end.
            await asyncio.wait((taking_up,))
            run = self._runs.get(result.command_id)
        if run is not None:
            if run.record.agent_id == agent_id and run.end(result.outcome):
                return
            await asyncio.wait((run.result,))
        self.backlog.remove(agent_id, result.command_id)
        kept = await self.settlement.take(agent_id, result)
        if kept is not None and kept.state.final:
            self.backlog.hand_over(kept.command_id).set_result(kept)
