"""How a command ends: written down, acknowledged to its agent, and, where it was UNKNOWN, settled later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from seawall.clock import Clock
from seawall.core.command import Command, CommandResult, CommandState, Outcome, Source
from seawall.core.dispatch import Dispatch
from seawall.core.events import CommandSettled
from seawall.engine.audit import Caller
from seawall.engine.fleet import Fleet, LedgerResult
from seawall.engine.last_known import LastKnown
from seawall.engine.notices import Bus, Notice
from seawall.engine.ports import Subscriber
from seawall.engine.reconciler import Reconciler
from seawall.engine.records import CommandRecord, DecisionRecord, command_document, moment_from
from seawall.engine.store import CommandStore
from seawall.engine.watermarks import Watermarks
from seawall.operations.registry import OPERATIONS

MIRROR = "mirror"
"""The kind of fallback that is a mirror of an image's registry."""

_IMPORTED = "(imported from the agent's ledger)"


class Settlement:
    """Nothing here is acknowledged before it is durable, and no state that is the last word ever changes."""

    def __init__(self, store: CommandStore, fleet: Fleet, bus: Bus, clock: Clock, emit: Subscriber) -> None:
        self._store = store
        self._fleet = fleet
        self._bus = bus
        self._clock = clock
        self._emit = emit
        self.watermarks = Watermarks()
        self.reconciler = Reconciler(store, fleet, clock, self.settle)
        self.foreign_results = 0
        """Results of commands that belong to another agent."""

    async def conclude(
        self,
        record: CommandRecord,
        result: CommandResult,
        decisions: Sequence[DecisionRecord] = (),
        last_known: LastKnown | None = None,
    ) -> CommandRecord:
        """A command has its result, and these decisions aren't written yet. Returns it as it is kept.

        With `last_known` a read that failed is answered with what was known last. It isn't this result if it was over
        already, lost with its agent's ledger or told by it.
        """
        apply_result(record, result, self._clock.wall())
        if last_known is not None:
            last_known.serve(record, result.circumstance)
        if not await self._store.finish(record, decisions):
            return await self.concluded(record)
        return self._concluded(record)

    async def concluded(self, record: CommandRecord) -> CommandRecord:
        """A command was over already, by another way than that of whoever has driven it. Returns it as it is kept."""
        return self._concluded(await self._store.command(record.command_id) or record)

    def _concluded(self, record: CommandRecord) -> CommandRecord:
        self._over(record)
        if record.state is CommandState.UNKNOWN and not record.settled:
            self.reconciler.add(record.agent_id, record.command_id)
        self._bus.publish(Notice("finished", record.agent_id, record.command_id, command_document(record)))
        return record

    async def settle(self, record: CommandRecord, outcome: Outcome) -> None:
        """The ledger has told what an UNKNOWN command was."""
        apply_outcome(record, outcome, self._clock.wall())
        await self._settled(record)

    async def resolve(
        self, record: CommandRecord, state: CommandState, by: str, reason: str, caller: Caller
    ) -> bool:
        """A person says what an UNKNOWN command was. False if it isn't UNKNOWN any more."""
        record.state, record.settled, record.resolved_by, record.resolution = state, True, by, reason
        return await self._settled(record, caller)

    async def take(self, agent_id: str, told: LedgerResult) -> CommandRecord | None:
        """A result came unasked. It is acknowledged once it is durable here, also if it was so already.

        The record as it is then; None for a command that was another's, or not known here.
        """
        record = await self._store.command(told.command_id)
        if record is not None and record.agent_id != agent_id:
            self.foreign_results += 1
            return None
        if record is not None and not record.state.final:
            record = await self.conclude(record, result_of(record, told.outcome, self._clock.now()))
        if record is None:
            await self._adopt(agent_id, told)
        elif not record.settled:
            await self.settle(record, told.outcome)
        self._acknowledge(agent_id, told.sequence)
        return record

    def _over(self, record: CommandRecord) -> None:
        if record.settled and record.sequence:
            self.watermarks.settle(record.agent_id, record.sequence)
            if record.recorded:
                self._acknowledge(record.agent_id, record.sequence)

    def _acknowledge(self, agent_id: str, sequence: int) -> None:
        session = self._fleet.session(agent_id)
        if session is not None:
            session.acknowledge(sequence, self.watermarks.up_to(agent_id))

    async def _settled(self, record: CommandRecord, caller: Caller | None = None) -> bool:
        said: dict[str, object] = {
            "state": record.state.value,
            "by": record.resolved_by,
            "reason": record.resolution,
        }
        decision = DecisionRecord(self._clock.wall(), "settled", said)
        if not await self._store.settle(record, [decision], caller=caller):
            return False
        self._over(record)
        self.reconciler.remove(record.agent_id, record.command_id)
        now, by = self._clock.now(), record.resolved_by
        self._emit(
            CommandSettled(now, record.command_id, record.agent_id, record.operation, record.state, by)
        )
        self._bus.publish(Notice("settled", record.agent_id, record.command_id, command_document(record)))
        return True

    async def _adopt(self, agent_id: str, told: LedgerResult) -> None:
        """Keep what only the agent knows: this controller was restored from an older backup."""
        agent, origin = self._fleet.find(agent_id), told.origin
        if agent is None or origin is None:
            return
        now = self._clock.wall()
        begun = moment_from(origin.started_at) or moment_from(origin.finished_at) or now
        record = CommandRecord(
            command_id=told.command_id,
            operation=origin.operation,
            agent_id=agent_id,
            agent=agent.name,
            arguments=origin.arguments,
            state=CommandState.UNKNOWN,
            accepted_at=begun,
            deadline_at=begun,
            timeout_seconds=0.0,
            max_attempts=1,
            requested_by=_IMPORTED,
            sequence=told.sequence,
        )
        apply_outcome(record, told.outcome, moment_from(origin.finished_at) or now)
        if await self._store.adopt(record):
            self._bus.publish(Notice("imported", agent_id, record.command_id, command_document(record)))


