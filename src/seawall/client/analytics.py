"""The part of the client that is about figures over time: `client.analytics`."""

from __future__ import annotations

from datetime import datetime

from seawall.client.answers import decoded
from seawall.client.send import Send
from seawall.engine.analytics import Analytics
from seawall.engine.analytics_csv import CsvTable

_LOOK_SECONDS = 300.0


class AnalyticsView:
    """Its methods raise what those of the client do."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def look(
        self, since: datetime | None = None, *, host: str | None = None, limit: int = 200
    ) -> Analytics:
        """The figures since a moment, of all hosts or of one; of seven days without it."""
        params = [*_since(since), ("limit", str(limit)), *([("host", host)] if host is not None else [])]
        answer = await self._send(
            "GET", "/analytics", params=params, repeatable=True, answer_seconds=_LOOK_SECONDS
        )
        return decoded(answer, Analytics)

    async def csv(self, table: CsvTable, since: datetime | None = None) -> str:
        """One table as CSV, in full."""
        path = f"/analytics/{table.value}.csv"
        answer = await self._send(
            "GET", path, params=_since(since), repeatable=True, answer_seconds=_LOOK_SECONDS
        )
        return answer.text


def _since(since: datetime | None) -> list[tuple[str, str]]:
    return [] if since is None else [("since", f"{since.timestamp():.6f}")]
