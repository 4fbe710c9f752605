"""Agents and join tokens in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, insert, literal_column, or_, select, true, update

from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.engine.records import AgentRecord, JoinTokenRecord, LedgerFacts, SessionGrant
from seawall.engine.store import JoinTokenRefused, NameTaken
from seawall.storage.circuits import RELEASE_ALL
from seawall.storage.entries import connected, invited, joined, lost
from seawall.storage.schema import agents, command_is_recorded, command_is_unsettled, commands, join_tokens
from seawall.storage.statements import (
    Connection,
    Database,
    Row,
    Statement,
    columns,
    to_json,
    to_microseconds,
    to_moment,
    to_optional_microseconds,
    to_optional_moment,
)


class _AgentRow(NamedTuple):
    agent_id: str
    name: str
    public_key: bytes
    joined_at: int
    labels: str
    simulated: bool
    version: str
    hostname: str
    docker_version: str
    operations: str
    epoch: int
    last_seen_at: int | None
    revoked_at: int | None
    quarantined_at: int | None


class _LedgerRow(NamedTuple):
    epoch: int
    last_sequence: int
    ledger_id: str
    proven_epoch: int
    lost_sequence: int  # what was recorded up to this says nothing of the ledger that the agent has now


class _JoinTokenRow(NamedTuple):
    token_id: str
    secret_hash: str
    created_at: int
    expires_at: int
    created_by: str
    used_at: int | None
    used_by: str | None


_SEEN_TOGETHER = 100
"""How many agents are noted as seen by one statement."""

_agents = select(*columns(agents, _AgentRow))
_live = agents.c.revoked_at.is_(None)
_this_agent = agents.c.agent_id == bindparam("id")
_this_token = join_tokens.c.secret_hash == bindparam("hash")

_ADD_AGENT = Statement(insert(agents), _AgentRow._fields)
_AGENTS = Statement(_agents.order_by(agents.c.name, agents.c.joined_at))
_LIVE_AGENTS = Statement(_agents.where(_live).order_by(agents.c.name))
_AGENT = Statement(_agents.where(_this_agent))
_AGENT_OF_NAME = Statement(select(agents.c.agent_id).where(agents.c.name == bindparam("name"), _live))
_LEDGER = Statement(select(*columns(agents, _LedgerRow)).where(_this_agent, _live))
_OPEN_SESSION = Statement(
    update(agents).where(_this_agent, _live),
    [
        "version",
        "hostname",
        "docker_version",
        "labels",
        "operations",
        "last_seen_at",
        "epoch",
        "last_sequence",
        "ledger_id",
        "proven_epoch",
        "lost_sequence",
    ],
)
_PROVE_EPOCH = Statement(
    update(agents).where(_this_agent, agents.c.proven_epoch < bindparam("new_epoch")), ["proven_epoch"]
)
_QUARANTINE = Statement(update(agents).where(_this_agent, _live), ["quarantined_at"])
_here = commands.c.agent_id == bindparam("id")
_RECORDED_UP_TO = Statement(
    select(func.max(commands.c.agent_sequence)).where(
        _here, command_is_recorded, commands.c.agent_sequence > bindparam("after")
    )
)
_unsettled_here = (_here, command_is_unsettled, commands.c.agent_sequence > literal_column("0"))
# What has begun, and what an agent has shown evidence of, is in its ledger, though that hasn't told how it ended.
# What was in a ledger that is lost is settled.
_BEGUN_UP_TO = Statement(
    select(func.max(commands.c.agent_sequence)).where(
        *_unsettled_here, or_(commands.c.begun.is_(true()), commands.c.evidence.is_not(None))
    )
)
_FIRST_UNSETTLED = Statement(select(func.min(commands.c.agent_sequence)).where(*_unsettled_here))
_LOSE = Statement(
    update(commands)
    .where(*_unsettled_here, commands.c.state != literal_column(f"'{CommandState.ACCEPTED.value}'"))
    .values(
        settled=true(),
        finished_at=func.coalesce(commands.c.finished_at, bindparam("now")),
    )
    .returning(commands.c.command_id, commands.c.agent_sequence),
    ["state", "error_code", "error"],
)
_SEEN = Statement(
    update(agents).where(
        agents.c.agent_id.in_([bindparam(f"id_{index}") for index in range(_SEEN_TOGETHER)])
    ),
    ["last_seen_at"],
)
_REVOKE_AGENT = Statement(update(agents).where(_this_agent, _live), ["revoked_at"])

_ADD_JOIN_TOKEN = Statement(insert(join_tokens), _JoinTokenRow._fields)
_USE_JOIN_TOKEN = Statement(
    update(join_tokens).where(
        _this_token, join_tokens.c.used_at.is_(None), join_tokens.c.expires_at > bindparam("now")
    ),
    ["used_at", "used_by"],
)
_JOIN_TOKEN = Statement(select(join_tokens.c.token_id).where(_this_token))
_JOIN_TOKEN_USED = Statement(select(join_tokens.c.used_at).where(_this_token))


class FleetTables(Database):
    """`engine.store.FleetStore`."""

    async def add_join_token(self, record: JoinTokenRecord, caller: Caller = CONTROLLER) -> None:
        """See `FleetStore.add_join_token`."""
        row = _JoinTokenRow(
            token_id=record.token_id,
            secret_hash=record.secret_hash,
            created_at=to_microseconds(record.created_at),
            expires_at=to_microseconds(record.expires_at),
            created_by=record.created_by,
            used_at=to_optional_microseconds(record.used_at),
            used_by=record.used_by,
        )._asdict()

        def job(connection: Connection) -> None:
            connection.execute(_ADD_JOIN_TOKEN, row)
            connection.note(invited(record, caller))

        await self.write(job)

    async def redeem(
        self, secret_hash: str, now: datetime, agent: AgentRecord, source: str = ""
    ) -> AgentRecord:
        """See `FleetStore.redeem`."""
        row = _agent_row(agent)
        moment = to_microseconds(now)
        use = {"hash": secret_hash, "now": moment, "used_at": moment, "used_by": agent.agent_id}

        def job(connection: Connection) -> AgentRecord:
            if connection.execute(_USE_JOIN_TOKEN, use).rowcount != 1:
                raise JoinTokenRefused(_why_refused(connection, secret_hash))
            if connection.execute(_AGENT_OF_NAME, {"name": row.name}).fetchone() is not None:
                raise NameTaken(
                    f"an agent named {row.name} has joined already; choose another name, or revoke that agent first"
                )
            connection.execute(_ADD_AGENT, row._asdict())
            token_id = connection.execute(_JOIN_TOKEN, {"hash": secret_hash}).fetchall()[0][0]
            connection.note(joined(agent, str(token_id), now, source))
            return _to_agent(row)

        return await self.write(job)

    async def agents(self, *, revoked: bool = False) -> list[AgentRecord]:
        """See `FleetStore.agents`."""
        which = _AGENTS if revoked else _LIVE_AGENTS
        rows = await self.read(lambda connection: connection.execute(which, {}).fetchall())
        return [_to_agent(row) for row in rows]

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """See `FleetStore.agent`."""
        row = await self.read(lambda connection: connection.execute(_AGENT, {"id": agent_id}).fetchone())
        return None if row is None else _to_agent(row)

    async def open_session(self, agent: AgentRecord, ledger: LedgerFacts, source: str = "") -> SessionGrant:
        """See `FleetStore.open_session`. Raises LookupError for an agent that isn't known or is revoked."""
        agent_id = agent.agent_id
        said = {
            "id": agent_id,
            "version": agent.version,
            "hostname": agent.hostname,
            "docker_version": agent.docker_version,
            "labels": to_json(agent.labels),
            "operations": to_json(agent.operations),
            "last_seen_at": to_optional_microseconds(agent.last_seen_at),
        }

        def job(connection: Connection) -> SessionGrant:
            row = connection.execute(_LEDGER, said).fetchone()
            if row is None:
                raise LookupError(f"agent {agent_id} isn't known or is revoked: it can have no session")
            known = _LedgerRow._make(row)
            told = max(
                _number(connection, _RECORDED_UP_TO, agent_id, known.lost_sequence),
                _number(connection, _BEGUN_UP_TO, agent_id),
            )
            amnesia = _amnesia(known, ledger, told)
            epoch = max(known.epoch, ledger.epoch) + 1
            last_sequence = max(known.last_sequence, ledger.last_sequence, ledger.watermark)
            proven_epoch = ledger.epoch if amnesia else max(known.proven_epoch, ledger.epoch)
            lost_sequence = last_sequence if amnesia else known.lost_sequence
            now_known = _LedgerRow(epoch, last_sequence, ledger.ledger_id, proven_epoch, lost_sequence)
            connection.execute(_OPEN_SESSION, said | now_known._asdict())
            gone = _lose(connection, agent_id, amnesia, said["last_seen_at"]) if amnesia else {}
            now = agent.last_seen_at or agent.joined_at
            connection.note(
                *connected(agent, ledger, epoch, amnesia, source, now),
                *(lost(command_id, now, amnesia) for command_id in gone),
            )
            first = _number(connection, _FIRST_UNSETTLED, agent_id)
            return SessionGrant(epoch, first - 1 if first else last_sequence, amnesia, gone)

        return await self.write(job)

    async def prove_epoch(self, agent_id: str, epoch: int) -> None:
        """See `FleetStore.prove_epoch`."""
        proof = {"id": agent_id, "new_epoch": epoch, "proven_epoch": epoch}
        await self.write(lambda connection: connection.execute(_PROVE_EPOCH, proof).rowcount)

    async def quarantine(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `FleetStore.quarantine`."""
        change = {"id": agent_id, "quarantined_at": to_microseconds(now)}
        entry = Entry(now, caller, Action.HOST_QUARANTINED, agent_id)
        return await self.write(partial(_change, _QUARANTINE, change, entry))

    async def release(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `FleetStore.release`."""
        change = {"id": agent_id, "quarantined_at": None}
        entry = Entry(now, caller, Action.HOST_RELEASED, agent_id)
        return await self.write(partial(_change, _QUARANTINE, change, entry))

    async def seen(self, agent_ids: Sequence[str], now: datetime) -> None:
        """See `FleetStore.seen`."""
        moment = to_microseconds(now)
        groups = [
            {"last_seen_at": moment, **_numbered(agent_ids[start : start + _SEEN_TOGETHER])}
            for start in range(0, len(agent_ids), _SEEN_TOGETHER)
        ]

        for group in groups:
            # Each by itself: commands that came in the meantime are written before the next one.
            await self.write(partial(_note_seen, group))

    async def revoke_agent(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `FleetStore.revoke_agent`."""
        end = {"id": agent_id, "revoked_at": to_microseconds(now)}
        entry = Entry(now, caller, Action.HOST_REVOKED, agent_id)

        def job(connection: Connection) -> bool:
            connection.execute(RELEASE_ALL, end)
            return _change(_REVOKE_AGENT, end, entry, connection)

        return await self.write(job)


def _change(statement: Statement, change: Mapping[str, object], entry: Entry, connection: Connection) -> bool:
    """Change one agent and record it; False if there is no such agent."""
    if connection.execute(statement, change).rowcount != 1:
        return False
    connection.note(entry)
    return True


def _note_seen(group: Mapping[str, object], connection: Connection) -> None:
    connection.execute(_SEEN, group)


def _numbered(agent_ids: Sequence[str]) -> dict[str, str]:
    """As many parameters as the statement has; the last one fills up a smaller group."""
    return {f"id_{index}": agent_ids[min(index, len(agent_ids) - 1)] for index in range(_SEEN_TOGETHER)}


def _number(connection: Connection, statement: Statement, agent_id: str, after: int = 0) -> int:
    row = connection.execute(statement, {"id": agent_id, "after": after}).fetchone()
    return int(str(row[0])) if row is not None and row[0] is not None else 0


def _amnesia(known: _LedgerRow, ledger: LedgerFacts, told: int) -> str:
    """Why this can't be the ledger that was known; "" if it can."""
    if not known.ledger_id:
        return ""  # the first one
    if ledger.ledger_id != known.ledger_id:
        return "it has another ledger than before"
    if ledger.epoch < known.proven_epoch:
        return f"its ledger has gone back to epoch {ledger.epoch}, it had reached {known.proven_epoch}"
    if ledger.last_sequence < told:
        return f"its ledger has gone back to command {ledger.last_sequence}, it had told of {told}"
    return ""


def _lose(connection: Connection, agent_id: str, reason: str, now: object) -> dict[str, int]:
    """Everything that the lost ledger may have known of is UNKNOWN for good."""
    end = {
        "id": agent_id,
        "state": CommandState.UNKNOWN.value,
        "error_code": CommandErrorCode.OUTCOME_UNKNOWN.value,
        "error": f"the agent can't say any more what became of it: {reason}; look at the host before you repeat it",
        "now": now,
    }
    return {str(row[0]): int(str(row[1])) for row in connection.execute(_LOSE, end).fetchall()}


def _why_refused(connection: Connection, secret_hash: str) -> str:
    row = connection.execute(_JOIN_TOKEN_USED, {"hash": secret_hash}).fetchone()
    if row is None:
        return "this join token is unknown; make a new one with `seawall token join`"
    if row[0] is not None:
        return "this join token is used; each lets one host in, make another with `seawall token join`"
    return "this join token has expired; make a new one with `seawall token join`"


def _agent_row(agent: AgentRecord) -> _AgentRow:
    return _AgentRow(
        agent_id=agent.agent_id,
        name=agent.name,
        public_key=agent.public_key,
        joined_at=to_microseconds(agent.joined_at),
        labels=to_json(agent.labels),
        simulated=agent.simulated,
        version=agent.version,
        hostname=agent.hostname,
        docker_version=agent.docker_version,
        operations=to_json(agent.operations),
        epoch=agent.epoch,
        last_seen_at=to_optional_microseconds(agent.last_seen_at),
        revoked_at=to_optional_microseconds(agent.revoked_at),
        quarantined_at=to_optional_microseconds(agent.quarantined_at),
    )


def _to_agent(found: Row) -> AgentRecord:
    row = _AgentRow._make(found)
    return AgentRecord(
        agent_id=row.agent_id,
        name=row.name,
        public_key=row.public_key,
        joined_at=to_moment(row.joined_at),
        labels=msgspec.json.decode(row.labels, type=dict[str, str]),
        simulated=bool(row.simulated),
        version=row.version,
        hostname=row.hostname,
        docker_version=row.docker_version,
        operations=msgspec.json.decode(row.operations, type=list[str]),
        epoch=row.epoch,
        last_seen_at=to_optional_moment(row.last_seen_at),
        revoked_at=to_optional_moment(row.revoked_at),
        quarantined_at=to_optional_moment(row.quarantined_at),
    )
