"""A command on its way: what the dispatcher keeps of it, and how a record becomes a command for the core."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from seawall.clock import Clock, moment_of
from seawall.core.command import Attempt, Command, Outcome
from seawall.core.dispatch import Dispatch
from seawall.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from seawall.engine.policies import Policies
from seawall.engine.records import CommandRecord, DecisionRecord
from seawall.operations.operation import Operation
from seawall.turns import Place


class Run:
    """See the module's text.

    `place` is its place among the changes of one container; `prepared` the correlation id of an attempt that is on
    record and not started yet; `word` what ended it from outside; `decisions` those that aren't written yet.
    """

    __slots__ = (
        "attempt",
        "begun",
        "concluding",
        "decisions",
        "dispatch",
        "place",
        "prepared",
        "record",
        "result",
        "task",
        "word",
    )

    def __init__(
        self,
        record: CommandRecord,
        dispatch: Dispatch,
        place: Place | None,
        result: asyncio.Future[CommandRecord],
    ) -> None:
        self.record = record
        self.dispatch = dispatch
        self.place = place
        self.prepared: str | None = None
        self.attempt: Attempt | None = None
        self.word: Outcome | None = None
        self.begun = False
        self.concluding = False
        self.decisions: list[DecisionRecord] = []
        self.result = result
        self.task: asyncio.Task[None] | None = None

    def end(self, word: Outcome) -> bool:
        """Stop driving it: this is how it ended. False if it is ending already."""
        if self.concluding or self.word is not None:
            return False
        self.word = word
        if self.begun and self.task is not None:  # one that hasn't begun would never come to an end
            self.task.cancel()
        return True

    def end_attempt(self, outcome: Outcome, now: datetime) -> None:
        """Note how its latest attempt ended."""
        attempt = self.record.attempts[-1]
        attempt.finished_at = now
        attempt.error_code = outcome.code.value if outcome.code is not None else None
        attempt.circumstance = outcome.circumstance.value
        attempt.error = outcome.error


def key_of(record: CommandRecord, operation: Operation) -> str | None:
    """Whose order a command keeps: that of the changes of one container or project, as it was named."""
    turn = operation.turn(record.arguments)
    return f"{record.agent_id}/{turn}" if turn is not None else None


def policy_of(record: CommandRecord, operation: Operation | None, policies: Policies) -> RetryPolicy:
    """How often and when it is tried again."""
    policy = DEFAULT_RETRY_POLICY if operation is None else policies.of(operation).retry
    return msgspec.structs.replace(policy, max_attempts=record.max_attempts)


def command_of(
    record: CommandRecord, operation: Operation | None, clock: Clock, policies: Policies
) -> Command:
    """The command as the core takes it; of an operation that only a newer version knows, with all caution."""
    command = Command(
        record.command_id,
        record.operation,
        record.agent_id,
        record.arguments,
        timeout_seconds=record.timeout_seconds,
        deadline=moment_of(clock, record.deadline_at),
        waits_for_agent=record.queue,
        sequence=record.sequence,
    )
    if operation is None:
        return command
    return msgspec.structs.replace(
        command,
        safety=operation.safety,
        touches_docker=operation.touches_docker,
        touches_registry=operation.touches_registry,
        lane=policies.of(operation).lane,
    )


async def wait_for_turn(place: Place, deadline: float, clock: Clock) -> None:
    """Wait for those who change the same container, at most until the deadline: then nothing is sent any more."""
    timer = clock.call_at(deadline, place.wake)
    try:
        await place.ready
    finally:
        timer.cancel()
