"""The fleet as pages show it, made once for all who look. Of a big fleet it is renewed at leisure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter

from msgspec import Struct

from seawall.clock import LEISURE, at_leisure, moment_of
from seawall.controller.api.agents import health_of
from seawall.controller.api.circuits import states_of
from seawall.controller.api.services import Services
from seawall.core.circuit import CircuitState
from seawall.core.health import HealthState
from seawall.engine.records import AgentRecord

_FRESH_SECONDS = 1.0
_OLD_SECONDS = 15.0
"""Nobody has looked for so long that what is there isn't shown any more."""
_FEW = 100
"""So many hosts are looked at anew at once."""

_WORST = {"sick": 0, "quarantined": 1, "degraded": 2, "offline": 3, "healthy": 4}
_SEVERITY = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}


class HostRow(Struct, frozen=True, gc=False):
    """One host in a list. `heard_at` is monotonic; None if it never was."""

    agent_id: str
    name: str
    state: str
    score: int
    reason: str
    circuit: CircuitState
    running: int
    latency_seconds: float | None
    version: str
    heard_at: float | None
    labels: dict[str, str]
    simulated: bool


def severity(host: HostRow) -> tuple[int, int, str]:
    """The order in which hosts need somebody."""
    return _WORST.get(host.state, 5), host.score, host.name


class Overview(Struct, frozen=True, gc=False):
    """All hosts, those that fare worst first, and how many are in which state."""

    hosts: list[HostRow] = []
    counts: dict[str, int] = {}
    open_circuits: int = 0
    running: int = 0


class _Draft:
    """An overview that is being made. Whatever is done for each host is done as it is added."""

    def __init__(self) -> None:
        self._ranked: list[tuple[tuple[int, int, str], HostRow]] = []
        self._counts: Counter[str] = Counter()
        self._open_circuits = self._running = 0

    def add(self, hosts: Iterable[HostRow]) -> None:
        """Some hosts more."""
        for host in hosts:
            self._ranked.append((severity(host), host))
            self._counts[host.state] += 1
            self._open_circuits += host.circuit is not CircuitState.CLOSED
            self._running += host.running

    def overview(self) -> Overview:
        """What it has become."""
        self._ranked.sort(key=itemgetter(0))
        hosts = [host for _, host in self._ranked]
        return Overview(hosts, dict(self._counts), self._open_circuits, self._running)


class FleetOverview:
    """See the module's text."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._making = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._made_at = float("-inf")
        self._overview = Overview()

    async def look(self) -> Overview:
        """The fleet as it was a moment ago."""
        age = self._services.clock.now() - self._made_at
        renewal = self._renewal
        if renewal is not None and renewal.done():
            self._renewal = None
            renewal.result()
        elif renewal is None and age >= _FRESH_SECONDS:
            if age < _OLD_SECONDS and len(self._overview.hosts) > _FEW:
                # Nobody waits for it: what is there is shown meanwhile.
                self._renewal = asyncio.create_task(self._make(LEISURE), name="fleet overview")
            else:
                await self._make_now()
        return self._overview

    def outdated(self) -> None:
        """Something was changed here, that should be seen at once."""
        if len(self._overview.hosts) <= _FEW:
            self._made_at = float("-inf")

    async def close(self) -> None:
        """End what runs for it."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait((self._renewal,))

    async def _make_now(self) -> None:
        """Somebody waits for it; whoever comes meanwhile waits for the same."""
        async with self._making:
            if self._services.clock.now() - self._made_at < _FRESH_SECONDS:
                return
            await self._make(share=1)

    async def _make(self, share: int) -> None:
        """Look at every host, in this part of the time."""
        draft = _Draft()
        async for agents in at_leisure(self._services.clock, self._services.fleet.agents(), share):
            draft.add(map(self._row, agents))
        self._overview, self._made_at = draft.overview(), self._services.clock.now()

    def _row(self, agent: AgentRecord) -> HostRow:
        services = self._services
        session = services.fleet.session(agent.agent_id)
        guard = services.guards.get(agent.agent_id)
        states = states_of(services, agent.agent_id)
        circuit = max(states.values(), key=_SEVERITY.__getitem__, default=CircuitState.CLOSED)
        if session is None:
            state, score, reason = HealthState.OFFLINE.value, 0, "not connected"
        else:
            health = health_of(services, agent.agent_id, states)
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
            session.heard_at if session is not None else self._last_heard(agent),
            agent.labels,
            agent.simulated,
        )

    def _last_heard(self, agent: AgentRecord) -> float | None:
        seen = agent.last_seen_at
        return None if seen is None else moment_of(self._services.clock, seen)
