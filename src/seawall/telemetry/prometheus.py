"""Metrics: a subscriber that counts in plain integers, and a collector that reads them when Prometheus asks.

A counter's sample carries the suffix `_total`, as Prometheus wants it and as `prometheus_client` enforces it:
`circuit_breaker_state_transitions` is scraped as `circuit_breaker_state_transitions_total`, as it always was; the
other counters have the suffix in their name already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from seawall.core.alert_rules import AlertKind
from seawall.core.breaker import CircuitState
from seawall.core.command import CommandState, Domain
from seawall.core.events import (
    AlertSaid,
    AttemptFinished,
    CircuitChanged,
    CommandFinished,
    CommandSettled,
    Event,
    MassFailureChanged,
    RemedyDecided,
    RetryScheduled,
    SlotAwaited,
)
from seawall.telemetry.declarations import MetricDeclaration
from seawall.telemetry.histogram import Histogram
from seawall.telemetry.usage import USAGE, Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_LABELLED_AGENTS = 4_000
"""How many agents have series of their own in a metric; those that come later share `OTHER_AGENTS`.

A metric by agent has one to six series for each, all together eleven: fewer than 50,000, however large the fleet is.
"""
OTHER_AGENTS = "other"

ERRORS = MetricDeclaration(
    "command_errors_total",
    "counter",
    "Commands that ended with an error code; commands_total tells FAILED from UNKNOWN and REJECTED.",
    ("error_code",),
)
RETRIES = MetricDeclaration(
    "command_retries_total", "counter", "Further attempts that were scheduled.", ("agent_id",)
)
RETRY_SUCCESSES = MetricDeclaration(
    "command_retry_success_total", "counter", "Commands that succeeded after a retry.", ("agent_id",)
)
TRANSITIONS = MetricDeclaration(
    "circuit_breaker_state_transitions_total",
    "counter",
    "Changes of state of an agent's circuits.",
    ("agent_id", "from", "to"),
)
DURATION = MetricDeclaration(
    "command_duration_seconds",
    "histogram",
    "From a command's start to its end, its waits included; commands that were rejected don't count.",
    ("retried",),
)
ATTEMPTS = MetricDeclaration(
    "command_attempts_total",
    "counter",
    "Attempts that ended, by their error code; `none` are those that succeeded.",
    ("error_code",),
)
ATTEMPT_DURATION = MetricDeclaration(
    "command_attempt_duration_seconds", "histogram", "From an attempt's start to its outcome."
)
STOPPED = MetricDeclaration(
    "command_retries_stopped_total",
    "counter",
    "Commands that could have been tried again and weren't, by what kept them from it.",
    ("stopped_by",),
)
SLOT_WAITS = MetricDeclaration(
    "bulkhead_waits_total",
    "counter",
    "Attempts that had to wait for a slot of their host, by whether they got one.",
    ("got",),
)
SLOT_WAIT_SECONDS = MetricDeclaration(
    "bulkhead_wait_seconds_total", "counter", "How long attempts have waited for a slot."
)
COMMANDS = MetricDeclaration(
    "commands_total", "counter", "Commands by how they ended.", ("operation", "state")
)
UNKNOWN = MetricDeclaration(
    "commands_unknown_total",
    "counter",
    "Commands that may have had an effect and whose outcome is not known; they never count as failed.",
    ("operation",),
)
SETTLED = MetricDeclaration(
    "commands_settled_total",
    "counter",
    "Commands whose outcome was not known at first, by what they turned out to be.",
    ("state",),
)
AMNESIAS = MetricDeclaration(
    "gateway_amnesias_total", "counter", "Agents that came with another ledger than before."
)
MASS_FAILURE = MetricDeclaration(
    "mass_failure", "gauge", "1 while many agents fail at once and circuits are held back, else 0."
)
ALERTS_SAID = MetricDeclaration(
    "alerts_said_total", "counter", "Messages about alerts, by what they say.", ("kind", "said")
)
ALERTS_OPEN = MetricDeclaration("alerts_open", "gauge", "Alerts that are open.", ("kind",))
ALERTS_DELIVERED = MetricDeclaration(
    "alerts_delivered_total", "counter", "Messages that a channel has taken."
)
ALERTS_FAILED = MetricDeclaration(
    "alerts_failed_attempts_total",
    "counter",
    "Attempts to deliver a message that failed; another one follows.",
)
ALERTS_GIVEN_UP = MetricDeclaration(
    "alerts_given_up_total", "counter", "Messages that didn't get through in days, or whose channel is gone."
)
ALERTS_WAITING = MetricDeclaration("alerts_waiting", "gauge", "Messages that are still to be delivered.")
REMEDIES = MetricDeclaration(
    "remediation_decisions_total",
    "counter",
    "Decisions about a rule and an alert: acted, dry_run, refused, gave_up; what isn't done is counted once a try.",
    ("rule", "verdict"),
)
CONNECTED = MetricDeclaration("agents_connected", "gauge", "Agents with a live session.")
CIRCUITS = MetricDeclaration(
    "circuit_state",
    "gauge",
    "0 closed, 1 half-open, 2 open; a circuit that isn't listed is closed and clean.",
    ("agent_id", "domain"),
)
SESSIONS_OPENED = MetricDeclaration("gateway_sessions_opened_total", "counter", "Sessions of agents opened.")
HANDSHAKES_REFUSED = MetricDeclaration(
    "gateway_handshakes_refused_total", "counter", "Connections that were not let in."
)
FOREIGN_ANSWERS = MetricDeclaration(
    "gateway_foreign_answers_total", "counter", "Answers to another agent's attempt; ignored."
)
LATE_ANSWERS = MetricDeclaration(
    "gateway_late_answers_total", "counter", "Answers to an attempt that was over; ignored."
)
STALE_FRAMES = MetricDeclaration(
    "gateway_stale_frames_total", "counter", "Frames of an older session; ignored."
)
BAD_FRAMES = MetricDeclaration("gateway_bad_frames_total", "counter", "Frames that couldn't be read.")

METRICS = (
    *(ERRORS, RETRIES, RETRY_SUCCESSES, TRANSITIONS, DURATION, COMMANDS, UNKNOWN, SETTLED, CONNECTED),
    *(CIRCUITS, SESSIONS_OPENED, HANDSHAKES_REFUSED, FOREIGN_ANSWERS, LATE_ANSWERS, STALE_FRAMES, BAD_FRAMES),
    *(AMNESIAS, MASS_FAILURE, ATTEMPTS, ATTEMPT_DURATION, STOPPED, SLOT_WAITS, SLOT_WAIT_SECONDS),
    *(ALERTS_SAID, ALERTS_OPEN, ALERTS_DELIVERED, ALERTS_FAILED, ALERTS_GIVEN_UP, ALERTS_WAITING, REMEDIES),
    *USAGE,
)
"""All metrics that there are."""


class AlertDeliveries(Protocol):
    """What a sender of alerts counts."""

    delivered: int
    failed: int
    given_up: int
    waiting: int


CircuitReading = tuple[str, Domain, CircuitState]
"""An agent's id, the domain and the state of one of its circuits."""

