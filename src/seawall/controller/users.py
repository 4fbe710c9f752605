"""People who use the dashboard: the first one, who proves to be the operator by a code, and those after."""

from __future__ import annotations

import re
import secrets

from seawall.clock import Clock
from seawall.controller.attempts import Allowance, Guesses
from seawall.controller.passwords import Passwords
from seawall.engine.audit import CONTROLLER, NOBODY, Caller
from seawall.engine.records import UserRecord
from seawall.engine.store import UserStore
from seawall.operations.operation import Role
from seawall.wire.secret import Secret

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_CODE_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
_CODE_GROUPS, _CODE_GROUP = 4, 5
_CODE_GUESSES = Allowance(20, 6.0)
_OVER = "the set-up is over: sign in, or ask an admin for a user of your own"


class UnfitName(ValueError):
    """The name can't be taken; the message says why."""


class SetUpRefused(Exception):
    """The set-up code is wrong, or its time is over; the message says which."""


class Users:
    """All changes of users go through here, so that their sign-ins end with them."""

    def __init__(self, store: UserStore, passwords: Passwords, clock: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._guesses = Guesses(clock)
        self._set_up: Secret | None = None
        self.changes = 0
        """How often a user was changed or removed."""

    async def offer_set_up(self) -> Secret | None:
        """The code by which the first user is made; None once there is a user, or ever was one."""
        if await self._store.had_users():
            return None
        groups = (
            "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_GROUP)) for _ in range(_CODE_GROUPS)
        )
        self._set_up = Secret("-".join(groups))
        return self._set_up

    async def needs_set_up(self) -> bool:
        """Whether the first user can be made with the code."""
        return self._set_up is not None and not await self._store.had_users()

    async def set_up(self, code: Secret, name: str, password: Secret, source: str = "") -> UserRecord:
        """Make the first user, an admin. Raises SetUpRefused, UnfitName and UnfitPassword."""
        wait = self._guesses.wait_seconds("", _CODE_GUESSES)
        if wait > 0:
            raise SetUpRefused(f"too many codes were tried; try again in {wait:.0f} s")
        self._guesses.count("", _CODE_GUESSES)
        offered = self._set_up
        if offered is None or await self._store.had_users():
            raise SetUpRefused(_OVER)
        if Secret(code.reveal().strip().lower()) != offered:
            raise SetUpRefused(
                "this isn't the set-up code; the controller printed it when it started, and a new one at each start"
            )
        record = await self._record(name, password, Role.ADMIN)
        if not await self._store.add_user(record, Caller(NOBODY, source), first=True):
            raise SetUpRefused(_OVER)
        return record

    async def add(self, name: str, password: Secret, role: Role, caller: Caller = CONTROLLER) -> UserRecord:
        """Make a user. Raises UserNameTaken, UnfitName and UnfitPassword."""
        record = await self._record(name, password, role)
        await self._store.add_user(record, caller)
        return record

    async def all(self) -> list[UserRecord]:
        """All users, by name."""
        return await self._store.users()

    async def remove(self, name: str, caller: Caller = CONTROLLER) -> bool:
        """Remove a user and end its sign-ins at once. False if there is no such user."""
        try:
            return await self._store.remove_user(name, self._clock.wall(), caller)
        finally:
            self.changes += 1

    async def give_password(self, name: str, password: Secret, caller: Caller = CONTROLLER) -> bool:
        """Give a user another password and end its sign-ins. False if there is no such user. Raises UnfitPassword."""
        kept = await self._passwords.hashed(password)
        try:
            return await self._store.change_user(name, self._clock.wall(), caller, password_hash=kept)
        finally:
            self.changes += 1

    async def give_role(self, name: str, role: Role, caller: Caller = CONTROLLER) -> bool:
        """Give a user another role and end its sign-ins. False if there is no such user."""
        try:
            return await self._store.change_user(name, self._clock.wall(), caller, role=role.value)
        finally:
            self.changes += 1

    async def _record(self, name: str, password: Secret, role: Role) -> UserRecord:
        if _NAME.fullmatch(name) is None:
            raise UnfitName(
                "a user's name has up to 64 small letters, digits, '.', '_', '@' and '-', and begins with a letter or "
                "a digit"
            )
        kept = await self._passwords.hashed(password)
        return UserRecord(self._clock.new_id(), name, kept, role.value, self._clock.wall())
