"""Commands and attempts as rows of their tables, there and back."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from seawall.core.command import CommandState
from seawall.engine.records import AttemptRecord, CommandRecord, DecisionRecord, Unsettled
from seawall.engine.secrets import without_secrets
from seawall.storage.statements import (
    Row,
    to_json,
    to_microseconds,
    to_moment,
    to_optional_json,
    to_optional_microseconds,
    to_optional_moment,
)


class CommandRow(NamedTuple):
    """A row of `commands`, without its place in the order."""

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
    agent_sequence: int
    settled: bool
    recorded: bool
    evidence: str | None
    stopped_by: str | None
    fallback: str | None
    resolved_by: str
    resolution: str


class UnsettledRow(NamedTuple):
    """As much of a row of `commands` as `Unsettled` holds."""

    command_id: str
    agent_id: str
    agent_sequence: int
    state: str
    deadline_at: int


class DecisionRow(NamedTuple):
    """A row of `decisions`, without its place in the order."""

    command_id: str
    at: int
    kind: str
    content: str


class AttemptRow(NamedTuple):
    """A row of `attempts`."""

    command_id: str
    number: int
    correlation_id: str
    started_at: int
    finished_at: int | None
    error_code: str | None
    circumstance: str
    error: str | None


def end_of(record: CommandRecord) -> dict[str, object]:
    """The columns that say how a command ended, `id` and `keep_key`."""
    return {"id": record.command_id, "keep_key": int(record.idempotency_key is not None), **_end(record)}


def arguments_left(record: CommandRecord) -> dict[str, object] | None:
    """The arguments and `id` of a command that is over and had secrets; None where nothing has to go."""
    left = without_secrets(record)
    return None if left is None else {"id": record.command_id, "arguments": to_json(left)}


def attempt_end_of(command_id: str, attempt: AttemptRecord) -> dict[str, object]:
    """The columns that say how an attempt ended, `id` and `nth`."""
    return {
        "id": command_id,
        "nth": attempt.number,
        "finished_at": to_optional_microseconds(attempt.finished_at),
        "error_code": attempt.error_code,
        "circumstance": attempt.circumstance,
        "error": attempt.error,
    }


def command_row(record: CommandRecord) -> dict[str, object]:
    """All columns of a command."""
    left = without_secrets(record)
    return {
        "command_id": record.command_id,
        "operation": record.operation,
        "agent_id": record.agent_id,
        "agent": record.agent,
        "arguments": to_json(record.arguments if left is None else left),
        "accepted_at": to_microseconds(record.accepted_at),
        "deadline_at": to_microseconds(record.deadline_at),
        "timeout_seconds": record.timeout_seconds,
        "max_attempts": record.max_attempts,
        "queue": record.queue,
        "requested_by": record.requested_by,
        "idempotency_key": record.idempotency_key,
        "fingerprint": record.fingerprint,
        "agent_sequence": record.sequence,
        "resolved_by": record.resolved_by,
        "resolution": record.resolution,
        **_end(record),
    }


def _end(record: CommandRecord) -> dict[str, object]:
    return {
        "state": record.state.value,
        "error_code": record.error_code,
        "error": record.error,
        "response": to_optional_json(record.response),
        "total_attempts": record.total_attempts,
        "duration_seconds": record.duration_seconds,
        "finished_at": to_optional_microseconds(record.finished_at),
        "retry_after_seconds": record.retry_after_seconds,
        "settled": record.settled,
        "recorded": record.recorded,
        "evidence": to_optional_json(record.evidence),
        "stopped_by": record.stopped_by,
        "fallback": to_optional_json(record.fallback),
    }


def attempt_row(command_id: str, attempt: AttemptRecord) -> dict[str, object]:
    """All columns of an attempt."""
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


def to_command(found: Row) -> CommandRecord:
    """The record of a row, without its attempts."""
    row = CommandRow._make(found)
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
        sequence=row.agent_sequence,
        settled=bool(row.settled),
        recorded=bool(row.recorded),
        evidence=None if row.evidence is None else msgspec.json.decode(row.evidence, type=dict[str, object]),
        stopped_by=row.stopped_by,
        fallback=None if row.fallback is None else msgspec.json.decode(row.fallback, type=dict[str, object]),
        resolved_by=row.resolved_by,
        resolution=row.resolution,
    )


def to_unsettled(found: Row) -> Unsettled:
    """The part of a row that is needed to wait for its agent."""
    row = UnsettledRow._make(found)
    state = CommandState(row.state)
    return Unsettled(row.command_id, row.agent_id, row.agent_sequence, state, to_moment(row.deadline_at))


def to_attempt(row: AttemptRow) -> AttemptRecord:
    """The record of a row."""
    return AttemptRecord(
        number=row.number,
        correlation_id=row.correlation_id,
        started_at=to_moment(row.started_at),
        finished_at=to_optional_moment(row.finished_at),
        error_code=row.error_code,
        circumstance=row.circumstance,
        error=row.error,
    )


def decision_row(command_id: str, decision: DecisionRecord) -> dict[str, object]:
    """All columns of a decision."""
    return {
        "command_id": command_id,
        "at": to_microseconds(decision.at),
        "kind": decision.kind,
        "content": to_json(decision.content),
    }


def to_decision(found: Row) -> DecisionRecord:
    """The record of a row."""
    row = DecisionRow._make(found)
    return DecisionRecord(
        to_moment(row.at), row.kind, msgspec.json.decode(row.content, type=dict[str, object])
    )
