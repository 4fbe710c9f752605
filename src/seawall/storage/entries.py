"""What the audit log says of a change that the tables keep. Nothing of it is a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from seawall.core.command import CommandState
from seawall.engine.audit import CONTROLLER, Action, Caller, Entry, host_actor, telling, token_actor
from seawall.engine.records import (
    AgentRecord,
    AttemptRecord,
    CommandRecord,
    JoinTokenRecord,
    LedgerFacts,
    TokenRecord,
    TransitionRecord,
)

AUTOMATIC = "controller"
"""The subject of what concerns the controller as a whole."""


def accepted(record: CommandRecord, caller: Caller) -> Iterator[Entry]:
    """A command was accepted, or turned away, and maybe an attempt of it was put on record."""
    detail: dict[str, object] = {
        "operation": record.operation,
        "host": record.agent,
        "arguments": telling(record.operation, record.arguments),
        "fingerprint": record.fingerprint,
    }
    if record.state.final:
        detail |= {"state": record.state.value, "error_code": record.error_code}
    yield Entry(record.accepted_at, caller, Action.COMMAND_ACCEPTED, record.command_id, detail)
    for attempt in record.attempts:
        yield dispatched(record.command_id, attempt)


def dispatched(command_id: str, attempt: AttemptRecord) -> Entry:
    """An attempt is about to be sent."""
    detail = {"attempt": attempt.number, "correlation_id": attempt.correlation_id}
    return Entry(attempt.started_at, CONTROLLER, Action.COMMAND_DISPATCHED, command_id, detail)


def finished(record: CommandRecord) -> Entry:
    """A command has its result."""
    return _ended(record, Action.COMMAND_FINISHED)


def settled(record: CommandRecord, now: datetime, caller: Caller | None) -> Entry:
    """What an UNKNOWN command turned out to be; without a caller its host has told it."""
    detail = {"state": record.state.value, "error_code": record.error_code, "reason": record.resolution}
    who = caller if caller is not None else Caller(host_actor(record.agent))
    return Entry(now, who, Action.COMMAND_SETTLED, record.command_id, detail)


def imported(record: CommandRecord) -> Entry:
    """A host told of a command that wasn't known."""
    return _ended(record, Action.COMMAND_IMPORTED)


def lost(command_id: str, now: datetime, reason: str) -> Entry:
    """What a lost ledger may have known of is UNKNOWN."""
    detail = {"state": CommandState.UNKNOWN.value, "reason": reason}
    return Entry(now, CONTROLLER, Action.COMMAND_FINISHED, command_id, detail)


def invited(record: JoinTokenRecord, caller: Caller) -> Entry:
    """A join token was made."""
    detail = {"expires_at": record.expires_at}
    return Entry(record.created_at, caller, Action.JOIN_TOKEN_CREATED, record.token_id, detail)


def joined(agent: AgentRecord, token_id: str, now: datetime, source: str) -> Entry:
    """A host used a join token."""
    detail = {
        "name": agent.name,
        "join_token": token_id,
        "public_key": agent.public_key.hex(),
        "simulated": agent.simulated,
    }
    return Entry(now, Caller(host_actor(agent.name), source), Action.HOST_JOINED, agent.agent_id, detail)


def connected(
    agent: AgentRecord, ledger: LedgerFacts, epoch: int, amnesia: str, source: str, now: datetime
) -> Iterator[Entry]:
    """A host has proved who it is and has a session; maybe with another ledger than before."""
    caller = Caller(host_actor(agent.name), source)
    detail = {"epoch": epoch, "version": agent.version, "ledger": ledger.ledger_id}
    yield Entry(now, caller, Action.HOST_CONNECTED, agent.agent_id, detail)
    if amnesia:
        yield Entry(now, caller, Action.HOST_LOST_LEDGER, agent.agent_id, {"reason": amnesia})


def token_created(record: TokenRecord, caller: Caller) -> Entry:
    """An API token was made."""
    detail = {"name": record.name, "role": record.role, "expires_at": record.expires_at}
    return Entry(record.created_at, caller, Action.TOKEN_CREATED, record.token_id, detail)


def changed(records: Sequence[TransitionRecord]) -> list[Entry]:
    """Circuits went from one state to another."""
    return [
        Entry(
            record.at,
            CONTROLLER if not record.by else Caller(token_actor(record.by)),
            Action.CIRCUIT_CHANGED,
            f"{record.agent_id}/{record.domain}",
            {"from": record.origin, "to": record.target, "reason": record.reason},
        )
        for record in records
    ]


def _ended(record: CommandRecord, action: Action) -> Entry:
    # Success can only come from the host, and so can what its ledger has recorded.
    from_host = record.recorded or record.state is CommandState.SUCCEEDED
    caller = Caller(host_actor(record.agent)) if from_host else CONTROLLER
    detail = {
        "operation": record.operation,
        "host": record.agent,
        "state": record.state.value,
        "error_code": record.error_code,
        "attempts": record.total_attempts,
    }
    return Entry(record.finished_at or record.accepted_at, caller, action, record.command_id, detail)
