"""NiceGUI, mounted below /ui. It lives in its modules: one per process, so it serves one controller at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request
from nicegui import Client, app, ui
from starlette.types import ASGIApp

# Each module declares its page.
from seawall.controller.ui import (
    alerts,
    analytics,
    audit,
    circuits,
    command,
    commands,
    downloads,
    fleet,
    host,
    resilience,
    settings,
)
from seawall.controller.ui.frame import Page, say_missing

PAGES = (fleet, host, commands, command, circuits, alerts, analytics, resilience, audit, settings)
_RECONNECT_SECONDS = 30.0


@asynccontextmanager
async def mounted() -> AsyncIterator[ASGIApp]:
    """The pages as an ASGI app that has started."""
    shell = _shell()
    # The API's server calls no lifespans: what NiceGUI does at start and stop is done here.
    async with shell.router.lifespan_context(shell):
        yield shell


@cache
def _shell() -> FastAPI:
    shell = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    shell.include_router(downloads.router)
    ui.run_with(
        shell,
        mount_path="/ui",
        title="Seawall",
        dark=None,
        language="en-US",
        # Nothing is bound: pages say themselves what changed.
        binding_refresh_interval=None,
        reconnect_timeout=_RECONNECT_SECONDS,
        gzip_middleware_factory=None,
        tailwind=False,
        show_welcome_message=False,
        favicon=Path(__file__).parent / "static" / "seawall.svg",
    )
    # After all others, so that they are asked first.
    ui.page("/{path:path}")(missing)
    # Polling would go on where a socket was refused.
    app.config.socket_io_js_transports = ["websocket"]
    return shell


async def missing(request: Request, client: Client) -> None:
    """What is said of a path that no page has."""
    with Page(request, client, "Nothing here").frame():
        say_missing(client, "Nothing here", "No page has this address.", "/ui/", "Back to the fleet")
