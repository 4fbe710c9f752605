"""Commands and their attempts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

import msgspec
from sqlalchemy import Select, bindparam, case, insert, literal_column, null, select, update

from seawall.core.command import CommandState
from seawall.engine.records import AttemptRecord, CommandRecord
from seawall.engine.store import IdempotencyConflict, StoreFull
from seawall.storage.schema import attempts, command_is_open, commands
from seawall.storage.statements import (
    NO_OFFSET,
    Connection,
    Database,
    Row,
    Statement,
    columns,
    to_json,
    to_microseconds,
    to_moment,
    to_optional_json,
    to_optional_microseconds,
    to_optional_moment,
)


class _CommandRow(NamedTuple):
    command_id: str
    operation: str
    agent_id: str
    agent: str
    arguments: str
    state: str
    accepted_at: int
    deadline_at: int
    timeout_seconds: float
    max_attempts: int
    queue: bool
    requested_by: str
    idempotency_key: str | None
    fingerprint: str
    error_code: str | None
    error: str | None
    response: str | None
    total_attempts: int
    duration_seconds: float
    finished_at: int | None
    retry_after_seconds: float | None


class _AttemptRow(NamedTuple):
    command_id: str
    number: int
    correlation_id: str
    started_at: int
    finished_at: int | None
    error_code: str | None
    circumstance: str
    error: str | None


class _Filter(NamedTuple):
    """Which parameters a list of commands has; the statements for one are made once."""

    by_agent: bool
    states: int
    by_operation: bool
    before: bool


_commands = select(*columns(commands, _CommandRow))
_attempts = select(*columns(attempts, _AttemptRow)).order_by(attempts.c.command_id, attempts.c.number)
_this_command = commands.c.command_id == bindparam("id")
_this_attempt = (attempts.c.command_id == bindparam("id"), attempts.c.number == bindparam("nth"))

_ADD_COMMAND = Statement(insert(commands), _CommandRow._fields)
_ADD_ATTEMPT = Statement(insert(attempts), _AttemptRow._fields)
_DISPATCHED = Statement(update(commands).where(_this_command, command_is_open), ["state"])
_END_ATTEMPT = Statement(
    update(attempts).where(*_this_attempt), ["finished_at", "error_code", "circumstance", "error"]
)
_FINISH = Statement(
    update(commands)
    .where(_this_command, command_is_open)
    .values(
        idempotency_key=case(
            (bindparam("keep_key") == literal_column("1"), commands.c.idempotency_key), else_=null()
        )
    ),
    [
        "state",
        "error_code",
        "error",
        "response",
        "total_attempts",
        "duration_seconds",
        "finished_at",
        "retry_after_seconds",
    ],
)
_COMMAND = Statement(_commands.where(_this_command))
_COMMAND_BY_KEY = Statement(_commands.where(commands.c.idempotency_key == bindparam("key")))
_ATTEMPTS = Statement(_attempts.where(attempts.c.command_id == bindparam("id")))
_OPEN_COMMANDS = Statement(_commands.where(command_is_open).order_by(commands.c.sequence))
_OPEN_ATTEMPTS = Statement(
    _attempts.where(attempts.c.command_id.in_(select(commands.c.command_id).where(command_is_open)))
)


class CommandTables(Database):
    """`engine.store.CommandStore`."""

    async def accept(self, record: CommandRecord) -> CommandRecord:
        """See `CommandStore.accept`."""
        row = _command_parameters(record)
        beginnings = [_attempt_parameters(record.command_id, attempt) for attempt in record.attempts]
        has_room = self.has_room()

        def job(connection: Connection) -> CommandRecord:
            earlier = _by_key(connection, record.idempotency_key)
            if earlier is None and not has_room:
                raise StoreFull(
                    "the disk of the controller's data directory is almost full, so nothing more is accepted; "
                    "free some space, then try again. What was accepted goes on"
                )
            if earlier is None:
                connection.execute(_ADD_COMMAND, row)
                for beginning in beginnings:
                    connection.execute(_ADD_ATTEMPT, beginning)
                return record
            if earlier.fingerprint != row["fingerprint"]:
                raise IdempotencyConflict(earlier.command_id)
            return earlier

        return await self.write(job)

    async def command_by_key(self, idempotency_key: str) -> CommandRecord | None:
        """See `CommandStore.command_by_key`."""
        return await self.read(partial(_by_key, key=idempotency_key))

    async def start_attempt(self, command_id: str, attempt: AttemptRecord) -> None:
        """See `CommandStore.start_attempt`. Raises LookupError for a command that isn't known or is over."""
        row = _attempt_parameters(command_id, attempt)

        def job(connection: Connection) -> None:
            state = {"id": command_id, "state": CommandState.DISPATCHED.value}
            if connection.execute(_DISPATCHED, state).rowcount != 1:
                raise LookupError(f"command {command_id} isn't known or is over: no attempt of it can start")
            connection.execute(_ADD_ATTEMPT, row)

        await self.write(job)

    async def finish_attempt(self, command_id: str, attempt: AttemptRecord) -> None:
        """See `CommandStore.finish_attempt`. Raises LookupError for an attempt that never started."""
        end = {
            "id": command_id,
            "nth": attempt.number,
            "finished_at": to_optional_microseconds(attempt.finished_at),
            "error_code": attempt.error_code,
            "circumstance": attempt.circumstance,
            "error": attempt.error,
        }

        def job(connection: Connection) -> None:
            if connection.execute(_END_ATTEMPT, end).rowcount != 1:
                raise LookupError(f"attempt {attempt.number} of command {command_id} never started")

        await self.write(job)

    async def finish(self, record: CommandRecord) -> None:
        """See `CommandStore.finish`. Raises LookupError for a command that isn't known."""
        command_id = record.command_id
        end = {
            "id": command_id,
            "state": record.state.value,
            "error_code": record.error_code,
            "error": record.error,
            "response": to_optional_json(record.response),
            "total_attempts": record.total_attempts,
            "duration_seconds": record.duration_seconds,
            "finished_at": to_optional_microseconds(record.finished_at),
            "retry_after_seconds": record.retry_after_seconds,
            "keep_key": int(record.idempotency_key is not None),
        }

        def job(connection: Connection) -> None:
            if connection.execute(_FINISH, end).rowcount == 1:
                return
            if connection.execute(_COMMAND, {"id": command_id}).fetchone() is None:
                raise LookupError(f"command {command_id} isn't known")

        await self.write(job)

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
        wanted = _Filter(agent_id is not None, len(chosen), operation is not None, before is not None)
        parameters: dict[str, object] = {
            "agent": agent_id,
            "kind": operation,
            "last": before,
            "most": max(0, limit),
            **{f"state_{index}": state for index, state in enumerate(chosen)},
        }
        return await self.read(partial(_list, *_listing(wanted), parameters))

    async def open_commands(self) -> list[CommandRecord]:
        """See `CommandStore.open_commands`."""
        return await self.read(partial(_list, _OPEN_COMMANDS, _OPEN_ATTEMPTS, {}))


