"""How busy and how full each part of a controller is: metrics that are read when Prometheus asks, none by agent."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.clock import Clock
from seawall.telemetry.declarations import MetricDeclaration

Reading = tuple[MetricDeclaration, Iterable[tuple[tuple[str, ...], float]]]
"""A metric, and its values by their labels."""

AGENTS = MetricDeclaration(
    "agents", "gauge", "Agents that joined, by state: connected, disconnected, quarantined.", ("state",)
)
SILENT = MetricDeclaration(
    "agents_silent", "gauge", "Connected agents whose last heartbeat is not answered yet."
)
LATENCY = MetricDeclaration(
    "agent_latency_seconds",
    "gauge",
    "What a heartbeat takes, of all connected agents: the median, the 95th and the 100th of a hundred.",
    ("quantile",),
)
DISKS_LOW = MetricDeclaration(
    "agents_disk_low", "gauge", "Connected agents whose disk for ledger and Docker is nine tenths full."
)
CLOCK_OFFSET = MetricDeclaration(
    "agent_clock_offset_seconds", "gauge", "How far the furthest clock of a connected agent is off."
)
LEDGER_ENTRIES = MetricDeclaration(
    "ledger_entries",
    "gauge",
    "Commands that the ledgers of connected agents hold, by their latest heartbeats.",
)
LEDGER_UNACKNOWLEDGED = MetricDeclaration(
    "ledger_unacknowledged",
    "gauge",
    "Results in these ledgers that the controller doesn't hold for good yet.",
)
LEDGER_FULLEST = MetricDeclaration(
    "ledger_most_entries", "gauge", "Commands in the ledger that holds the most of all connected agents."
)
LEDGERS_FULL = MetricDeclaration(
    "agents_ledger_full",
    "gauge",
    "Connected agents that begin nothing, because their disk has no room for its end.",
)
CIRCUITS_BY_STATE = MetricDeclaration(
    "circuits",
    "gauge",
    "Circuits that aren't closed and clean, of all agents, by failure domain and state.",
    ("domain", "state"),
)
IN_FLIGHT = MetricDeclaration("bulkhead_in_flight", "gauge", "Attempts that hold a slot of their host.")
QUEUED = MetricDeclaration("bulkhead_queued", "gauge", "Attempts that wait for a slot of their host.")
FULLEST = MetricDeclaration(
    "bulkhead_fullest_ratio", "gauge", "The share of its slots that the busiest host has in use."
)
BUDGETS = MetricDeclaration("retry_budgets", "gauge", "Hosts whose retry budget is not full.")
PLANE_TOKENS = MetricDeclaration("retry_budget_tokens", "gauge", "What is left for retries on all hosts.")
OPEN_COMMANDS = MetricDeclaration("commands_open", "gauge", "Commands that aren't over.")
WAITING_COMMANDS = MetricDeclaration(
    "commands_waiting", "gauge", "Commands of an earlier start that wait for their host."
)
UNSETTLED = MetricDeclaration(
    "commands_unsettled", "gauge", "UNKNOWN commands whose host's ledger is still asked."
)
STORE_WAITING = MetricDeclaration("store_waiting", "gauge", "Writes that wait for their flush.")
STORE_WRITES = MetricDeclaration("store_writes_total", "counter", "Writes that were asked for.")
STORE_TRANSACTIONS = MetricDeclaration(
    "store_transactions_total", "counter", "Flushed transactions; each holds many writes."
)
STORE_SECONDS = MetricDeclaration(
    "store_busy_seconds_total", "counter", "How long transactions took, their flushes included."
)
STORE_LOG = MetricDeclaration("store_log_bytes", "gauge", "The size of the database's write-ahead log.")
STORE_SIZE = MetricDeclaration("store_bytes", "gauge", "The size of the database.")
STORE_FREE = MetricDeclaration("store_free_bytes", "gauge", "The free space on the database's disk.")
STREAMS = MetricDeclaration("streams_open", "gauge", "Streams that readers follow, such as logs and shells.")
EVENT_STREAMS = MetricDeclaration("event_streams_open", "gauge", "Event streams of the API.")
LOOP_LAG = MetricDeclaration(
    "event_loop_lag_seconds", "gauge", "The longest that the event loop was late in the last half minute."
)
TRACE_SPANS = MetricDeclaration(
    "trace_spans_total",
    "counter",
    "Spans that ended: sent to the collector, failed there, or dropped because too many waited. Only with traces on.",
    ("end",),
)
TERM = MetricDeclaration("controller_term", "gauge", "Which start of the controller this is.")

USAGE = (
    *(AGENTS, SILENT, LATENCY, DISKS_LOW, CLOCK_OFFSET, CIRCUITS_BY_STATE, IN_FLIGHT, QUEUED, FULLEST),
    *(LEDGER_ENTRIES, LEDGER_UNACKNOWLEDGED, LEDGER_FULLEST, LEDGERS_FULL),
    *(BUDGETS, PLANE_TOKENS, OPEN_COMMANDS, WAITING_COMMANDS, UNSETTLED, STORE_WAITING, STORE_WRITES),
    *(STORE_TRANSACTIONS, STORE_SECONDS, STORE_LOG, STORE_SIZE, STORE_FREE, STREAMS, EVENT_STREAMS),
    *(LOOP_LAG, TERM, TRACE_SPANS),
)
"""All of them."""

_EVERY_SECONDS = 0.25
_WINDOW_SECONDS = 15.0


class LoopLag:
    """How late the event loop comes to what is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._worst = self._before = 0.0

    @property
    def seconds(self) -> float:
        """The longest of the last half minute."""
        return max(self._worst, self._before)

    async def run(self) -> None:
        """Measure until cancelled."""
        window_ends = self._clock.now() + _WINDOW_SECONDS
        while True:
            due = self._clock.now() + _EVERY_SECONDS
            await self._clock.sleep_until(due)
            now = self._clock.now()
            self._worst = max(self._worst, now - due)
            if now >= window_ends:
                self._before, self._worst, window_ends = self._worst, 0.0, now + _WINDOW_SECONDS
