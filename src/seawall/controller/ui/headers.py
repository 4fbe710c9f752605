"""What every answer of the dashboard tells the browser to refuse."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer browsers would hide the origin of our own forms from us as well.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

PAGE_MARK = "X-NiceGUI-Content"
"""NiceGUI puts this header on the pages that it makes."""


def content_policy(nonce: str | None = None) -> str:
    """The Content-Security-Policy: nothing from elsewhere, no script inline but those with the nonce, and no eval.

    Quasar sets styles in attributes and makes style elements, so styles may be inline; they run nothing.
    """
    scripts = "'self'" if nonce is None else f"'self' 'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def add_headers(message: Message, *, more: Mapping[str, str] | None = None, cached: bool = False) -> None:
    """Complete the headers at the start of an answer; one that is `cached` keeps what it says of that."""
    headers = MutableHeaders(scope=message)
    headers["Content-Security-Policy"] = content_policy()
    headers.update({**_ALWAYS, **(more or {})})
    if not cached:
        headers["Cache-Control"] = "no-store"


class Nonces:
    """Gives each script element of a page the nonce of its answer.

    What pages show reaches the browser as data with every `<` escaped: only the template's own scripts are elements.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        start: Message | None = None
        body = bytearray()

        async def send_with_nonces(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and PAGE_MARK in MutableHeaders(scope=message):
                start = message
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            nonce = secrets.token_urlsafe(16)
            page = bytes(body).replace(b"<script", f'<script nonce="{nonce}"'.encode())
            headers = MutableHeaders(scope=start)
            headers["Content-Length"] = str(len(page))
            headers["Content-Security-Policy"] = content_policy(nonce)
            await send(start)
            await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, send_with_nonces)