@cache
def _listing(wanted: _Filter) -> tuple[Statement, Statement]:
    """The statements for a list of commands and for their attempts."""
    chosen = _narrowed(select(commands.c.command_id), wanted)
    return (
        Statement(_narrowed(_commands, wanted)),
        Statement(_attempts.where(attempts.c.command_id.in_(chosen.subquery().select()))),
    )


def _narrowed(question: Select[*tuple[object, ...]], wanted: _Filter) -> Select[*tuple[object, ...]]:
    if wanted.by_agent:
        question = question.where(commands.c.agent_id == bindparam("agent"))
    if wanted.by_operation:
        question = question.where(commands.c.operation == bindparam("kind"))
    if wanted.states:
        question = question.where(
            commands.c.state.in_([bindparam(f"state_{index}") for index in range(wanted.states)])
        )
    if wanted.before:
        last = select(commands.c.sequence).where(commands.c.command_id == bindparam("last"))
        question = question.where(commands.c.sequence < last.scalar_subquery())
    return question.order_by(commands.c.sequence.desc()).limit(bindparam("most")).offset(NO_OFFSET)


def _list(
    which: Statement, whose_attempts: Statement, parameters: dict[str, object], connection: Connection
) -> list[CommandRecord]:
    records = [_to_command(row) for row in connection.execute(which, parameters).fetchall()]
    by_id = {record.command_id: record for record in records}
    for row in connection.execute(whose_attempts, parameters).fetchall():
        attempt = _AttemptRow._make(row)
        by_id[attempt.command_id].attempts.append(_to_attempt(attempt))
    return records