_LEVELS = {CircuitState.CLOSED: 0.0, CircuitState.HALF_OPEN: 1.0, CircuitState.OPEN: 2.0}


class GatewayCounters(Protocol):
    """What a gateway counts."""

    sessions_opened: int
    handshakes_refused: int
    foreign_answers: int
    late_answers: int
    stale_frames: int
    bad_frames: int
    amnesias: int


class AlertCounters(Protocol):
    """What is counted of alerts and of their messages."""

    def open_alerts(self) -> Mapping[AlertKind, int]:
        """How many of each kind are open."""

    def deliveries(self) -> AlertDeliveries:
        """What became of the messages."""


class Metrics(Collector):
    """Counts events in `observe`, a subscriber, and is read by `render`.

    `connected` says how many agents are, `circuits` which circuits exist, `usage` how busy everything is; all are
    called at scrape time, like `gateway`'s counters.
    """

    def __init__(
        self,
        connected: Callable[[], int] | None = None,
        circuits: Callable[[], Iterable[CircuitReading]] | None = None,
        gateway: GatewayCounters | None = None,
        usage: Callable[[], Iterable[Reading]] | None = None,
    ) -> None:
        self._connected = connected
        self._circuits = circuits
        self._gateway = gateway
        self._usage = usage
        self.alerts: AlertCounters | None = None
        """Whoever watches and sends alerts; without one nothing is told of them."""
        self._alerts_said: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._remedies: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._errors: defaultdict[str, int] = defaultdict(int)
        self._retries: defaultdict[str, int] = defaultdict(int)
        self._retry_successes: defaultdict[str, int] = defaultdict(int)
        self._transitions: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._commands: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._mass_failure = 0
        self._settled: defaultdict[str, int] = defaultdict(int)
        self._durations = {False: Histogram(), True: Histogram()}
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._attempt_durations = Histogram()
        self._stopped: defaultdict[str, int] = defaultdict(int)
        self._slot_waits = {True: 0, False: 0}
        self._slot_wait_seconds = 0.0
        self._labels: dict[str, str] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def observe(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, CommandFinished):
            self._count_finished(event)
        elif isinstance(event, AttemptFinished):
            code = event.outcome.code
            self._attempts[code.value if code is not None else "none"] += 1
            self._attempt_durations.add(event.duration_seconds)
        elif isinstance(event, SlotAwaited):
            self._slot_waits[event.got] += 1
            self._slot_wait_seconds += event.waited_seconds
        elif isinstance(event, RetryScheduled):
            self._retries[self._label(event.command.agent_id)] += 1
        elif isinstance(event, AlertSaid):
            self._alerts_said[event.kind.value, event.said.value] += 1
        elif isinstance(event, RemedyDecided):
            self._remedies[event.rule, event.verdict.value] += 1
        elif isinstance(event, MassFailureChanged):
            self._mass_failure = int(event.began)
        elif isinstance(event, CommandSettled):
            self._settled[event.state.value] += 1
        elif isinstance(event, CircuitChanged):
            self._transitions[self._label(event.agent_id), event.origin.value, event.target.value] += 1

    def render(self) -> bytes:
        """All metrics in Prometheus' text format. Safe to call from another thread than the one that counts."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector.collect`."""
        yield _counter(ERRORS, (((code,), count) for code, count in list(self._errors.items())))
        yield _counter(RETRIES, (((agent,), count) for agent, count in list(self._retries.items())))
        successes = list(self._retry_successes.items())
        yield _counter(RETRY_SUCCESSES, (((agent,), count) for agent, count in successes))
        yield _counter(TRANSITIONS, list(self._transitions.items()))
        commands = list(self._commands.items())
        yield _counter(COMMANDS, commands)
        unknown = CommandState.UNKNOWN.value
        yield _counter(UNKNOWN, [((name,), count) for (name, state), count in commands if state == unknown])
        yield _counter(SETTLED, (((state,), count) for state, count in list(self._settled.items())))
        yield GaugeMetricFamily(MASS_FAILURE.name, MASS_FAILURE.summary, value=self._mass_failure)
        yield self._collect_durations()
        if self._connected is not None:
            yield GaugeMetricFamily(CONNECTED.name, CONNECTED.summary, value=self._connected())
        if self._circuits is not None:
            circuits = GaugeMetricFamily(CIRCUITS.name, CIRCUITS.summary, labels=CIRCUITS.labels)
            # What is left out here is still in the sums by state.
            for agent_id, domain, state in islice(self._circuits(), MAX_LABELLED_AGENTS * len(Domain)):
                circuits.add_metric((agent_id, domain.value), _LEVELS[state])
            yield circuits
        if self._gateway is not None:
            yield from _gateway_counters(self._gateway)
        if self.alerts is not None:
            yield _counter(ALERTS_SAID, list(self._alerts_said.items()))
            yield from _alert_readings(self.alerts)
            yield _counter(REMEDIES, list(self._remedies.items()))
        yield _counter(ATTEMPTS, (((code,), count) for code, count in list(self._attempts.items())))
        took = HistogramMetricFamily(ATTEMPT_DURATION.name, ATTEMPT_DURATION.summary)
        took.add_metric((), self._attempt_durations.buckets(), self._attempt_durations.total)
        yield took
        yield _counter(STOPPED, (((by,), count) for by, count in list(self._stopped.items())))
        waits = [(("true" if got else "false",), count) for got, count in self._slot_waits.items()]
        yield _counter(SLOT_WAITS, waits)
        yield _counter(SLOT_WAIT_SECONDS, [((), self._slot_wait_seconds)])
        for declaration, values in self._usage() if self._usage is not None else ():
            yield _family(declaration, values)

    def _label(self, agent_id: str) -> str:
        """What an agent is called in its series: only so many have their own."""
        label = self._labels.get(agent_id)
        if label is None:
            if len(self._labels) >= MAX_LABELLED_AGENTS:
                return OTHER_AGENTS
            label = self._labels[agent_id] = agent_id
        return label

    def _count_finished(self, event: CommandFinished) -> None:
        command, result = event.command, event.result
        state = result.state
        if result.stopped_by is not None:
            self._stopped[result.stopped_by.value] += 1
        self._commands[command.operation, state.value if state is not None else ""] += 1
        if result.error_code is not None:
            self._errors[result.error_code.value] += 1
        elif result.retried:
            self._retry_successes[self._label(command.agent_id)] += 1
        if state is not CommandState.REJECTED:
            self._durations[result.retried].add(result.duration_seconds)

    def _collect_durations(self) -> Metric:
        durations = HistogramMetricFamily(DURATION.name, DURATION.summary, labels=DURATION.labels)
        for retried, histogram in self._durations.items():
            durations.add_metric(("true" if retried else "false",), histogram.buckets(), histogram.total)
        return durations


