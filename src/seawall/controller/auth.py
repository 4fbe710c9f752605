"""Who asks: API tokens, the principals behind them, and the first token of all."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from seawall.clock import Clock, moment_of
from seawall.controller.credentials import hash_secret, new_api_token
from seawall.engine.audit import CONTROLLER, Caller, token_actor, user_actor
from seawall.engine.records import TokenRecord
from seawall.engine.store import AccessStore
from seawall.files import write_whole
from seawall.operations.operation import Role
from seawall.wire.join import API_TOKEN_PREFIX
from seawall.wire.secret import Secret

ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - the name of a file
ADMIN_NAME = "admin"
REMEMBER_SECONDS = 2.0
"""How long a token that was looked up is believed without asking the store again; a revocation ends that at once."""

_REMEMBERED = 1_024
_TOKEN_FILE_LIMIT_BYTES = 4_096
_TOKEN = re.compile(API_TOKEN_PREFIX + r"[A-Za-z0-9_-]{43}")

_logger = logging.getLogger("seawall.access")


class AdminTokenError(Exception):
    """The admin token's file can't be used. The message says which file, why, and what to do."""


class LastAdminToken(Exception):
    """Without this token nobody could administer the controller any more."""


class Principal(Struct, frozen=True):
    """Who asks, as proved by an API token, or by the sign-in of a user, whose id `token_id` is then."""

    name: str
    role: Role
    token_id: str
    source: str = ""
    is_user: bool = False

    @property
    def caller(self) -> Caller:
        """Who this is to the audit log."""
        return Caller(user_actor(self.name) if self.is_user else token_actor(self.name), self.source)


class Access:
    """API tokens: look-up, creation and revocation. All changes of tokens go through here."""

    def __init__(self, store: AccessStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._remembered: dict[str, tuple[Principal, float]] = {}
        self._revocations = 0
        self._changing = asyncio.Lock()

    async def principal(self, token: str) -> Principal | None:
        """Whom a token stands for; None if it is malformed, unknown, revoked or expired."""
        judged = await self.judge(token)
        return judged if isinstance(judged, Principal) else None

    async def judge(self, token: str) -> Principal | str:
        """Whom a token stands for, or what is wrong with it: a sentence for the log, which callers don't hear."""
        if not _TOKEN.fullmatch(token):
            return "it hasn't the form of a token"
        secret_hash = hash_secret(token)
        known = self._remembered.get(secret_hash)
        if known is not None and self._clock.now() < known[1]:
            return known[0]
        revocations = self._revocations
        record = await self._store.token_by_hash(secret_hash)
        if record is None or not self._live(record):
            self._remembered.pop(secret_hash, None)
            return self._refusal(record)
        principal = Principal(record.name, Role(record.role), record.token_id)
        # What was read before a revocation says nothing about the time after it.
        if revocations == self._revocations:
            self._remember(secret_hash, principal, record)
        return principal

    async def create(
        self, name: str, role: Role, expires_in_seconds: float | None = None, caller: Caller = CONTROLLER
    ) -> tuple[Secret, TokenRecord]:
        """Make a token. The secret is only known now; the store keeps its hash."""
        secret = new_api_token()
        record = self._record(secret, name, role, expires_in_seconds)
        await self._store.add_token(record, caller)
        return secret, record

    async def tokens(self) -> list[TokenRecord]:
        """All tokens that aren't revoked, by name."""
        return await self._store.tokens()

    async def revoke(self, token_id: str, caller: Caller = CONTROLLER) -> bool:
        """End a token, at once; False if there is no such live one. Raises LastAdminToken."""
        async with self._changing:
            tokens = await self._store.tokens()
            admins = [each for each in tokens if each.role == Role.ADMIN.value and self._live(each)]
            if [each.token_id for each in admins] == [token_id]:
                raise LastAdminToken("this is the last admin token; create another one before you revoke it")
            try:
                return await self._store.revoke_token(token_id, self._clock.wall(), caller)
            finally:
                self._revocations += 1
                self._remembered.clear()

    async def ensure_admin_token(self, directory: Path) -> Path:
        """Make sure that the directory's `admin.token` (mode 0600) holds a live admin token; say where it is.

        Raises AdminTokenError.
        """
        path = directory / ADMIN_TOKEN_FILE
        kept = await asyncio.to_thread(_read_token, path)
        if kept is not None:
            principal = await self.principal(kept)
            if principal is not None and principal.role is Role.ADMIN:
                return path
        had_one = any(token.role == Role.ADMIN.value for token in await self._store.tokens())
        secret = new_api_token()
        # The file first: a token that is in no file could never be used, only forgotten.
        await asyncio.to_thread(_write_token, path, secret)
        await self._store.add_token(self._record(secret, ADMIN_NAME, Role.ADMIN, None))
        if had_one:
            _logger.warning(
                "%s held no live admin token, so a new one was made; the earlier ones work until they are revoked: "
                "see `seawall token list`",
                path,
            )
        else:
            _logger.info("the first admin token was written to %s", path)
        return path

    def _record(self, secret: Secret, name: str, role: Role, expires_in_seconds: float | None) -> TokenRecord:
        now = self._clock.wall()
        return TokenRecord(
            token_id=self._clock.new_id(),
            name=name,
            role=role.value,
            secret_hash=hash_secret(secret.reveal()),
            created_at=now,
            expires_at=None if expires_in_seconds is None else now + timedelta(seconds=expires_in_seconds),
        )

    def _refusal(self, record: TokenRecord | None) -> str:
        if record is None:
            return "it is unknown"
        if record.revoked_at is not None:
            return f"it is that of {record.name}, which was revoked"
        return f"it is that of {record.name}, which has expired"

    def _live(self, record: TokenRecord) -> bool:
        expired = record.expires_at is not None and record.expires_at <= self._clock.wall()
        return record.revoked_at is None and not expired

    def _remember(self, secret_hash: str, principal: Principal, record: TokenRecord) -> None:
        until = self._clock.now() + REMEMBER_SECONDS
        if record.expires_at is not None:
            until = min(until, moment_of(self._clock, record.expires_at))
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[secret_hash] = (principal, until)


def _read_token(path: Path) -> str | None:
    """The token in the file, closed to other users; None if there is no such file."""
    try:
        with path.open("rb") as file:
            os.fchmod(file.fileno(), 0o600)
            return file.read(_TOKEN_FILE_LIMIT_BYTES).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _write_token(path: Path, secret: Secret) -> None:
    try:
        write_whole(path, f"{secret.reveal()}\n".encode())
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> AdminTokenError:
    return AdminTokenError(
        f"the admin token's file {path} can't be read or written: {error.strerror or error}; make sure that the "
        "controller's user owns it, or remove it: a new one is made at the next start"
    )
