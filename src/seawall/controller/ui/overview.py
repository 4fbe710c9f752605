"""The fleet as pages show it, made once for all who look, and not more often than its size allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from msgspec import Struct

from seawall.clock import wall_of
from seawall.controller.api.agents import health_of
from seawall.controller.api.circuits import effective_state
from seawall.controller.api.services import Services
from seawall.core.circuit import CircuitState
from seawall.core.health import HealthState
from seawall.engine.records import AgentRecord

_FRESH_SECONDS = 1.0
_SHARE = 10
"""Of the time, at most one part in so many is spent on it."""
_TOGETHER = 100

_WORST = {"sick": 0, "quarantined": 1, "degraded": 2, "offline": 3, "healthy": 4}
_SEVERITY = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}


class HostRow(Struct, frozen=True):
    """One host in a list."""

    agent_id: str
    name: str
    state: str
    score: int
    reason: str
    circuit: CircuitState
    running: int
    latency_seconds: float | None
    version: str
    heard_at: datetime | None
    labels: dict[str, str]
    simulated: bool


def severity(host: HostRow) -> tuple[int, int, str]:
    """The order in which hosts need somebody."""
    return _WORST.get(host.state, 5), host.score, host.name


class Overview(Struct, frozen=True):
    """All hosts, those that fare worst first, and how many are in which state."""

    hosts: list[HostRow] = []
    counts: dict[str, int] = {}
    open_circuits: int = 0
    running: int = 0


class FleetOverview:
    """See the module's text."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._making = asyncio.Lock()
        self._made_until = float("-inf")
        self._overview = Overview()

    async def look(self) -> Overview:
        """The fleet as it was a moment ago."""
        clock = self._services.clock
        if clock.now() >= self._made_until:
            async with self._making:
                begun = clock.now()
                if begun >= self._made_until:
                    self._overview = await self._make(self._services.fleet.agents())
                    taken = clock.now() - begun
                    self._made_until = clock.now() + max(_FRESH_SECONDS, taken * (_SHARE - 1))
        return self._overview

    def outdated(self) -> None:
        """Something was changed here, that should be seen at once."""
        if len(self._overview.hosts) < _TOGETHER:
            self._made_until = float("-inf")

    async def _make(self, agents: Sequence[AgentRecord]) -> Overview:
        # Whatever is done for each host is done in this loop, so that commands have their turn in between.
        ranked: list[tuple[tuple[int, int, str], HostRow]] = []
        counts: Counter[str] = Counter()
        open_circuits = running = 0
        for index, agent in enumerate(agents):
            if index % _TOGETHER == _TOGETHER - 1:
                await asyncio.sleep(0)
            row = self._row(agent)
            ranked.append((severity(row), row))
            counts[row.state] += 1
            open_circuits += row.circuit is not CircuitState.CLOSED
            running += row.running
        ranked.sort(key=itemgetter(0))
        return Overview([row for _, row in ranked], dict(counts), open_circuits, running)

    def _row(self, agent: AgentRecord) -> HostRow:
        services = self._services
        session = services.fleet.session(agent.agent_id)
        guard = services.guards.get(agent.agent_id)
        now = services.clock.now()
        circuit = CircuitState.CLOSED
        if guard is not None:
            states = [effective_state(breaker, now) for _, breaker in guard.breakers]
            circuit = max(states, key=_SEVERITY.__getitem__, default=CircuitState.CLOSED)
        if session is None:
            state, score, reason = HealthState.OFFLINE.value, 0, "not connected"
        else:
            health = health_of(services, agent.agent_id)
            state, score = health.state.value, health.score
            reason = health.reasons[0] if health.reasons else ""
        if agent.quarantined_at is not None:
            state, reason = "quarantined", "two hosts used its identity at once"
        return HostRow(
            agent.agent_id,
            agent.name,
            state,
            score,
            reason,
            circuit,
            guard.bulkhead.in_flight if guard is not None else 0,
            session.latency_seconds if session is not None else None,
            agent.version,
            wall_of(services.clock, session.heard_at) if session is not None else agent.last_seen_at,
            agent.labels,
            agent.simulated,
        )