def _counter(
    declaration: MetricDeclaration, readings: Iterable[tuple[tuple[str, ...], float]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(declaration.name, declaration.summary, labels=declaration.labels)
    for labels, count in readings:
        family.add_metric(labels, count)
    return family


def _family(declaration: MetricDeclaration, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    if declaration.kind == "counter":
        return _counter(declaration, values)
    family = GaugeMetricFamily(declaration.name, declaration.summary, labels=declaration.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _gateway_counters(gateway: GatewayCounters) -> Iterator[Metric]:
    for declaration, count in (
        (SESSIONS_OPENED, gateway.sessions_opened),
        (HANDSHAKES_REFUSED, gateway.handshakes_refused),
        (FOREIGN_ANSWERS, gateway.foreign_answers),
        (LATE_ANSWERS, gateway.late_answers),
        (STALE_FRAMES, gateway.stale_frames),
        (BAD_FRAMES, gateway.bad_frames),
        (AMNESIAS, gateway.amnesias),
    ):
        yield CounterMetricFamily(declaration.name, declaration.summary, value=count)


def _alert_readings(alerts: AlertCounters) -> Iterator[Metric]:
    yield _family(ALERTS_OPEN, [((kind.value,), count) for kind, count in alerts.open_alerts().items()])
    deliveries = alerts.deliveries()
    for declaration, count in (
        (ALERTS_DELIVERED, deliveries.delivered),
        (ALERTS_FAILED, deliveries.failed),
        (ALERTS_GIVEN_UP, deliveries.given_up),
        (ALERTS_WAITING, deliveries.waiting),
    ):
        yield _family(declaration, [((), count)])
