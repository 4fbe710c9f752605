"""API tokens, as an admin manages them."""

from __future__ import annotations

from seawall.client.answers import decoded
from seawall.client.models import NewToken, Token
from seawall.client.send import Send, part


class Tokens:
    """`Client.tokens`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def all(self) -> list[Token]:
        """All live tokens, without their secrets."""
        return decoded(await self._send("GET", "/tokens", repeatable=True), list[Token])

    async def add(self, name: str, role: str, expires_in_seconds: float | None = None) -> NewToken:
        """Make a token; `role` is viewer, operator or admin."""
        body: dict[str, object] = {"name": name, "role": role}
        if expires_in_seconds is not None:
            body["expires_in_seconds"] = expires_in_seconds
        return decoded(await self._send("POST", "/tokens", body=body), NewToken)

    async def revoke(self, token_id: str) -> None:
        """End a token."""
        await self._send("DELETE", f"/tokens/{part(token_id)}")
