"""Makes the figures of a time out of the store: one after the other, in small pieces, and kept for a while."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from seawall.clock import Clock
from seawall.core.circuit import CircuitState
from seawall.core.guard import Guards
from seawall.engine.analytics import LONGEST_SECONDS, MOST_COMMANDS, Analytics, Tally, Window
from seawall.engine.downtime import Circuit, downtimes
from seawall.engine.drive import Slot
from seawall.engine.fleet import Fleet
from seawall.engine.records import AgentRecord
from seawall.engine.store import Store

SHORTEST_SECONDS: Final = 60.0
_PAGE: Final = 250
"""Little enough that a page comes and goes without waking the garbage collector, which would stop everything else."""
_MOST_TRANSITIONS: Final = 100_000
_FRESH_SECONDS, _SHARE = 5.0, 10
"""What was made is good for so long; of the time, at most one part in so many is spent on making anything anew."""
_KEPT = 8

_Key = tuple[str | None, int]


class Analyst:
    """See the module's text."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        guards: Guards[Slot],
        clock: Clock,
        most_commands: int = MOST_COMMANDS,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._guards = guards
        self._clock = clock
        self._most_commands = most_commands
        self._working = asyncio.Lock()
        self._made: dict[_Key, tuple[float, Analytics]] = {}
        self._rest_until = float("-inf")

    async def look(self, seconds: float, agent: AgentRecord | None = None) -> Analytics:
        """The figures of the last so many seconds, of all hosts or of one, as they were a moment ago."""
        seconds = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
        key = (agent.agent_id if agent is not None else None, round(seconds / SHORTEST_SECONDS))
        made = self._known(key)
        if made is None:
            async with self._working:
                made = self._known(key)
                if made is None:
                    made = await self._keep(key, key[1] * SHORTEST_SECONDS, agent)
        return made

    def _known(self, key: _Key) -> Analytics | None:
        """What is good enough still."""
        until, made = self._made.get(key, (float("-inf"), None))
        return made if self._clock.now() < max(until, self._rest_until) else None

    async def _keep(self, key: _Key, seconds: float, agent: AgentRecord | None) -> Analytics:
        begun = self._clock.now()
        made = await self._make(seconds, agent)
        now = self._clock.now()
        self._made.pop(key, None)
        while len(self._made) >= _KEPT:
            del self._made[next(iter(self._made))]
        self._made[key] = (now + _FRESH_SECONDS, made)
        self._rest_until = now + (now - begun) * (_SHARE - 1)
        return made

    async def _make(self, seconds: float, agent: AgentRecord | None) -> Analytics:
        end = self._clock.wall().timestamp()
        window = Window(end - seconds, end)
        agent_id = agent.agent_id if agent is not None else None
        since = datetime.fromtimestamp(window.begin, UTC)
        transitions = await self._store.past_transitions(since, agent_id=agent_id, limit=_MOST_TRANSITIONS)
        absences = await self._store.absences(since, agent_id=agent_id, limit=_MOST_TRANSITIONS)
        open_now = self._open_now(agent_id)
        tally = Tally(window)
        complete = await self._read(tally, agent_id)
        agents = self._fleet.agents() if agent is None else [agent]

        def conclude() -> Analytics:
            downs = downtimes(transitions, absences, open_now, window.begin, window.end)
            return tally.figures(agents, downs, complete=complete)

        return await asyncio.to_thread(conclude)

    async def _read(self, tally: Tally, agent_id: str | None) -> bool:
        """Count page by page, back from the newest; False if there are more than are looked at."""
        before: int | None = None
        while tally.commands < self._most_commands:
            page = await self._store.past_commands(
                agent_id=agent_id, before=before, limit=min(_PAGE, self._most_commands)
            )
            if not page or not await asyncio.to_thread(tally.take, page):
                return True
            before = page[-1].place
        return False

    def _open_now(self, agent_id: str | None) -> set[Circuit]:
        return {
            (guard.agent_id, domain.value)
            for guard in self._guards
            if agent_id in (None, guard.agent_id)
            for domain, breaker in guard.breakers
            if not breaker.forced and breaker.state is not CircuitState.CLOSED
        }
