"""How the parts of the client make their requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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
