"""What the engine needs from the world. Adapters implement these; what the docstrings say binds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from seawall.core.command import Attempt, Command, Outcome
from seawall.core.events import Event

Subscriber = Callable[[Event], None]
"""Called at once for each event, in order. It must return quickly and must not raise."""


class Link(Protocol):
    """The way to the agents."""

    def is_connected(self, agent_id: str) -> bool:
        """Whether the agent can be sent to now."""

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        """Deliver one attempt and wait for its outcome, at most `attempt.timeout_seconds`, the sending included.

        Never raises for what can be expected of a network or an agent: these are Outcomes. May be cancelled at any
        await; nothing of the attempt may stay behind then.
        """

    async def connected(self, agent_id: str, until: float) -> None:
        """Return once the agent is connected, or at the monotonic time `until`."""


class Journal(Protocol):
    """Keeps what happens to a command where a crash can't reach it."""

    def prepared(self, command: Command) -> str | None:
        """The correlation id of an attempt that is on record already and wasn't started yet."""

    async def attempt_started(self, command: Command, attempt: Attempt) -> None:
        """Durable before it returns: the attempt is about to be sent. Nothing is sent if this raises."""

    def attempt_finished(self, command: Command, attempt: Attempt, outcome: Outcome) -> None:
        """The attempt's outcome, to be written with what follows."""

    async def waiting(self, command: Command) -> None:
        """Nothing follows for a while: write what there is."""
