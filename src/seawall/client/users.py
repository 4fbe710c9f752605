"""Users of the dashboard, as an admin manages them."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from seawall.client.answers import decoded
from seawall.client.send import Send, part
from seawall.wire.secret import Secret


class User(Struct):
    """Somebody who may sign in to the dashboard."""

    user_id: str
    name: str
    role: str
    created_at: datetime


class Users:
    """`Client.users`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def all(self) -> list[User]:
        """All users, by name."""
        return decoded(await self._send("GET", "/users", repeatable=True), list[User])

    async def add(self, name: str, role: str, password: Secret) -> User:
        """Make a user; `role` is viewer, operator or admin."""
        body = {"name": name, "role": role, "password": password.reveal()}
        return decoded(await self._send("POST", "/users", body=body), User)

    async def remove(self, name: str) -> None:
        """Remove a user; its sign-ins end at once."""
        await self._send("DELETE", _path(name))

    async def give_password(self, name: str, password: Secret) -> User:
        """Give a user another password; its sign-ins end at once."""
        body = {"password": password.reveal()}
        return decoded(await self._send("PUT", f"{_path(name)}/password", body=body, repeatable=True), User)

    async def give_role(self, name: str, role: str) -> User:
        """Give a user another role; its sign-ins end at once."""
        return decoded(
            await self._send("PUT", f"{_path(name)}/role", body={"role": role}, repeatable=True), User
        )


def _path(name: str) -> str:
    return f"/users/{part(name)}"
