"""Defects of a controller, each a small change of one real part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from seawall.core.command import Attempt, Command, CommandState, Outcome
from seawall.core.errors import CommandErrorCode
from seawall.engine.commands import CommandRequest, Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.fleet import AgentSession, LedgerResult
from seawall.engine.records import AgentRecord, CommandRecord, LedgerFacts, SessionGrant
from seawall.engine.settlement import Settlement
from seawall.engine.watermarks import Watermarks
from seawall.storage.statements import Connection, Result
from tests.simulation.history import SessionClosed
from tests.simulation.plane import Controller, WatchedFleet
from tests.simulation.sabotage_agent import NoTurns
from tests.simulation.store import SimulatedStore, Transaction


def with_settlement(kind: type[Settlement]) -> Callable[[Controller], object]:
    """Prepare a controller whose dispatcher concludes commands this way."""

    def prepare(controller: Controller) -> None:
        dispatcher: Any = controller.dispatcher
        old: Any = dispatcher.settlement
        dispatcher.settlement = kind(old._store, old._fleet, old._bus, old._clock, old._emit)

    return prepare


class AcknowledgesBeforeTheCommit(Settlement):
    async def take(self, agent_id: str, told: LedgerResult) -> None:
        self._acknowledge(agent_id, told.sequence)
        await super().take(agent_id, told)

    async def conclude(self, record: Any, result: Any, *more: Any) -> Any:
        self._acknowledge(record.agent_id, record.sequence)
        return await super().conclude(record, result, *more)


class _Conclusion(Settlement):
    """Another word for what isn't known."""

    word: CommandState

    async def conclude(self, record: Any, result: Any, *more: Any) -> Any:
        if result.state is CommandState.UNKNOWN and not result.settled:
            result = msgspec.structs.replace(result, state=self.word)
        return await super().conclude(record, result, *more)


class ExpiredByTheController(_Conclusion):
    word = CommandState.EXPIRED


class DoubtIsFailure(_Conclusion):
    word = CommandState.FAILED


class DoubtIsSuccess(_Conclusion):
    word = CommandState.SUCCEEDED


class _TooHigh(Watermarks):
    def up_to(self, agent_id: str) -> int:
        agent = self._agents.get(agent_id)
        return agent.last if agent is not None else 0


class WatermarkTooHigh(Settlement):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.watermarks = _TooHigh()


class NobodyAsks(Settlement):
    """An UNKNOWN is left alone."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        reconciler: Any = self.reconciler
        reconciler.add = lambda agent_id, command_id: None


class NewIdPerRetry(WatchedFleet):
    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        if attempt.number > 1:
            command_id = f"{command.command_id[:-2]}{attempt.number:02d}"
            sequence = command.sequence + 10_000 * attempt.number if command.sequence else 0
            command = msgspec.structs.replace(command, command_id=command_id, sequence=sequence)
        return await super().exchange(command, attempt)


class TeardownByAgentId(WatchedFleet):
    """Whatever session the agent has, it goes when one of its sockets ends."""

    def detach(self, session: AgentSession) -> bool:
        current = self.session(session.agent_id)
        if current is None or current.epoch == session.epoch:
            return super().detach(session)
        del self._sessions[session.agent_id]
        self.witness.tell(
            SessionClosed, agent=session.agent_id, epoch=current.epoch, socket_epoch=session.epoch
        )
        return True


class _Nobody(set[str]):
    def __contains__(self, item: object) -> bool:
        return False


class AnyAgentMayAnswer(Dispatcher):
    def agent_told(self, agent_id: str, result: LedgerResult) -> None:
        run: Any = self._runs.get(result.command_id)
        super().agent_told(run.record.agent_id if run is not None else agent_id, result)


def blind_to_owners(controller: Controller) -> None:
    """The gateway doesn't know whom an answer is awaited from."""
    controller.handshakes.under_way = _Nobody()


class CancelledWhateverRuns(Dispatcher):
    async def cancel(self, command_id: str, requested_by: str) -> bool:
        run: Any = self._runs.get(command_id)
        if run is None:
            return False
        run.end(Outcome(CommandErrorCode.CANCELLED, f"cancelled by {requested_by}"))
        return True


def without_order(controller: Controller) -> None:
    """Each command goes out when it likes."""
    dispatcher: Any = controller.dispatcher
    dispatcher._turns = NoTurns()


class KeysIgnored(Commands):
    async def accept(self, request: CommandRequest) -> CommandRecord:
        return await super().accept(msgspec.structs.replace(request, idempotency_key=None))


class ShowsBeforeTheCommit(Commands):
    async def wait(self, command_id: str, timeout_seconds: float) -> CommandRecord | None:
        dispatcher: Any = self._dispatcher
        run = dispatcher._runs.get(command_id)
        if run is not None and run.concluding:
            shown: CommandRecord = run.record
            return msgspec.structs.replace(shown, state=CommandState.SUCCEEDED)
        return await super().wait(command_id, timeout_seconds)


class AmnesiaUnnoticed(SimulatedStore):
    async def open_session(self, agent: AgentRecord, ledger: LedgerFacts, source: str = "") -> SessionGrant:
        def recorded(connection: Any) -> int:
            question = "SELECT coalesce(max(agent_sequence), 0) FROM commands WHERE agent_id = ? AND recorded"
            return int(connection._raw.execute(question, (agent.agent_id,)).fetchone()[0])

        last_sequence = max(ledger.last_sequence, await self.read(recorded))
        same = LedgerFacts("the ledger", 0, ledger.watermark, last_sequence)
        return await super().open_session(agent, same, source)

    async def prove_epoch(self, agent_id: str, epoch: int) -> None:
        pass


class AnswersBeforeTheFlush(SimulatedStore):
    """A write is answered at once, and flushed when it suits."""

    async def write(self, job: Callable[[Connection], Result]) -> Result:
        disk = self._handle._disk
        raw = disk.connection
        raw.execute("SAVEPOINT peek")
        try:
            answer = job(Transaction(raw))
        finally:
            raw.execute("ROLLBACK TO peek")
            raw.execute("RELEASE peek")
        self._late = self._handle._node.start(self._later(job))
        return answer

    async def _later(self, job: Callable[[Connection], Result]) -> None:
        try:
            await super().write(job)
        except Exception:  # noqa: BLE001 - nobody waits for it any more: that is the defect
            return


class FinalStatesMayChange(SimulatedStore):
    """The last writer wins."""

    async def finish(self, record: CommandRecord, *more: Any) -> Any:
        def reopen(connection: Any) -> None:
            connection._raw.execute(
                "UPDATE commands SET state = 'DISPATCHED' WHERE command_id = ?", (record.command_id,)
            )

        await self.write(reopen)
        return await super().finish(record, *more)
