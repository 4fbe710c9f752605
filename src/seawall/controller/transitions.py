"""Keeps the history of circuits: a subscriber that only notes, and a task that writes what was noted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from seawall.clock import Clock, wall_of
from seawall.core.events import CircuitChanged, Event
from seawall.engine.records import TransitionRecord
from seawall.engine.store import CircuitStore, StoreFailed

_BACKLOG = 10_000

_logger = logging.getLogger("seawall.circuits")


class TransitionRecorder:
    """Writes transitions in batches, in order. When the store can't follow, the oldest are lost, and said to be."""

    def __init__(self, store: CircuitStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted: deque[TransitionRecord] = deque()
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._lost = 0

    def observe(self, event: Event) -> None:
        """Note an event, if it is a circuit's."""
        if not isinstance(event, CircuitChanged):
            return
        if len(self._noted) >= _BACKLOG:
            self._noted.popleft()
            self._lost += 1
        self._noted.append(
            TransitionRecord(
                at=wall_of(self._clock, event.at),
                agent_id=event.agent_id,
                domain=event.domain.value,
                origin=event.origin.value,
                target=event.target.value,
                reason=event.reason,
                by=event.by,
            )
        )
        self._arrived.set()

    async def run(self) -> None:
        """Write what is noted, until cancelled."""
        while True:
            await self._arrived.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write what is noted now; returns when everything that was noted before is written, or lost."""
        async with self._writing:
            self._arrived.clear()
            batch = list(self._noted)
            self._noted.clear()
            if self._lost:
                _logger.warning(
                    "%d transitions of circuits were not kept: the store can't follow", self._lost
                )
                self._lost = 0
            if not batch:
                return
            try:
                await self._store.add_transitions(batch)
            except StoreFailed as error:
                _logger.warning("%d transitions of circuits were not kept: %s", len(batch), error)

    async def of_agent(self, agent_id: str) -> list[TransitionRecord]:
        """The latest transitions of an agent's circuits, the newest first, up to this moment."""
        await self.flush()
        return await self._store.transitions(agent_id=agent_id)
