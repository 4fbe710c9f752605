"""What Prometheus is told of a controller when it asks, in a thread of its own: nothing here changes anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from seawall.controller.api.circuits import effective_state
from seawall.controller.api.services import Services
from seawall.controller.traces import ControllerTraces
from seawall.core.guard import Guards
from seawall.core.retry_gate import RetryGate
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Slot
from seawall.engine.fleet import AgentSession
from seawall.telemetry import usage
from seawall.telemetry.declarations import MetricDeclaration
from seawall.telemetry.prometheus import CircuitReading
from seawall.telemetry.usage import LoopLag, Reading

_QUANTILES = (("0.5", 0.5), ("0.95", 0.95), ("1", 1.0))
_DISK_LOW = 0.1


def circuit_readings(guards: Guards[Slot], now: float) -> Iterator[CircuitReading]:
    """Every circuit that isn't closed and clean."""
    for guard in guards:
        for domain, breaker in list(guard.breakers):
            yield guard.agent_id, domain, effective_state(breaker, now)


def usage_of(
    services: Services,
    gate: RetryGate,
    dispatcher: Dispatcher,
    loop_lag: LoopLag,
    term: int,
    traces: ControllerTraces,
) -> Iterator[Reading]:
    """How busy and how full everything is."""
    yield from _agents(services)
    yield from _bulkheads(services.guards)
    now, store = services.clock.now(), services.store.usage()
    circuits = Counter(
        (domain.value, state.value) for _, domain, state in circuit_readings(services.guards, now)
    )
    yield usage.CIRCUITS_BY_STATE, circuits.items()
    yield _one(usage.BUDGETS, len(gate))
    yield _one(usage.PLANE_TOKENS, gate.plane_tokens(now))
    under_way = sum(dispatcher.open_commands(agent.agent_id) for agent in services.fleet.agents())
    yield _one(usage.OPEN_COMMANDS, under_way)
    yield _one(usage.WAITING_COMMANDS, len(dispatcher.backlog))
    yield _one(usage.UNSETTLED, len(dispatcher.settlement.reconciler))
    yield _one(usage.STORE_WAITING, store.waiting)
    yield _one(usage.STORE_WRITES, store.writes)
    yield _one(usage.STORE_TRANSACTIONS, store.transactions)
    yield _one(usage.STORE_SECONDS, store.busy_seconds)
    yield _one(usage.STORE_LOG, store.log_bytes)
    yield _one(usage.STORE_SIZE, store.size_bytes)
    yield _one(usage.STORE_FREE, store.free_bytes)
    yield _one(usage.STREAMS, len(services.streams))
    yield _one(usage.EVENT_STREAMS, services.open_streams)
    yield _one(usage.LOOP_LAG, loop_lag.seconds)
    yield _one(usage.TERM, term)
    yield from traces.readings()


def _agents(services: Services) -> Iterator[Reading]:
    sessions = list(services.fleet.sessions())
    known = services.fleet.agents()
    quarantined = sum(agent.quarantined_at is not None for agent in known)
    by_state = {
        "connected": len(sessions),
        "quarantined": quarantined,
        "disconnected": max(0, len(known) - quarantined - len(sessions)),
    }
    yield usage.AGENTS, [((state,), count) for state, count in by_state.items()]
    yield _one(usage.SILENT, sum(session.missed_pings > 0 for session in sessions))
    yield usage.LATENCY, _latencies(sessions)
    low = sum(
        session.signs.free_bytes < _DISK_LOW * session.signs.total_bytes
        for session in sessions
        if session.signs.total_bytes > 0
    )
    yield _one(usage.DISKS_LOW, low)
    offsets = [abs(session.signs.clock_offset_seconds or 0.0) for session in sessions]
    yield _one(usage.CLOCK_OFFSET, max(offsets, default=0.0))
    entries = [session.signs.ledger_entries for session in sessions]
    yield _one(usage.LEDGER_ENTRIES, sum(entries))
    yield _one(usage.LEDGER_FULLEST, max(entries, default=0))
    unacknowledged = sum(session.signs.ledger_unacknowledged for session in sessions)
    yield _one(usage.LEDGER_UNACKNOWLEDGED, unacknowledged)
    yield _one(usage.LEDGERS_FULL, sum(session.signs.ledger_full for session in sessions))


def _latencies(sessions: Iterable[AgentSession]) -> list[tuple[tuple[str, ...], float]]:
    known = sorted(session.latency_seconds for session in sessions if session.latency_seconds is not None)
    if not known:
        return []
    return [((name,), known[min(len(known) - 1, int(share * len(known)))]) for name, share in _QUANTILES]


def _bulkheads(guards: Guards[Slot]) -> Iterator[Reading]:
    in_flight = queued = 0
    fullest = 0.0
    for guard in guards:
        bulkhead = guard.bulkhead
        in_flight += bulkhead.in_flight
        queued += bulkhead.waiting
        fullest = max(fullest, bulkhead.in_flight / max(1, bulkhead.limit))
    yield _one(usage.IN_FLIGHT, in_flight)
    yield _one(usage.QUEUED, queued)
    yield _one(usage.FULLEST, fullest)


def _one(declaration: MetricDeclaration, value: float) -> Reading:
    return declaration, [((), value)]
