"""Agents and join tokens in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, insert, literal_column, select, update

from seawall.engine.records import AgentRecord, JoinTokenRecord
from seawall.engine.store import JoinTokenRefused, NameTaken
from seawall.storage.schema import agents, join_tokens
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
_OPEN_SESSION = Statement(
    update(agents)
    .where(_this_agent, _live)
    .values(epoch=agents.c.epoch + literal_column("1"))
    .returning(agents.c.epoch),
    ["version", "hostname", "docker_version", "labels", "operations", "last_seen_at"],
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
_JOIN_TOKEN_USED = Statement(select(join_tokens.c.used_at).where(_this_token))


class FleetTables(Database):
    """`engine.store.FleetStore`."""

    async def add_join_token(self, record: JoinTokenRecord) -> None:
        """See `FleetStore.add_join_token`."""
        row = _JoinTokenRow(
            token_id=record.token_id,
            secret_hash=record.secret_hash,
            created_at=to_microseconds(record.created_at),
            expires_at=to_microseconds(record.expires_at),
            created_by=record.created_by,
            used_at=to_optional_microseconds(record.used_at),
            used_by=record.used_by,
        )
        await self.write(partial(_add, _ADD_JOIN_TOKEN, row._asdict()))

    async def redeem(self, secret_hash: str, now: datetime, agent: AgentRecord) -> AgentRecord:
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

    async def open_session(self, agent: AgentRecord) -> int:
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

        def job(connection: Connection) -> int:
            epochs = connection.execute(_OPEN_SESSION, said).fetchall()
            if not epochs:
                raise LookupError(f"agent {agent_id} isn't known or is revoked: it can have no session")
            return int(str(epochs[0][0]))

        return await self.write(job)

    async def seen(self, agent_ids: Sequence[str], now: datetime) -> None:
        """See `FleetStore.seen`."""
        moment = to_microseconds(now)
        groups = [
            {"last_seen_at": moment, **_numbered(agent_ids[start : start + _SEEN_TOGETHER])}
            for start in range(0, len(agent_ids), _SEEN_TOGETHER)
        ]

        def job(connection: Connection) -> None:
            for group in groups:
                connection.execute(_SEEN, group)

        if groups:
            await self.write(job)

    async def revoke_agent(self, agent_id: str, now: datetime) -> bool:
        """See `FleetStore.revoke_agent`."""
        end = {"id": agent_id, "revoked_at": to_microseconds(now)}
        return await self.write(lambda connection: connection.execute(_REVOKE_AGENT, end).rowcount == 1)


def _add(statement: Statement, row: dict[str, object], connection: Connection) -> None:
    connection.execute(statement, row)


def _numbered(agent_ids: Sequence[str]) -> dict[str, str]:
    """As many parameters as the statement has; the last one fills up a smaller group."""
    return {f"id_{index}": agent_ids[min(index, len(agent_ids) - 1)] for index in range(_SEEN_TOGETHER)}


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
    )
