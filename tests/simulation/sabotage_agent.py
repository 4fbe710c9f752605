"""Defects of an agent, each a small change of one real part."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import msgspec

from seawall.agent.answers import unpack_outcome
from seawall.agent.ledger import Entry, Ledger, State
from seawall.agent.link import AgentLink
from seawall.agent.operations.registry import VERIFIERS
from seawall.agent.session import AgentSession, End
from seawall.core.errors import CommandErrorCode
from seawall.turns import Place, Turns
from seawall.wire.messages import Execute, FromController
from tests.simulation.clock import SimulatedClock
from tests.simulation.host import Agent, WatchedWorker

_LATE_SECONDS = 3.0


class _LateLedger(Ledger):
    """Rows of some kinds reach the disk only some time after they were said to be there."""

    late: frozenset[State]

    async def _put(self, entry: Entry) -> Entry:
        if entry.state not in self.late:
            return await super()._put(entry)
        self._entries[entry.sequence] = self._by_command[entry.command_id] = entry
        self._last_sequence = max(self._last_sequence, entry.sequence)
        asyncio.get_running_loop().call_later(_LATE_SECONDS, self._write_it, entry.command_id, entry.state)
        return entry

    def _write_it(self, command_id: str, state: State) -> None:
        entry = self._by_command.get(command_id)
        if entry is not None and entry.state is state:
            self._late_write = asyncio.ensure_future(super()._put(entry))


class StartedAfterTheEffect(_LateLedger):
    late = frozenset({State.STARTED})


class DoneAfterTheSend(_LateLedger):
    late = frozenset({State.DONE})


class RefusalsNotRecorded(Ledger):
    """What ends before it began leaves no row."""

    async def finish(
        self, sequence: int, command_id: str, operation: str, arguments: bytes, outcome: bytes
    ) -> Entry:
        code = unpack_outcome(outcome).code
        if code in (CommandErrorCode.CANCELLED, CommandErrorCode.DEADLINE_EXCEEDED):
            return Entry(sequence, command_id, operation, arguments, State.DONE, outcome=outcome)
        return await super().finish(sequence, command_id, operation, arguments, outcome)


class DuplicatesByTimeWindow(Ledger):
    """A command that ended some seconds ago is not remembered."""

    def entry(self, command_id: str) -> Entry | None:
        entry = super().entry(command_id)
        if entry is None or entry.state is not State.DONE or entry.finished_at is None:
            return entry
        finished = msgspec.convert(entry.finished_at, datetime)
        return None if (self._clock.wall() - finished).total_seconds() > _LATE_SECONDS else entry

    def at(self, sequence: int) -> Entry | None:
        entry = super().at(sequence)
        return None if entry is None else self.entry(entry.command_id)


class DuplicatesByLastIds(Ledger):
    """Only the last two commands are remembered, and none after a restart."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._recent: list[str] = []

    async def _put(self, entry: Entry) -> Entry:
        if entry.state is State.DONE:
            self._recent = [*self._recent, entry.command_id][-2:]
        return await super()._put(entry)

    def entry(self, command_id: str) -> Entry | None:
        entry = super().entry(command_id)
        forgotten = entry is not None and entry.state is State.DONE and command_id not in self._recent
        return None if forgotten else entry

    def at(self, sequence: int) -> Entry | None:
        entry = super().at(sequence)
        return None if entry is None else self.entry(entry.command_id)


class ForgetsBeforeTheAcknowledgement(Ledger):
    """A row goes as soon as its result is sent."""

    async def finish(
        self, sequence: int, command_id: str, operation: str, arguments: bytes, outcome: bytes
    ) -> Entry:
        entry = await super().finish(sequence, command_id, operation, arguments, outcome)
        del self._entries[sequence], self._by_command[command_id]
        self._forgotten.append(sequence)
        return entry


class WatermarkIgnored(Ledger):
    @property
    def watermark(self) -> int:
        return 0


class OutboxDroppedOnReconnect(WatchedWorker):
    def resend(self) -> None:
        ledger = self.ledger
        for entry in list(ledger.outbox()):
            del ledger._entries[entry.sequence], ledger._by_command[entry.command_id]
            ledger._forgotten.append(entry.sequence)


class AgeOfFramesIgnored(WatchedWorker):
    def execute(self, message: Execute, age_seconds: float = 0.0) -> None:
        super().execute(message, 0.0)


class _CarelessSession(AgentSession):
    def _obey(self, message: FromController) -> End | None:
        if isinstance(message, Execute):
            self._worker.execute(message)
            return None
        return super()._obey(message)


class CarelessLink(AgentLink):
    """Its sessions don't look at the epoch of an attempt."""

    async def _one_session(self, worker: Any) -> tuple[End, float]:
        socket = await self._dial()
        if isinstance(socket, End):
            return socket, 0.0
        facts = await self._describe()
        session = _CarelessSession(socket, self._identity, worker, self._clock, facts, self._instance)
        self._session = session
        try:
            return await session.run(), 0.0
        finally:
            self._session = None
            session.opened.cancel()
            await socket.close()


class WallBoundClock(SimulatedClock):
    """Deadlines by the time of day."""

    def now(self) -> float:
        return super().now() + self._wall.offset_seconds

    def call_at(self, when: float, callback: Any) -> Any:
        return super().call_at(when - self._wall.offset_seconds, callback)


class NoTurns(Turns):
    """Everybody is the first in a queue of their own."""

    def join(self, key: str) -> Place:
        self._joined = getattr(self, "_joined", 0) + 1
        return super().join(f"{key}#{self._joined}")

    def taken(self, key: str) -> bool:
        return False


def without_turns(agent: Agent) -> None:
    """Changes of one container may overlap."""
    assert agent.worker is not None
    changes: Any = agent.worker._changes
    changes._names = changes._ids = NoTurns()


def verifies_at_once(agent: Agent) -> None:
    """What is not seen at the first look has not happened."""
    assert agent.worker is not None
    verification: Any = agent.worker._changes._verification
    verification._verifiers = {
        name: msgspec.structs.replace(verifier, settle_seconds=lambda arguments, image: 0.0)
        for name, verifier in VERIFIERS.items()
    }
