"""What the sessions of one gateway share: one heap of deadlines, one task group, and what they count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from seawall.clock import Clock
from seawall.engine.deadlines import Deadlines
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus

_logger = logging.getLogger("seawall.gateway")


class SessionSupport:
    """Made by the gateway, used by each of its sessions. The counters only grow; telemetry reads them."""

    def __init__(self, fleet: Fleet, bus: Bus, clock: Clock, heartbeat_seconds: float) -> None:
        self.fleet = fleet
        self.bus = bus
        self.clock = clock
        self.heartbeat_seconds = heartbeat_seconds
        self.deadlines = Deadlines(clock)
        self.tasks: asyncio.TaskGroup | None = None
        self.under_way: set[str] = set()
        """The correlation ids of all attempts that await an answer, in whichever session."""
        self.sessions_opened = 0
        self.handshakes_refused = 0
        self.foreign_answers = 0
        """Answers to attempts that another session owns."""
        self.late_answers = 0
        """Answers to attempts that are over, or never were."""
        self.stale_frames = 0
        """Answers from an older epoch, or about another command than their attempt's."""
        self.bad_frames = 0

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` beside everything else; a gateway that has stopped has nothing left to work on."""
        if self.tasks is None:
            work.close()
        else:
            self.tasks.create_task(_unharmed(work))


async def _unharmed(work: Coroutine[None, None, None]) -> None:
    """A defect in what is done for one session costs that work, not the gateway."""
    try:
        await work
    except Exception:
        _logger.exception("work for a session failed; this is a defect")
