"""Signing in to the dashboard: from a name and a password to a secret in a browser's cookie, and back to the user."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta

from msgspec import Struct

from seawall.clock import Clock
from seawall.controller.attempts import Allowance, Guesses
from seawall.controller.auth import Principal
from seawall.controller.credentials import hash_secret
from seawall.controller.door_log import DoorLog
from seawall.controller.passwords import Passwords
from seawall.controller.users import Users
from seawall.engine.audit import Action
from seawall.engine.records import SignInRecord, UserRecord
from seawall.engine.store import UserStore
from seawall.operations.operation import Role
from seawall.wire.secret import Secret

IDLE = timedelta(hours=12)
"""How long a sign-in lasts without being used."""

LONGEST = timedelta(days=7)
"""How long it lasts at most."""

REMEMBER_SECONDS = 2.0
"""How long a sign-in that was looked up is believed without asking the store again."""

_NOTE_EVERY = timedelta(minutes=1)
_REMEMBERED = 1_024
_SECRET_BYTES = 32
# A guess at one user from one place; all guesses from one place; all guesses at one user.
_ALLOWANCES = (Allowance(5, 30.0), Allowance(30, 5.0), Allowance(50, 10.0))

_logger = logging.getLogger("seawall.access")


class WrongPassword(Exception):
    """The name or the password is wrong; it isn't said which."""


class TooManyGuesses(Exception):
    """Nothing was checked; `wait_seconds` is how long to wait."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"too many attempts to sign in; try again in {max(1, round(wait_seconds))} s")
        self.wait_seconds = wait_seconds


class SignIn(Struct, frozen=True):
    """Who is signed in, in one browser."""

    sign_in_id: str
    user_id: str
    principal: Principal


class SignIns:
    """See the module's text. The `door` records who isn't let in."""

    def __init__(
        self, store: UserStore, users: Users, passwords: Passwords, clock: Clock, door: DoorLog
    ) -> None:
        self._store = store
        self._users = users
        self._passwords = passwords
        self._clock = clock
        self._door = door
        self._guesses = Guesses(clock)
        self._changes = 0
        self._remembered: dict[str, tuple[SignIn, float]] = {}

    async def begin(self, name: str, password: Secret, address: str) -> tuple[Secret, SignIn]:
        """Sign in; the secret is for the browser. Raises WrongPassword and TooManyGuesses."""
        return await self.admit(await self.prove(name, password, address), address)

    async def prove(self, name: str, password: Secret, address: str) -> UserRecord:
        """The user whose name and password these are. Raises WrongPassword and TooManyGuesses."""
        keys = tuple(zip((f"{address} {name}", address, f" {name}"), _ALLOWANCES, strict=True))
        wait = max(self._guesses.wait_seconds(*key) for key in keys)
        if wait > 0:
            self._door.refused(
                Action.SIGN_IN_REFUSED, address, "too many passwords were tried: none is checked"
            )
            raise TooManyGuesses(wait)
        for key, allowance in keys:
            self._guesses.count(key, allowance)
        user = await self._store.user(name)
        fits = await self._passwords.fits(password, None if user is None else user.password_hash)
        if user is None or not fits:
            _logger.warning("a sign-in failed", extra={"address": address})
            self._door.refused(
                Action.SIGN_IN_REFUSED,
                address,
                # What was given for a name that nobody has may be anything, a password too.
                "there is no such user" if user is None else f"it isn't the password of {user.name}",
                subject="" if user is None else user.user_id,
            )
            raise WrongPassword("the name or the password is wrong")
        for key, _ in keys:
            self._guesses.forget(key)
        return user

    async def admit(self, user: UserRecord, address: str) -> tuple[Secret, SignIn]:
        """Sign in a user who has proved to be the one. Raises WrongPassword if it was removed meanwhile."""
        secret, now = Secret(secrets.token_urlsafe(_SECRET_BYTES)), self._clock.wall()
        record = SignInRecord(
            self._clock.new_id(),
            user.user_id,
            hash_secret(secret.reveal()),
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
            address=address,
        )
        if not await self._store.add_sign_in(record):
            raise WrongPassword("the name or the password is wrong")
        _logger.info("%s signed in", user.name, extra={"address": address})
        return secret, _sign_in(record, user)

    async def find(self, secret_hash: str, *, used: bool = True) -> SignIn | None:
        """Who is signed in with the secret of this hash; None if nobody is (any more).

        `used` says that a person does something, and isn't only shown something.
        """
        if self._changes != self._users.changes:
            self._changes = self._users.changes
            self._remembered.clear()
        known = self._remembered.get(secret_hash)
        if known is not None and self._clock.now() < known[1]:
            return known[0]
        changes = self._changes
        found = await self._store.sign_in(secret_hash)
        if found is None or not self._live(*found):
            self._remembered.pop(secret_hash, None)
            return None
        record, user = found
        now = self._clock.wall()
        if used and now - record.seen_at >= _NOTE_EVERY:
            await self._store.seen_sign_in(record.sign_in_id, now)
        sign_in = _sign_in(record, user)
        # What was read before a change of users says nothing about the time after it.
        if changes == self._users.changes:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[secret_hash] = (sign_in, self._clock.now() + REMEMBER_SECONDS)
        return sign_in

    async def end(self, sign_in: SignIn) -> None:
        """Sign out."""
        await self._store.end_sign_in(sign_in.sign_in_id, self._clock.wall(), sign_in.principal.caller)
        self._remembered.clear()

    def _live(self, record: SignInRecord, user: UserRecord) -> bool:
        now = self._clock.wall()
        over = record.ended_at is not None or user.removed_at is not None
        return not over and now < record.expires_at and now < record.seen_at + IDLE


def _sign_in(record: SignInRecord, user: UserRecord) -> SignIn:
    principal = Principal(user.name, Role(user.role), record.sign_in_id, record.address, is_user=True)
    return SignIn(record.sign_in_id, user.user_id, principal)