def stand_in(response: object) -> dict[str, object] | None:
    """What a host did in place of what it should, as its response says: another registry asked for an image."""
    told = response.get("fallback") if isinstance(response, dict) else None
    return told if isinstance(told, dict) and told.get("kind") == MIRROR else None


def result_of(record: CommandRecord, outcome: Outcome, now: float) -> CommandResult:
    """The result that an outcome makes of a command which nothing drives."""
    operation = OPERATIONS.get(record.operation)
    command = Command(record.command_id, record.operation, record.agent_id, {})
    if operation is not None:
        command = msgspec.structs.replace(command, safety=operation.safety)
    return Dispatch(command, None, attempts=len(record.attempts)).end(outcome, now)


def apply_outcome(record: CommandRecord, outcome: Outcome, finished_at: datetime) -> None:
    """Write the last word of a ledger into a record, which keeps when it ended and how long it took."""
    ended_at, duration = record.finished_at, record.duration_seconds
    apply_result(record, result_of(record, outcome, 0.0), finished_at)
    record.recorded = outcome.source is Source.LEDGER
    record.finished_at, record.duration_seconds = ended_at or finished_at, duration


def apply_result(record: CommandRecord, result: CommandResult, finished_at: datetime) -> None:
    """Write a command's result into its record."""
    record.state = result.state if result.state is not None else CommandState.UNKNOWN
    record.settled = result.settled or not record.sequence
    record.error_code = result.error_code.value if result.error_code is not None else None
    record.error = result.error
    record.response = result.response
    record.fallback = stand_in(result.response)
    record.evidence = result.evidence if record.state is CommandState.UNKNOWN else None
    record.total_attempts = len(record.attempts)
    record.duration_seconds = result.duration_seconds
    record.retry_after_seconds = result.retry_after_seconds
    record.finished_at = finished_at
    record.recorded = result.recorded
    record.stopped_by = result.stopped_by.value if result.stopped_by is not None else None
