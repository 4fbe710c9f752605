"""What the doors are told while a command runs: events in plain values, on the bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct, field

from seawall.clock import Clock, wall_of
from seawall.core.events import (
    AlertSaid,
    AttemptFinished,
    AttemptStarted,
    CircuitChanged,
    CommandParked,
    Event,
    MassFailureChanged,
    RetryScheduled,
)


class Notice(Struct, frozen=True):
    """`kind` says what happened, `content` the rest in plain values that any encoder takes."""

    kind: str
    agent_id: str
    command_id: str | None = None
    content: dict[str, object] = field(default_factory=dict)


class Bus(Protocol):
    """Carries notices to whoever listens. A hint: the truth is in the store, and a slow listener loses some."""

    def publish(self, notice: Notice) -> None:
        """Tell all who listen."""

    def listen(self, command_id: str | None = None) -> AbstractContextManager[AsyncIterator[Notice]]:
        """Listen to one command, or to everything. One that lost notices gets one of kind `lost` in their place."""


def notice_of(event: Event, clock: Clock) -> Notice | None:
    """The notice of an event; None for those that nobody is told of here.

    A command's end is none of them: it is told by the dispatcher, when it is durable.
    """
    match event:
        case AttemptStarted():
            content: dict[str, object] = {
                "number": event.attempt.number,
                "correlation_id": event.attempt.correlation_id,
                "timeout_seconds": event.attempt.timeout_seconds,
            }
            return Notice("attempt_started", event.command.agent_id, event.command.command_id, content)
        case AttemptFinished():
            code = event.outcome.code
            content = {
                "number": event.attempt.number,
                "error_code": code.value if code is not None else None,
                "error": event.outcome.error,
                "duration_seconds": event.duration_seconds,
            }
            return Notice("attempt_finished", event.command.agent_id, event.command.command_id, content)
        case RetryScheduled():
            code = event.outcome.code
            content = {
                "attempt": event.failed_attempts + 1,
                "of": event.max_attempts,
                "delay_seconds": event.delay_seconds,
                "error_code": code.value if code is not None else None,
                "error": event.outcome.error,
            }
            return Notice("retry", event.command.agent_id, event.command.command_id, content)
        case CommandParked():
            until = wall_of(clock, event.until).isoformat() if event.until != float("inf") else None
            return Notice("parked", event.command.agent_id, event.command.command_id, {"until": until})
        case AlertSaid():
            content = {
                "said": event.said.value,
                "kind": event.kind.value,
                "title": event.title,
                "text": event.body,
            }
            return Notice("alert", "", None, content)
        case MassFailureChanged():
            content = {"began": event.began, "failing": event.failing, "agents": event.agents}
            return Notice("mass_failure", "", None, content)
        case CircuitChanged():
            content = {
                "domain": event.domain.value,
                "from": event.origin.value,
                "to": event.target.value,
                "reason": event.reason,
                "by": event.by,
            }
            return Notice("circuit", event.agent_id, None, content)
        case _:
            return None
