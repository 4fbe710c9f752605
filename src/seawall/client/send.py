"""How the parts of the client make their requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

import httpx


class Send(Protocol):
    """One request to the API; see `Client`."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        repeatable: bool = False,
        answer_seconds: float = 30.0,
    ) -> httpx.Response:
        """Method, path below /api/v1, and what to send; `repeatable` if twice does no harm."""


def part(text: str) -> str:
    """A text as one part of a path; dots alone would climb out of it."""
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted
