"""Commands and their attempts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import (
    bindparam,
    case,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)

from seawall.core.command import CommandState
from seawall.engine.audit import CONTROLLER, Caller
from seawall.engine.records import AttemptRecord, CommandRecord, DecisionRecord, Unsettled
from seawall.engine.store import CommandOver, IdempotencyConflict, StoreFull
from seawall.storage.command_list import ALL_ATTEMPTS, ALL_COMMANDS, IN_ORDER, Wanted, listing
from seawall.storage.command_rows import (
    AttemptRow,
    CommandRow,
    DecisionRow,
    UnsettledRow,
    arguments_left,
    attempt_end_of,
    attempt_row,
    command_row,
    decision_row,
    end_of,
    to_attempt,
    to_command,
    to_decision,
    to_unsettled,
)
from seawall.storage.entries import accepted, dispatched, finished, imported, settled
from seawall.storage.schema import (
    agents,
    attempts,
    command_is_open,
    command_is_unsettled,
    commands,
    decisions,
)
from seawall.storage.statements import (
    Connection,
    Database,
    Row,
    Statement,
    columns,
)

_this_command = commands.c.command_id == bindparam("id")
_this_attempt = (attempts.c.command_id == bindparam("id"), attempts.c.number == bindparam("nth"))

_ADD_COMMAND = Statement(insert(commands), CommandRow._fields)
_ADD_ATTEMPT = Statement(insert(attempts), AttemptRow._fields)
_DISPATCHED = Statement(update(commands).where(_this_command, command_is_open), ["state"])
_ADD_DECISION = Statement(insert(decisions), DecisionRow._fields)
_DECISIONS = Statement(
    select(*columns(decisions, DecisionRow))
    .where(decisions.c.command_id == bindparam("id"))
    .order_by(decisions.c.sequence)
)
_END_ATTEMPT = Statement(
    update(attempts).where(*_this_attempt), ["finished_at", "error_code", "circumstance", "error"]
)
_NEXT_SEQUENCE = Statement(
    update(agents)
    .where(agents.c.agent_id == bindparam("id"))
    .values(last_sequence=agents.c.last_sequence + literal_column("1"))
    .returning(agents.c.last_sequence)
)
_END = [
    "state",
    "error_code",
    "error",
    "response",
    "total_attempts",
    "duration_seconds",
    "finished_at",
    "retry_after_seconds",
    "settled",
    "recorded",
    "evidence",
    "stopped_by",
    "fallback",
]
_FINISH = Statement(
    update(commands)
    .where(_this_command, command_is_open)
    .values(
        idempotency_key=case(
            (bindparam("keep_key") == literal_column("1"), commands.c.idempotency_key), else_=null()
        )
    ),
    _END,
)
_SETTLE = Statement(
    update(commands).where(
        _this_command, commands.c.state == literal_column(f"'{CommandState.UNKNOWN.value}'")
    ),
    [*_END, "resolved_by", "resolution"],
)
_FORGET_SECRETS = Statement(update(commands).where(_this_command), ["arguments"])
_RUNNING = Statement(
    update(commands)
    .where(_this_command, commands.c.state == literal_column(f"'{CommandState.DISPATCHED.value}'"))
    .values(begun=true()),
    ["state"],
)
_COMMAND = Statement(ALL_COMMANDS.where(_this_command))
_COMMAND_BY_KEY = Statement(ALL_COMMANDS.where(commands.c.idempotency_key == bindparam("key")))
_ATTEMPTS = Statement(ALL_ATTEMPTS.where(attempts.c.command_id == bindparam("id")))
_UNSETTLED = Statement(
    select(*columns(commands, UnsettledRow))
    .where(command_is_unsettled)
    .order_by(commands.c.agent_id, commands.c.agent_sequence, commands.c.sequence)
)
_open_here = (command_is_unsettled, command_is_open, commands.c.agent_id == bindparam("agent"))
_OPEN_COMMANDS = Statement(ALL_COMMANDS.where(*_open_here).order_by(IN_ORDER))
_OPEN_ATTEMPTS = Statement(
    ALL_ATTEMPTS.where(attempts.c.command_id.in_(select(commands.c.command_id).where(*_open_here)))
)


class CommandTables(Database):
    """`engine.store.CommandStore`."""

    async def accept(
        self, record: CommandRecord, *, sequenced: bool = False, caller: Caller = CONTROLLER
    ) -> CommandRecord:
        """See `CommandStore.accept`. Raises LookupError for a sequence of an agent that isn't known."""
        row = command_row(record)
        beginnings = [attempt_row(record.command_id, attempt) for attempt in record.attempts]
        entry = accepted(record, caller)
        has_room = self.has_room()

        def job(connection: Connection) -> CommandRecord:
            earlier = _by_key(connection, record.idempotency_key)
            if earlier is None and not has_room:
                raise StoreFull(
                    "the disk of the controller's data directory is almost full, so nothing more is accepted; "
                    "free some space, then try again. What was accepted goes on"
                )
            if earlier is None:
                if sequenced:
                    record.sequence = row["agent_sequence"] = _next_sequence(connection, record.agent_id)
                connection.execute(_ADD_COMMAND, row)
                for beginning in beginnings:
                    connection.execute(_ADD_ATTEMPT, beginning)
                connection.note(entry)
                return record
            if earlier.fingerprint != row["fingerprint"]:
                raise IdempotencyConflict(earlier.command_id)
            return earlier

        return await self.write(job)

    async def command_by_key(self, idempotency_key: str) -> CommandRecord | None:
        """See `CommandStore.command_by_key`."""
        return await self.read(partial(_by_key, key=idempotency_key))

    async def start_attempt(self, command_id: str, attempt: AttemptRecord) -> None:
        """See `CommandStore.start_attempt`."""
        row = attempt_row(command_id, attempt)

        def job(connection: Connection) -> None:
            state = {"id": command_id, "state": CommandState.DISPATCHED.value}
            if connection.execute(_DISPATCHED, state).rowcount != 1:
                raise CommandOver(f"command {command_id} isn't known or is over: no attempt of it can start")
            connection.execute(_ADD_ATTEMPT, row)
            connection.note(dispatched(command_id, attempt))

        await self.write(job)

    async def finish_attempt(
        self, command_id: str, attempt: AttemptRecord | None, decisions: Sequence[DecisionRecord] = ()
    ) -> None:
        """See `CommandStore.finish_attempt`. Raises LookupError for an attempt that never started."""
        end = attempt_end_of(command_id, attempt) if attempt is not None else None
        decided = [decision_row(command_id, decision) for decision in decisions]

        def job(connection: Connection) -> None:
            if end is not None and connection.execute(_END_ATTEMPT, end).rowcount != 1:
                raise LookupError(f"attempt {end['nth']} of command {command_id} never started")
            _add_decisions(connection, decided)

        await self.write(job)

    async def running(self, command_ids: Sequence[str]) -> None:
        """See `CommandStore.running`."""
        rows = [{"id": command_id, "state": CommandState.RUNNING.value} for command_id in command_ids]

        def job(connection: Connection) -> None:
            for row in rows:
                connection.execute(_RUNNING, row)

        await self.write(job)

    async def finish(self, record: CommandRecord, decisions: Sequence[DecisionRecord] = ()) -> bool:
        """See `CommandStore.finish`. Raises LookupError for a command that isn't known."""
        command_id = record.command_id
        end, left = end_of(record), arguments_left(record)
        last = record.attempts[-1] if record.attempts else None
        attempt_end = attempt_end_of(command_id, last) if last is not None else None
        decided = [decision_row(command_id, decision) for decision in decisions]
        entry = finished(record)

        def job(connection: Connection) -> bool:
            if connection.execute(_FINISH, end).rowcount == 1:
                if attempt_end is not None:
                    connection.execute(_END_ATTEMPT, attempt_end)
                if left is not None:
                    connection.execute(_FORGET_SECRETS, left)
                _add_decisions(connection, decided)
                connection.note(entry)
                return True
            if connection.execute(_COMMAND, {"id": command_id}).fetchone() is None:
                raise LookupError(f"command {command_id} isn't known")
            return False

        return await self.write(job)

    async def settle(
        self,
        record: CommandRecord,
        decisions: Sequence[DecisionRecord] = (),
        *,
        caller: Caller | None = None,
    ) -> bool:
        """See `CommandStore.settle`."""
        end = end_of(record) | {"resolved_by": record.resolved_by, "resolution": record.resolution}
        left = arguments_left(record)
        decided = [decision_row(record.command_id, decision) for decision in decisions]
        now = decisions[-1].at if decisions else record.finished_at or record.accepted_at
        entry = settled(record, now, caller)

        def job(connection: Connection) -> bool:
            if connection.execute(_SETTLE, end).rowcount != 1:
                return False
            if left is not None:
                connection.execute(_FORGET_SECRETS, left)
            _add_decisions(connection, decided)
            connection.note(entry)
            return True

        return await self.write(job)

    async def decisions(self, command_id: str) -> list[DecisionRecord]:
        """See `CommandStore.decisions`."""

        def job(connection: Connection) -> list[DecisionRecord]:
            return [to_decision(row) for row in connection.execute(_DECISIONS, {"id": command_id}).fetchall()]

        return await self.read(job)

    async def adopt(self, record: CommandRecord) -> bool:
        """See `CommandStore.adopt`."""
        row = command_row(record)

        def job(connection: Connection) -> bool:
            if connection.execute(_COMMAND, {"id": record.command_id}).fetchone() is not None:
                return False
            connection.execute(_ADD_COMMAND, row)
            connection.note(imported(record))
            return True

        return await self.write(job)

    async def command(self, command_id: str) -> CommandRecord | None:
        """See `CommandStore.command`."""

        def job(connection: Connection) -> CommandRecord | None:
            row = connection.execute(_COMMAND, {"id": command_id}).fetchone()
            return None if row is None else _with_attempts(connection, row)

        return await self.read(job)

    async def commands(
        self,
        *,
        agent_id: str | None = None,
        states: Sequence[CommandState] = (),
        operation: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[CommandRecord]:
        """See `CommandStore.commands`."""
        chosen = sorted({state.value for state in states})
        wanted = Wanted.of(agent_id, states, operation, before)
        parameters: dict[str, object] = {
            "agent": agent_id,
            "kind": operation,
            "last": before,
            "most": max(0, limit),
            **{f"state_{index}": state for index, state in enumerate(chosen)},
        }
        return await self.read(partial(_list, *listing(wanted), parameters))

    async def unsettled(self) -> list[Unsettled]:
        """See `CommandStore.unsettled`."""

        def job(connection: Connection) -> list[Unsettled]:
            return [to_unsettled(row) for row in connection.execute(_UNSETTLED, {}).fetchall()]

        return await self.read(job)

    async def open_commands(self, agent_id: str) -> list[CommandRecord]:
        """See `CommandStore.open_commands`."""
        return await self.read(partial(_list, _OPEN_COMMANDS, _OPEN_ATTEMPTS, {"agent": agent_id}))


def _list(
    which: Statement, whose_attempts: Statement, parameters: dict[str, object], connection: Connection
) -> list[CommandRecord]:
    records = [to_command(row) for row in connection.execute(which, parameters).fetchall()]
    by_id = {record.command_id: record for record in records}
    for row in connection.execute(whose_attempts, parameters).fetchall():
        attempt = AttemptRow._make(row)
        by_id[attempt.command_id].attempts.append(to_attempt(attempt))
    return records


def _by_key(connection: Connection, key: str | None) -> CommandRecord | None:
    if key is None:
        return None
    row = connection.execute(_COMMAND_BY_KEY, {"key": key}).fetchone()
    return None if row is None else _with_attempts(connection, row)


def _with_attempts(connection: Connection, row: Row) -> CommandRecord:
    record = to_command(row)
    found = connection.execute(_ATTEMPTS, {"id": record.command_id}).fetchall()
    record.attempts = [to_attempt(AttemptRow._make(attempt)) for attempt in found]
    return record


def _add_decisions(connection: Connection, decided: Sequence[dict[str, object]]) -> None:
    for decision in decided:
        connection.execute(_ADD_DECISION, decision)


def _next_sequence(connection: Connection, agent_id: str) -> int:
    row = connection.execute(_NEXT_SEQUENCE, {"id": agent_id}).fetchall()
    if not row:
        raise LookupError(f"agent {agent_id} isn't known: its commands can't be counted")
    return int(str(row[0][0]))
