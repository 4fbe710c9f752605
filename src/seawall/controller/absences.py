"""Keeps on record when hosts had no session: what their availability is made of."""

from __future__ import annotations

import logging
from typing import Final

from seawall.clock import Clock, at_leisure, wall_of
from seawall.engine.fleet import Fleet
from seawall.engine.history import Absence, AbsenceStore
from seawall.engine.store import StoreFailed

LOOK_SECONDS: Final = 5.0

LEAST_SECONDS: Final = 60.0
"""Shorter ones aren't kept: links blink, and all agents come back one after the other when the controller starts."""

_MOST = 1_000_000

_logger = logging.getLogger("seawall.absences")


class AbsenceRecorder:
    """See the module's text. An absence is kept once it has lasted, and again when it has ended."""

    def __init__(self, store: AbsenceStore, fleet: Fleet, clock: Clock) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._kept: set[str] = set()

    async def run(self) -> None:
        """Keep them, until cancelled. One that began before the controller stopped goes on."""
        known = await self._store.absences(self._clock.wall(), limit=_MOST)
        self._kept = {absence.agent_id for absence in known if absence.end is None}
        while True:
            await self._clock.sleep_until(self._clock.now() + LOOK_SECONDS)
            try:
                await self._look()
            except StoreFailed as error:
                _logger.warning("absences of hosts are not kept yet: %s", error)

    async def _look(self) -> None:
        absent, now = self._fleet.absent, self._clock.now()
        back = [agent_id for agent_id in self._kept if agent_id not in absent]
        gone = [
            Absence(agent_id, wall_of(self._clock, since), None)
            for agent_id, since in absent.items()
            if now - since >= LEAST_SECONDS and agent_id not in self._kept
        ]
        wall = self._clock.wall()
        async for some in at_leisure(self._clock, back):
            await self._store.end_absences(some, wall)
            self._kept.difference_update(some)
        async for more in at_leisure(self._clock, gone):
            await self._store.add_absences(more)
            self._kept.update(absence.agent_id for absence in more)
