"""The one loop that performs the steps of a command's life, and gives back every permit it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seawall.clock import Clock
from seawall.core.bulkhead import Bulkhead
from seawall.core.command import Attempt, Command, CommandResult, Outcome
from seawall.core.dispatch import Dispatch, Finish, Park, Send
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import (
    AttemptFinished,
    AttemptStarted,
    CommandFinished,
    CommandParked,
    Event,
    RetryScheduled,
    SlotAwaited,
)
from seawall.core.guard import Guard, Guards, Refused
from seawall.engine.ports import Journal, Link, Subscriber
from seawall.engine.slots import Slot, hand_over, wait_for_slot

__all__ = ["Driver", "Slot"]

# What holds while an attempt is under way, should its task be cancelled: neutral for the circuits.
_CANCELLED = Outcome(CommandErrorCode.CANCELLED, "the command was cancelled", circumstance=Circumstance.HEARD)
_LEASE_MARGIN_SECONDS = 5.0


class Driver:
    """Everything that driving a command needs; one for all commands of a process."""

    def __init__(
        self,
        link: Link,
        guards: Guards[Slot],
        clock: Clock,
        new_correlation_id: Callable[[], str],
        subscribers: Sequence[Subscriber] = (),
        journal: Journal | None = None,
    ) -> None:
        self.guards = guards
        self.clock = clock
        self.subscribers = list(subscribers)
        self._link = link
        self.new_correlation_id = new_correlation_id
        self.journal = journal

    def emit(self, event: Event) -> None:
        """Tell every subscriber."""
        for subscriber in self.subscribers:
            subscriber(event)

    async def drive(self, dispatch: Dispatch) -> CommandResult:
        """Take a command from its first step to its result."""
        clock, command = self.clock, dispatch.command
        now = clock.now()
        step = dispatch.start(now)
        while not isinstance(step, Finish):
            if isinstance(step, Send):
                outcome = await self._attempt(command, step, now)
                now = clock.now()
                step = dispatch.on_outcome(outcome, now, clock.dice)
                continue
            if isinstance(step, Park):
                self.emit(CommandParked(now, command, step.until))
                await self._note_wait(command)
                await self._link.connected(command.agent_id, step.until)
            else:
                waits = RetryScheduled(
                    now, command, dispatch.attempts, dispatch.max_attempts, step.until - now, step.outcome
                )
                self.emit(waits)
                await self._note_wait(command)
                await clock.sleep_until(step.until)
            now = clock.now()
            step = dispatch.on_wake(now)
        self.emit(CommandFinished(now, command, step.result))
        return step.result

    async def _note_wait(self, command: Command) -> None:
        if self.journal is not None:
            await self.journal.waiting(command)

    async def _attempt(self, command: Command, step: Send, now: float) -> Outcome:
        guard, plane, lane = self.guards.of(command.agent_id), self.guards.plane, command.lane
        try:
            if not (guard.quiet or guard.closed):
                refused = self._refused(guard, command, now)
                if refused is not None:
                    return _circuit_open(command, refused)
            if not self._link.is_connected(command.agent_id):
                return _not_connected(command)
            if not guard.bulkhead.enter(lane):
                got = await wait_for_slot(guard.bulkhead, lane, step.timeout_seconds, self.clock)
                asked, now = now, self.clock.now()
                self.emit(SlotAwaited(now, command, now - asked, got))
                if not got:
                    return _bulkhead_full(command, guard.bulkhead)
            try:
                if plane is None:
                    return await self._exchange(guard, command, step, now)
                return await self._exchange_in_plane(plane, guard, command, step, now)
            finally:
                if guard.bulkhead.leave(lane):
                    guard.bulkhead.took(lane, self.clock.now() - now)
                    hand_over(guard.bulkhead)
        finally:
            self.guards.tidy(guard, self.clock.now())

    async def _exchange_in_plane(
        self, plane: Bulkhead[Slot], guard: Guard[Slot], command: Command, step: Send, now: float
    ) -> Outcome:
        lane = command.lane
        if not plane.enter(lane):
            timeout_seconds = min(step.timeout_seconds, command.deadline - now)
            if not await wait_for_slot(plane, lane, timeout_seconds, self.clock):
                return _plane_full(command, plane)
            now = self.clock.now()
        try:
            return await self._exchange(guard, command, step, now)
        finally:
            if plane.leave(lane):
                plane.took(lane, self.clock.now() - now)
                hand_over(plane)

    async def _exchange(self, guard: Guard[Slot], command: Command, step: Send, started_at: float) -> Outcome:
        # A wait for the slot has used up time: the attempt may take what is left until the deadline.
        timeout_seconds = min(step.timeout_seconds, command.deadline - started_at)
        if timeout_seconds <= 0:
            return _bulkhead_full(command, guard.bulkhead)
        permits = guard.acquire(command, started_at, timeout_seconds + _LEASE_MARGIN_SECONDS)
        if isinstance(permits, Refused):
            return _circuit_open(command, permits)
        journal = self.journal
        prepared = journal.prepared(command) if journal is not None else None
        attempt = Attempt(step.number, prepared or self.new_correlation_id(), timeout_seconds)
        outcome = _CANCELLED
        try:
            self.emit(AttemptStarted(started_at, command, attempt))
            if journal is not None:
                await journal.attempt_started(command, attempt)
            outcome = await self._link.exchange(command, attempt)
        finally:
            now = self.clock.now()
            changes = guard.record(permits, outcome, now, self.clock.dice)
            self.emit(AttemptFinished(now, command, attempt, outcome, now - started_at))
            for change in changes:
                self.emit(change)
        if journal is not None:
            journal.attempt_finished(command, attempt, outcome)
        return outcome

    def _refused(self, guard: Guard[Slot], command: Command, now: float) -> Refused | None:
        for change in guard.wake(now):
            self.emit(change)
        return guard.refusal(command, now)


def _circuit_open(command: Command, refused: Refused) -> Outcome:
    return Outcome(
        CommandErrorCode.CIRCUIT_OPEN,
        f"Circuit open for agent {command.agent_id} ({refused.domain.value}): nothing was sent; "
        f"it is tried again in {refused.retry_after_seconds:.1f} s",
        retry_after_seconds=refused.retry_after_seconds,
    )


def _not_connected(command: Command) -> Outcome:
    return Outcome(
        CommandErrorCode.AGENT_NOT_CONNECTED,
        f"Agent {command.agent_id} is not connected: nothing was sent. Look at the host, or at its agent's log",
        circumstance=Circumstance.NOT_SENT,
    )


def _bulkhead_full(command: Command, bulkhead: Bulkhead[Slot]) -> Outcome:
    return Outcome(
        CommandErrorCode.BULKHEAD_FULL,
        f"Agent {command.agent_id} has {bulkhead.in_flight} commands under way and {bulkhead.waiting} waiting: "
        "nothing was sent; try again when some of them are done",
        retry_after_seconds=bulkhead.retry_after_seconds(command.lane),
    )


def _plane_full(command: Command, plane: Bulkhead[Slot]) -> Outcome:
    return Outcome(
        CommandErrorCode.BULKHEAD_FULL,
        f"All agents together have {plane.in_flight} commands under way and {plane.waiting} waiting: "
        f"nothing was sent to agent {command.agent_id}; try again when some of them are done",
        retry_after_seconds=plane.retry_after_seconds(command.lane),
    )
