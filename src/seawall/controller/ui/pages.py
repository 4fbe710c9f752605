"""NiceGUI behind the door: loaded when the first user comes in, and put down with the controller."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from importlib import import_module

from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.controller.ui.headers import Nonces


class Pages:
    """The pages as an ASGI app. Until somebody asks for one they cost nothing: NiceGUI takes a while to import."""

    def __init__(self) -> None:
        self._loading = asyncio.Lock()
        self._open = AsyncExitStack()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if self._app is None:
            async with self._loading:
                if self._app is None:
                    self._app = await self._load()
        await self._app(scope, receive, send)

    async def close(self) -> None:
        """End what runs for the pages."""
        await self._open.aclose()

    async def _load(self) -> ASGIApp:
        module = await asyncio.to_thread(import_module, "seawall.controller.ui.mount")
        shell: ASGIApp = await self._open.enter_async_context(module.mounted())
        return Nonces(shell)
