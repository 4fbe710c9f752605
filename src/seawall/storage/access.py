"""API tokens in the database."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.engine.records import TokenRecord
from seawall.storage.entries import token_created
from seawall.storage.schema import api_tokens
from seawall.storage.statements import (
    Connection,
    Database,
    Row,
    Statement,
    columns,
    to_microseconds,
    to_moment,
    to_optional_microseconds,
    to_optional_moment,
)


class _TokenRow(NamedTuple):
    token_id: str
    name: str
    role: str
    secret_hash: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None


_tokens = select(*columns(api_tokens, _TokenRow))
_live = api_tokens.c.revoked_at.is_(None)

_ADD_TOKEN = Statement(insert(api_tokens), _TokenRow._fields)
_TOKEN_BY_HASH = Statement(_tokens.where(api_tokens.c.secret_hash == bindparam("hash")))
_TOKENS = Statement(_tokens.where(_live).order_by(api_tokens.c.name, api_tokens.c.created_at))
_REVOKE_TOKEN = Statement(
    update(api_tokens).where(api_tokens.c.token_id == bindparam("id"), _live), ["revoked_at"]
)


class AccessTables(Database):
    """`engine.store.AccessStore`."""

    async def add_token(self, record: TokenRecord, caller: Caller = CONTROLLER) -> None:
        """See `AccessStore.add_token`."""
        row = _TokenRow(
            token_id=record.token_id,
            name=record.name,
            role=record.role,
            secret_hash=record.secret_hash,
            created_at=to_microseconds(record.created_at),
            expires_at=to_optional_microseconds(record.expires_at),
            revoked_at=to_optional_microseconds(record.revoked_at),
        )._asdict()

        def job(connection: Connection) -> None:
            connection.execute(_ADD_TOKEN, row)
            connection.note(token_created(record, caller))

        await self.write(job)

    async def token_by_hash(self, secret_hash: str) -> TokenRecord | None:
        """See `AccessStore.token_by_hash`."""
        wanted = {"hash": secret_hash}
        row = await self.read(lambda connection: connection.execute(_TOKEN_BY_HASH, wanted).fetchone())
        return None if row is None else _to_token(row)

    async def tokens(self) -> list[TokenRecord]:
        """See `AccessStore.tokens`."""
        rows = await self.read(lambda connection: connection.execute(_TOKENS, {}).fetchall())
        return [_to_token(row) for row in rows]

    async def revoke_token(self, token_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `AccessStore.revoke_token`."""
        end = {"id": token_id, "revoked_at": to_microseconds(now)}

        def job(connection: Connection) -> bool:
            if connection.execute(_REVOKE_TOKEN, end).rowcount != 1:
                return False
            connection.note(Entry(now, caller, Action.TOKEN_REVOKED, token_id))
            return True

        return await self.write(job)


def _to_token(found: Row) -> TokenRecord:
    row = _TokenRow._make(found)
    return TokenRecord(
        token_id=row.token_id,
        name=row.name,
        role=row.role,
        secret_hash=row.secret_hash,
        created_at=to_moment(row.created_at),
        expires_at=to_optional_moment(row.expires_at),
        revoked_at=to_optional_moment(row.revoked_at),
    )
