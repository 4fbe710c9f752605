"""The audit log as the API gives it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from msgspec import Struct

from seawall.client.answers import decoded
from seawall.client.send import Send
from seawall.engine.audit import read_exported

_PAGE = 1_000
_VERIFY_SECONDS = 600.0


class AuditEntry(Struct):
    """Who did what, from where; `detail` depends on the action."""

    position: int
    at: datetime
    actor: str
    source: str
    action: str
    subject: str
    detail: object = None
    hash: str = ""


class AuditFault(Struct):
    """What is wrong with the chain, first of all at `position`."""

    position: int
    kind: str
    text: str


class AuditVerdict(Struct):
    """What was found of the chain. `fault` is None if it is whole; `head` is its last place and hash, to be kept."""

    entries: int
    first: int
    head: str
    head_was: str = ""
    fault: AuditFault | None = None


class _Pruned(Struct):
    pruned: int


class AuditLog:
    """`Client.audit`. Every method needs an admin's token, and raises what those of `Client` raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def entries(
        self,
        *,
        actor: str | None = None,
        actions: Sequence[str] = (),
        subject: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[AuditEntry]:
        """The newest entries first; `before` is the position to go on from."""
        given = {
            "actor": actor,
            "subject": subject,
            "since": None if since is None else since.timestamp(),
            "limit": limit,
            "before": before,
        }
        params = [(name, str(value)) for name, value in given.items() if value is not None]
        params += [("action", action) for action in actions]
        answer = await self._send("GET", "/audit", params=params, repeatable=True)
        return decoded(answer, list[AuditEntry])

    async def lines(self, after: int = 0) -> AsyncGenerator[bytes]:
        """All entries behind a position in order, each a line of JSON that can be verified by itself."""
        while True:
            params = [("after", str(after)), ("limit", str(_PAGE))]
            answer = await self._send("GET", "/audit/export", params=params, repeatable=True)
            lines = answer.content.splitlines(keepends=True)
            if not lines:
                return
            for line in lines:
                yield line
            after = read_exported(lines[-1]).position

    async def verify(self, head: str | None = None) -> AuditVerdict:
        """Have the controller follow the chain; `head` is the POSITION:HASH of an earlier look."""
        answer = await self._send(
            "POST",
            "/audit/verify",
            body={"head": head},
            repeatable=True,
            answer_seconds=_VERIFY_SECONDS,
        )
        return decoded(answer, AuditVerdict)

    async def prune(self, before: datetime) -> int:
        """Remove the oldest entries, up to the first that isn't older; how many there were."""
        answer = await self._send(
            "POST", "/audit/prune", body={"before": before}, answer_seconds=_VERIFY_SECONDS
        )
        return decoded(answer, _Pruned).pruned