def _by_key(connection: Connection, key: str | None) -> CommandRecord | None:
    if key is None:
        return None
    row = connection.execute(_COMMAND_BY_KEY, {"key": key}).fetchone()
    return None if row is None else _with_attempts(connection, row)


def _with_attempts(connection: Connection, row: Row) -> CommandRecord:
    record = _to_command(row)
    found = connection.execute(_ATTEMPTS, {"id": record.command_id}).fetchall()
    record.attempts = [_to_attempt(_AttemptRow._make(attempt)) for attempt in found]
    return record


def _command_parameters(record: CommandRecord) -> dict[str, object]:
    return {
        "command_id": record.command_id,
        "operation": record.operation,
        "agent_id": record.agent_id,
        "agent": record.agent,
        "arguments": to_json(record.arguments),
        "state": record.state.value,
        "accepted_at": to_microseconds(record.accepted_at),
        "deadline_at": to_microseconds(record.deadline_at),
        "timeout_seconds": record.timeout_seconds,
        "max_attempts": record.max_attempts,
        "queue": record.queue,
        "requested_by": record.requested_by,
        "idempotency_key": record.idempotency_key,
        "fingerprint": record.fingerprint,
        "error_code": record.error_code,
        "error": record.error,
        "response": to_optional_json(record.response),
        "total_attempts": record.total_attempts,
        "duration_seconds": record.duration_seconds,
        "finished_at": to_optional_microseconds(record.finished_at),
        "retry_after_seconds": record.retry_after_seconds,
    }


def _attempt_parameters(command_id: str, attempt: AttemptRecord) -> dict[str, object]:
    return {
        "command_id": command_id,
        "number": attempt.number,
        "correlation_id": attempt.correlation_id,
        "started_at": to_microseconds(attempt.started_at),
        "finished_at": to_optional_microseconds(attempt.finished_at),
        "error_code": attempt.error_code,
        "circumstance": attempt.circumstance,
        "error": attempt.error,
    }


def _to_command(found: Row) -> CommandRecord:
    row = _CommandRow._make(found)
    return CommandRecord(
        command_id=row.command_id,
        operation=row.operation,
        agent_id=row.agent_id,
        agent=row.agent,
        arguments=msgspec.json.decode(row.arguments, type=dict[str, object]),
        state=CommandState(row.state),
        accepted_at=to_moment(row.accepted_at),
        deadline_at=to_moment(row.deadline_at),
        timeout_seconds=row.timeout_seconds,
        max_attempts=row.max_attempts,
        queue=bool(row.queue),
        requested_by=row.requested_by,
        idempotency_key=row.idempotency_key,
        fingerprint=row.fingerprint,
        error_code=row.error_code,
        error=row.error,
        response=None if row.response is None else msgspec.json.decode(row.response),
        total_attempts=row.total_attempts,
        duration_seconds=row.duration_seconds,
        finished_at=to_optional_moment(row.finished_at),
        retry_after_seconds=row.retry_after_seconds,
    )


def _to_attempt(row: _AttemptRow) -> AttemptRecord:
    return AttemptRecord(
        number=row.number,
        correlation_id=row.correlation_id,
        started_at=to_moment(row.started_at),
        finished_at=to_optional_moment(row.finished_at),
        error_code=row.error_code,
        circumstance=row.circumstance,
        error=row.error,
    )
