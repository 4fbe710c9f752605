"""Streams make way for commands: while some come, sources are read slower, so that a processor is free for them."""

from __future__ import annotations

from seawall.clock import Clock

COURTEOUS_SECONDS = 0.1
"""How long streams make way after a command has come."""

BREATH_SECONDS = 0.002
"""The least time between two pieces of a stream that makes way; its source isn't read meanwhile."""


class Courtesy:
    """Shared by all streams of an agent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.now()

    def command_came(self) -> None:
        """Make way from now on."""
        self._until = self._clock.now() + COURTEOUS_SECONDS

    async def breathe(self, since: float) -> float:
        """Wait for the time of a stream's next piece, with `since` that of the last one; return that time."""
        clock = self._clock
        if clock.now() < min(since + BREATH_SECONDS, self._until):
            await clock.sleep_until(since + BREATH_SECONDS)
        return clock.now()
