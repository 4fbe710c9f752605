"""People and their sign-ins in the database."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, literal_column, select, update

from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.engine.records import SignInRecord, UserRecord
from seawall.engine.store import UserNameTaken
from seawall.storage.entries import Standing, signed_in, user_added
from seawall.storage.schema import sign_ins, users
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


class _UserRow(NamedTuple):
    user_id: str
    name: str
    password_hash: str
    role: str
    created_at: int
    removed_at: int | None


class _SignInRow(NamedTuple):
    sign_in_id: str
    user_id: str
    secret_hash: str
    created_at: int
    seen_at: int
    expires_at: int
    address: str
    ended_at: int | None


_users = select(*columns(users, _UserRow))
_live = users.c.removed_at.is_(None)
_of_name = (users.c.name == bindparam("of_name"), _live)
_this_sign_in = sign_ins.c.sign_in_id == bindparam("id")

_ANY_USER = Statement(select(users.c.user_id).limit(literal_column("1")).offset(literal_column("0")))
_ADD_USER = Statement(insert(users), _UserRow._fields)
_USERS = Statement(_users.where(_live).order_by(users.c.name))
_USER = Statement(_users.where(*_of_name))
_NEW_PASSWORD = Statement(update(users).where(*_of_name), ["password_hash"])
_NEW_ROLE = Statement(update(users).where(*_of_name), ["role"])
_REMOVE_USER = Statement(update(users).where(*_of_name), ["removed_at"])
_LIVE_USER = Statement(_users.where(users.c.user_id == bindparam("user_id"), _live))

_ADD_SIGN_IN = Statement(insert(sign_ins), _SignInRow._fields)
_FORGET_SIGN_INS = Statement(delete(sign_ins).where(sign_ins.c.expires_at <= bindparam("now")))
_SIGN_IN = Statement(
    select(*columns(sign_ins, _SignInRow), *columns(users, _UserRow))
    .join_from(sign_ins, users, sign_ins.c.user_id == users.c.user_id)
    .where(sign_ins.c.secret_hash == bindparam("hash"))
)
_SEEN = Statement(update(sign_ins).where(_this_sign_in, sign_ins.c.seen_at < bindparam("now")), ["seen_at"])
_END = Statement(update(sign_ins).where(_this_sign_in, sign_ins.c.ended_at.is_(None)), ["ended_at"])
_END_ALL_OF = Statement(
    update(sign_ins).where(
        sign_ins.c.ended_at.is_(None), sign_ins.c.user_id.in_(select(users.c.user_id).where(*_of_name))
    ),
    ["ended_at"],
)


class UserTables(Database):
    """`engine.store.UserStore`."""

    async def had_users(self) -> bool:
        """See `UserStore.had_users`."""
        return await self.read(lambda connection: connection.execute(_ANY_USER, {}).fetchone()) is not None

    async def add_user(self, record: UserRecord, caller: Caller = CONTROLLER, *, first: bool = False) -> bool:
        """See `UserStore.add_user`."""
        row = _UserRow(
            record.user_id,
            record.name,
            record.password_hash,
            record.role,
            to_microseconds(record.created_at),
            to_optional_microseconds(record.removed_at),
        )._asdict()

        def job(connection: Connection) -> bool:
            if first and connection.execute(_ANY_USER, {}).fetchone() is not None:
                return False
            if connection.execute(_USER, {"of_name": record.name}).fetchone() is not None:
                raise UserNameTaken(f"there is a user {record.name!r} already")
            connection.execute(_ADD_USER, row)
            connection.note(user_added(record, caller, first=first))
            return True

        return await self.write(job)

    async def users(self) -> list[UserRecord]:
        """See `UserStore.users`."""
        rows = await self.read(lambda connection: connection.execute(_USERS, {}).fetchall())
        return [_to_user(row) for row in rows]

    async def user(self, name: str) -> UserRecord | None:
        """See `UserStore.user`."""
        wanted = {"of_name": name}
        row = await self.read(lambda connection: connection.execute(_USER, wanted).fetchone())
        return None if row is None else _to_user(row)

    async def change_user(
        self,
        name: str,
        now: datetime,
        caller: Caller = CONTROLLER,
        *,
        password_hash: str | None = None,
        role: str | None = None,
    ) -> bool:
        """See `UserStore.change_user`."""
        values = {
            "of_name": name,
            "password_hash": password_hash,
            "role": role,
            "ended_at": to_microseconds(now),
        }

        def job(connection: Connection) -> bool:
            found = connection.execute(_USER, values).fetchone()
            if found is None:
                return False
            user = _to_user(found)
            if password_hash is not None:
                connection.execute(_NEW_PASSWORD, values)
                detail = Standing(name, user.role)
                connection.note(Entry(now, caller, Action.USER_PASSWORD_CHANGED, user.user_id, detail))
            if role is not None:
                connection.execute(_NEW_ROLE, values)
                detail = Standing(name, role, user.role)
                connection.note(Entry(now, caller, Action.USER_ROLE_CHANGED, user.user_id, detail))
            connection.execute(_END_ALL_OF, values)
            return True

        return await self.write(job)

    async def remove_user(self, name: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """See `UserStore.remove_user`."""
        at = to_microseconds(now)
        values = {"of_name": name, "removed_at": at, "ended_at": at}

        def job(connection: Connection) -> bool:
            found = connection.execute(_USER, values).fetchone()
            if found is None:
                return False
            connection.execute(_END_ALL_OF, values)
            connection.execute(_REMOVE_USER, values)
            user = _to_user(found)
            detail = Standing(user.name, user.role)
            connection.note(Entry(now, caller, Action.USER_REMOVED, user.user_id, detail))
            return True

        return await self.write(job)

    async def add_sign_in(self, record: SignInRecord) -> bool:
        """See `UserStore.add_sign_in`."""
        row = _SignInRow(
            record.sign_in_id,
            record.user_id,
            record.secret_hash,
            to_microseconds(record.created_at),
            to_microseconds(record.seen_at),
            to_microseconds(record.expires_at),
            record.address,
            to_optional_microseconds(record.ended_at),
        )._asdict()

        def job(connection: Connection) -> bool:
            connection.execute(_FORGET_SIGN_INS, {"now": row["created_at"]})
            found = connection.execute(_LIVE_USER, row).fetchone()
            if found is None:
                return False
            connection.execute(_ADD_SIGN_IN, row)
            connection.note(signed_in(record, _to_user(found)))
            return True

        return await self.write(job)

    async def sign_in(self, secret_hash: str) -> tuple[SignInRecord, UserRecord] | None:
        """See `UserStore.sign_in`."""
        wanted = {"hash": secret_hash}
        row = await self.read(lambda connection: connection.execute(_SIGN_IN, wanted).fetchone())
        if row is None:
            return None
        split = len(_SignInRow._fields)
        return _to_sign_in(row[:split]), _to_user(row[split:])

    async def seen_sign_in(self, sign_in_id: str, now: datetime) -> None:
        """See `UserStore.seen_sign_in`."""
        at = to_microseconds(now)
        values = {"id": sign_in_id, "now": at, "seen_at": at}
        await self.write(lambda connection: connection.execute(_SEEN, values).rowcount)

    async def end_sign_in(self, sign_in_id: str, now: datetime, caller: Caller = CONTROLLER) -> None:
        """See `UserStore.end_sign_in`."""
        values = {"id": sign_in_id, "ended_at": to_microseconds(now)}

        def job(connection: Connection) -> None:
            if connection.execute(_END, values).rowcount == 1:
                connection.note(Entry(now, caller, Action.SIGNED_OUT, sign_in_id))

        await self.write(job)


def _to_user(found: Row) -> UserRecord:
    row = _UserRow._make(found)
    return UserRecord(
        row.user_id,
        row.name,
        row.password_hash,
        row.role,
        to_moment(row.created_at),
        to_optional_moment(row.removed_at),
    )


def _to_sign_in(found: Row) -> SignInRecord:
    row = _SignInRow._make(found)
    return SignInRecord(
        row.sign_in_id,
        row.user_id,
        row.secret_hash,
        to_moment(row.created_at),
        to_moment(row.seen_at),
        to_moment(row.expires_at),
        row.address,
        to_optional_moment(row.ended_at),
    )
