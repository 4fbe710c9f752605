"""Traces: a subscriber that keeps a span for every command under way, and below it one for each of its attempts.

A span tells which command it is and how it ended; what the command was given, and what it answered, is in none.
"""

from __future__ import annotations

from uuid import UUID

from opentelemetry.trace import Span, SpanKind, set_span_in_context

from seawall.clock import Clock, wall_of
from seawall.core.command import Command
from seawall.core.errors import CommandErrorCode
from seawall.core.events import (
    AttemptFinished,
    AttemptStarted,
    CommandFinished,
    CommandParked,
    CommandSettled,
    Event,
    RetryScheduled,
    SlotAwaited,
)
from seawall.telemetry.redaction import redact_text
from seawall.telemetry.spans import Spans, fail, traceparent

MOST_COMMANDS = 20_000
"""So many commands are followed at once; the oldest is let go for one more."""


class CommandSpans:
    """Of one controller, or of one program that embeds the engine."""

    def __init__(self, spans: Spans, clock: Clock) -> None:
        self._spans = spans
        self._clock = clock
        self._commands: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}

    def traceparent(self, correlation_id: str) -> str:
        """The context that an attempt takes along to its agent; "" for one that isn't followed."""
        span = self._attempts.get(correlation_id)
        return traceparent(span) if span is not None else ""

    def observe(self, event: Event) -> None:
        """See `ports.Subscriber`."""
        match event:
            case AttemptStarted():
                self._begin_attempt(event)
            case AttemptFinished():
                self._end_attempt(event)
            case RetryScheduled():
                self._note_retry(event)
            case SlotAwaited():
                waited = {"seawall.waited_seconds": event.waited_seconds, "seawall.got": event.got}
                self._span(event.command, event.at).add_event("waited for a slot", waited, self._at(event.at))
            case CommandParked():
                self._span(event.command, event.at).add_event("waits for its agent", None, self._at(event.at))
            case CommandFinished():
                self._end_command(event)
            case CommandSettled():
                self._note_settled(event)

    def _span(self, command: Command, now: float) -> Span:
        """The span of a command. It begins when the command was accepted, in whichever start of the controller."""
        span = self._commands.get(command.command_id)
        if span is None:
            if len(self._commands) >= MOST_COMMANDS:
                self._commands.pop(next(iter(self._commands))).end()
            self._spans.name_next(command.command_id)
            # Without a context of its own it is a child of the request that gave the command, if that has a span.
            span = self._spans.tracer.start_span(
                f"command {command.operation}",
                kind=SpanKind.SERVER,
                start_time=_accepted_at(command.command_id) or self._at(now),
                attributes={
                    "seawall.command_id": command.command_id,
                    "seawall.operation": command.operation,
                    "seawall.agent_id": command.agent_id,
                },
            )
            self._commands[command.command_id] = span
        return span

    def _begin_attempt(self, event: AttemptStarted) -> None:
        command, attempt = event.command, event.attempt
        self._attempts[attempt.correlation_id] = self._spans.tracer.start_span(
            "attempt",
            context=set_span_in_context(self._span(command, event.at)),
            kind=SpanKind.CLIENT,
            start_time=self._at(event.at),
            attributes={
                "seawall.command_id": command.command_id,
                "seawall.agent_id": command.agent_id,
                "seawall.attempt": attempt.number,
                "seawall.timeout_seconds": attempt.timeout_seconds,
            },
        )

    def _end_attempt(self, event: AttemptFinished) -> None:
        span = self._attempts.pop(event.attempt.correlation_id, None)
        if span is None:
            return
        outcome = event.outcome
        span.set_attribute("seawall.source", outcome.source.value)
        if outcome.code is not None:
            span.set_attribute("seawall.circumstance", outcome.circumstance.value)
            fail(span, outcome.code.value, outcome.error)
        span.end(self._at(event.at))

    def _note_retry(self, event: RetryScheduled) -> None:
        outcome = event.outcome
        facts: dict[str, str | int | float] = {
            "seawall.failed_attempts": event.failed_attempts,
            "seawall.max_attempts": event.max_attempts,
            "seawall.delay_seconds": event.delay_seconds,
            "seawall.reason": redact_text(outcome.error or ""),
        }
        if outcome.code is not None:
            facts["error.type"] = outcome.code.value
        self._span(event.command, event.at).add_event("retry scheduled", facts, self._at(event.at))

    def _end_command(self, event: CommandFinished) -> None:
        span, result, at = self._span(event.command, event.at), event.result, self._at(event.at)
        del self._commands[event.command.command_id]
        code, reason = result.error_code, redact_text(result.error or "")
        if code is CommandErrorCode.CIRCUIT_OPEN or code is CommandErrorCode.BULKHEAD_FULL:
            span.add_event("refused", {"error.type": code.value, "seawall.reason": reason}, at)
        elif result.stopped_by is not None:
            span.add_event("no further attempt", {"seawall.reason": result.stopped_by.value}, at)
        span.set_attribute("seawall.attempts", result.total_attempts)
        if result.state is not None:
            span.set_attribute("seawall.state", result.state.value)
        if code is not None:
            fail(span, code.value, result.error)
        span.end(at)

    def _note_settled(self, event: CommandSettled) -> None:
        self._spans.tracer.start_span(
            "settled",
            context=self._spans.context_of(event.command_id),
            start_time=self._at(event.at),
            attributes={
                "seawall.command_id": event.command_id,
                "seawall.agent_id": event.agent_id,
                "seawall.state": event.state.value,
                "seawall.by": event.by or "the agent's ledger",
            },
        ).end(self._at(event.at))

    def _at(self, moment: float) -> int:
        """A monotonic moment in the nanoseconds of the time of day."""
        return int(wall_of(self._clock, moment).timestamp() * 1_000_000) * 1000


def _accepted_at(command_id: str) -> int | None:
    """The time of day, in nanoseconds, that a command's id tells; None for an id that is not of version 7."""
    try:
        given = UUID(command_id)
    except ValueError:
        return None
    return (given.int >> 80) * 1_000_000 if given.version == 7 else None
