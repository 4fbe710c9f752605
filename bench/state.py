"""What the policy state of an agent weighs: its guard with a full window, a bulkhead that has learnt, some circuits."""

from __future__ import annotations

import gc
import tracemalloc

from bench.measure import Row
from seawall.core.breaker import BreakerSettings
from seawall.core.command import Domain, Outcome
from seawall.core.errors import CircuitVerdict, CommandErrorCode
from seawall.core.guard import Guards

AGENTS = 2_000


def dice() -> float:
    return 0.5


def watched_agents(domains: tuple[Domain, ...]) -> Guards[None]:
    guards: Guards[None] = Guards(BreakerSettings())
    names = [f"agent-{number}" for number in range(AGENTS)]
    gc.collect()
    tracemalloc.start()
    for agent_id in names:
        guard = guards.of(agent_id)
        guard.bulkhead.learn(Outcome(CommandErrorCode.TIMEOUT), 1060.0 + len(guards) / AGENTS)
        for domain in domains:
            breaker = guard.breaker(domain)
            for second in range(60):
                permit = breaker.acquire(1000.0 + second, 35.0)
                verdict = CircuitVerdict.FAILURE if second % 20 == 0 else CircuitVerdict.SUCCESS
                breaker.record(permit, verdict, 1000.0 + second, dice)  # type: ignore[arg-type]  # CLOSED: a permit
    return guards


async def state() -> list[Row]:
    rows = []
    for name, domains, limit in (
        ("one circuit", (Domain.AGENT,), 600.0),
        ("two circuits", (Domain.AGENT, Domain.DOCKER), None),
    ):
        guards = watched_agents(domains)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(guards) == AGENTS
        rows.append(Row(f"policy state of an agent, {name}", size / AGENTS, "B", limit=limit))
    return rows
