"""Passwords: how they are kept and checked. Nothing else knows argon2."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from seawall.wire.secret import Secret

SHORTEST, LONGEST = 10, 256


class UnfitPassword(ValueError):
    """The password can't be taken; the message says why."""


class Passwords:
    """Hashes and checks passwords, one after the other: each takes 64 MiB and some 50 ms, away from the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher if hasher is not None else PasswordHasher()
        self._turn = asyncio.Semaphore(1)
        self._nobodys: str | None = None

    async def hashed(self, password: Secret) -> str:
        """How a new password is kept. Raises UnfitPassword."""
        text = password.reveal()
        if not SHORTEST <= len(text) <= LONGEST:
            raise UnfitPassword(f"a password has between {SHORTEST} and {LONGEST} characters")
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, _bytes(text))

    async def fits(self, password: Secret, kept: str | None) -> bool:
        """Whether this is the password that was kept so. None, for nobody's, takes as long as any other."""
        text = password.reveal()[: LONGEST + 1]
        async with self._turn:
            return await asyncio.to_thread(self._check, _bytes(text), kept)

    def _check(self, password: bytes, kept: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(b"nobody's password")
        try:
            self._hasher.verify(kept if kept is not None else self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
