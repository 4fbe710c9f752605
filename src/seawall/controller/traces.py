"""The traces of a controller: none, and nothing imported for them, unless a collector is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.clock import Clock
from seawall.controller.session_support import SessionSupport
from seawall.engine.ports import Subscriber
from seawall.telemetry.tracing import open_spans
from seawall.telemetry.usage import TRACE_SPANS, Reading

if TYPE_CHECKING:
    from seawall.telemetry.command_spans import CommandSpans

_COMMANDS = "/api/v1/commands"


class ControllerTraces:
    """Follows commands from the request that gives them to the frame that takes them to an agent."""

    def __init__(self, clock: Clock) -> None:
        self.subscribers: list[Subscriber] = []
        """Whom the controller's events have to be told."""
        self._spans = open_spans("seawall-controller", os.environ)
        self._commands: CommandSpans | None = None
        if self._spans is not None:
            from seawall.telemetry.command_spans import CommandSpans

            self._commands = CommandSpans(self._spans, clock)
            self.subscribers.append(self._commands.observe)

    def join(self, sessions: SessionSupport, api: FastAPI) -> None:
        """Let the sessions take contexts along, and the API take them over from its callers."""
        if self._commands is not None:
            sessions.traceparent = self._commands.traceparent
            api.add_middleware(CallersContext)

    def readings(self) -> Iterator[Reading]:
        """What became of the spans, for the metrics."""
        if self._spans is not None:
            counts = self._spans.counts
            by_end = {"sent": counts.sent, "failed": counts.failed, "dropped": counts.dropped}
            yield TRACE_SPANS, [((end,), count) for end, count in by_end.items()]

    async def close(self) -> None:
        """Send what waits, for a moment."""
        if self._spans is not None:
            await self._spans.close()


class CallersContext:
    """A command that is given with a `traceparent` becomes a part of its caller's trace."""

    def __init__(self, app: ASGIApp) -> None:
        from opentelemetry.context import attach, detach
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._app = app
        self._attach, self._detach = attach, detach
        self._extract = TraceContextTextMapPropagator().extract

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        given = None
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_COMMANDS):
            given = Headers(scope=scope).get("traceparent")
        if given is None:
            await self._app(scope, receive, send)
            return
        # Tasks inherit it: the one that accepts the command, and the one that drives it.
        token = self._attach(self._extract({"traceparent": given}))
        try:
            await self._app(scope, receive, send)
        finally:
            self._detach(token)
