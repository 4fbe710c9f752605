"""Traces: a span for each attempt that a controller's trace takes part in, and below it one for each Docker call.

A span tells the operation, and which call of the Docker Engine: neither what was given to it nor what it answered.
Import it only where spans are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import cast

from opentelemetry.trace import Span, SpanKind, get_current_span, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from seawall.agent.docker import Docker, DockerFailure
from seawall.telemetry.spans import Spans, fail
from seawall.wire.messages import Completed, Execute, FromAgent, Started

MOST_ATTEMPTS = 10_000
"""So many attempts are followed at once; more have no spans."""


class ExecutionSpans:
    """Of one agent, whose name is `agent`."""

    def __init__(self, spans: Spans, agent: str) -> None:
        self._tracer = spans.tracer
        self._agent = agent
        self._context_of = TraceContextTextMapPropagator().extract
        self._open: dict[str, dict[str, Span]] = {}
        self._count = 0

    @contextmanager
    def execution(self, message: Execute) -> Iterator[None]:
        """While it lasts, whatever is begun belongs to the span of this attempt, which ends with its answer."""
        span = self._begin(message) if message.traceparent else None
        if span is None:
            yield
            return
        with use_span(span, record_exception=False, set_status_on_exception=False):
            yield

    def telling(self, send: Callable[[FromAgent], None]) -> Callable[[FromAgent], None]:
        """`send`, by whose messages the spans end: also where the session is over, and nobody hears them."""

        def tell(message: FromAgent) -> None:
            if isinstance(message, Completed):
                self._end(message)
            elif isinstance(message, Started):
                for span in self._open.get(message.command_id, {}).values():
                    span.add_event("begun")
            send(message)

        return tell

    def calling(self, docker: Docker) -> Docker:
        """`docker`, whose calls are spans where they are made for an attempt that has one."""
        return cast("Docker", _TracedDocker(docker, self._call))

    def close(self) -> None:
        """The agent stops: what it still works on is told by its ledger, later."""
        for attempts in self._open.values():
            for span in attempts.values():
                fail(span, "agent_stopped", "the agent stopped before it could answer")
                span.end()
        self._open.clear()

    def _begin(self, message: Execute) -> Span | None:
        attempts = self._open.get(message.command_id, {})
        if message.correlation_id in attempts or self._count >= MOST_ATTEMPTS:
            return None
        parent = get_current_span(self._context_of({"traceparent": message.traceparent}))
        if not parent.get_span_context().is_valid:
            return None
        span = self._tracer.start_span(
            f"agent {message.operation}",
            context=set_span_in_context(parent),
            kind=SpanKind.SERVER,
            attributes={
                "seawall.command_id": message.command_id,
                "seawall.operation": message.operation,
                "seawall.agent": self._agent,
                "seawall.attempt": message.attempt,
            },
        )
        self._count += 1
        self._open.setdefault(message.command_id, {})[message.correlation_id] = span
        return span

    def _end(self, message: Completed) -> None:
        attempts = self._open.get(message.command_id)
        if attempts is None:
            return
        # What the ledger has is the answer to every attempt, also to those whose session is over.
        ended = list(attempts) if message.recorded else [message.correlation_id]
        for span in [attempts.pop(correlation_id) for correlation_id in ended if correlation_id in attempts]:
            self._count -= 1
            span.set_attribute("seawall.recorded", message.recorded)
            if message.code is not None:
                span.set_attribute("seawall.circumstance", message.circumstance)
                fail(span, message.code, message.error)
            span.end()
        if not attempts:
            del self._open[message.command_id]

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        if not get_current_span().get_span_context().is_valid:
            yield
            return
        with self._tracer.start_as_current_span(
            f"docker {name}", kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except DockerFailure as failure:
                span.set_attribute("seawall.circumstance", failure.circumstance.value)
                fail(span, failure.code.value, failure.message)
                raise


class _TracedDocker:
    """A `Docker`, method by method: those that return when Docker has answered are calls."""

    def __init__(self, docker: Docker, call: Callable[[str], AbstractContextManager[None]]) -> None:
        self._docker = docker
        self._call = call

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._docker, name)
        if not iscoroutinefunction(found):
            return found
        asked = found

        @wraps(asked)
        async def called(*given: object, **named: object) -> object:
            with self._call(name):
                answer: object = await asked(*given, **named)
            return answer

        return called
