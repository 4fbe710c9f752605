"""What the metrics count, and under which names."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from seawall.core.alert import Said
from seawall.core.alert_rules import AlertKind
from seawall.core.breaker import CircuitState
from seawall.core.command import (
    Attempt,
    Command,
    CommandResult,
    CommandState,
    CommandStatus,
    Domain,
    Outcome,
    StoppedBy,
)
from seawall.core.errors import CommandErrorCode
from seawall.core.events import (
    AlertSaid,
    AttemptFinished,
    AttemptStarted,
    CircuitChanged,
    CommandFinished,
    CommandSettled,
    RemedyDecided,
    RetryScheduled,
    SlotAwaited,
)
from seawall.core.remediation import Verdict
from seawall.telemetry.prometheus import MAX_LABELLED_AGENTS, METRICS, OTHER_AGENTS, Metrics
from seawall.telemetry.usage import USAGE, LoopLag
from seawall.testing.clock import FakeClock

COMMAND = Command("c1", "container_list", "a1", {})


class Counters:
    sessions_opened = 1
    handshakes_refused = 2
    foreign_answers = 3
    late_answers = 4
    stale_frames = 5
    bad_frames = 6
    amnesias = 7


def finished(
    code: CommandErrorCode | None = None,
    state: CommandState = CommandState.SUCCEEDED,
    *,
    attempts: int = 1,
    seconds: float = 0.1,
    stopped_by: StoppedBy | None = None,
    command: Command = COMMAND,
) -> CommandFinished:
    status = CommandStatus.SUCCESS if code is None else CommandStatus.ERROR
    result = CommandResult(
        status,
        code is None,
        error_code=code,
        duration_seconds=seconds,
        total_attempts=attempts,
        retried=attempts > 1,
        state=state,
        stopped_by=stopped_by,
    )
    return CommandFinished(0.0, command, result)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample as Prometheus would read it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_the_names_and_labels_that_programs_know_are_kept() -> None:
    declared = {metric.name: metric.labels for metric in METRICS}
    assert declared["command_errors_total"] == ("error_code",)
    assert declared["command_retries_total"] == ("agent_id",)
    assert declared["command_retry_success_total"] == ("agent_id",)
    assert declared["circuit_breaker_state_transitions_total"] == ("agent_id", "from", "to")
    assert declared["command_duration_seconds"] == ("retried",)


class AlertReadings:
    delivered, failed, given_up, waiting = 1, 2, 3, 4

    def open_alerts(self) -> dict[AlertKind, int]:
        return {AlertKind.CIRCUIT: 5}

    def deliveries(self) -> AlertReadings:
        return self


def test_every_metric_that_is_declared_can_be_scraped_and_no_other() -> None:
    usage = [(declaration, [(declaration.labels, 1.0)]) for declaration in USAGE]
    metrics = Metrics(
        lambda: 3, lambda: [("a1", Domain.DOCKER, CircuitState.OPEN)], Counters(), lambda: usage
    )
    metrics.observe(finished(attempts=2))
    metrics.observe(finished(CommandErrorCode.TIMEOUT, stopped_by=StoppedBy.DEADLINE))
    metrics.observe(AttemptFinished(0.0, COMMAND, Attempt(1, "x", 1.0), Outcome(), 0.1))
    metrics.observe(SlotAwaited(0.0, COMMAND, 0.5, got=True))
    metrics.observe(finished(CommandErrorCode.TIMEOUT, CommandState.UNKNOWN))
    metrics.observe(RetryScheduled(0.0, COMMAND, 1, 3, 1.0, Outcome(CommandErrorCode.TIMEOUT)))
    metrics.observe(
        CircuitChanged(0.0, "a1", Domain.AGENT, CircuitState.CLOSED, CircuitState.OPEN, "because")
    )
    metrics.observe(CommandSettled(0.0, "c1", "a1", "container_restart", CommandState.FAILED))
    metrics.alerts = AlertReadings()
    metrics.observe(AlertSaid(0.0, Said.OPENED, AlertKind.CIRCUIT, "title", "body", 1))
    metrics.observe(RemedyDecided(0.0, "make-room", "web-1", Verdict.ACTED, "because"))
    found = samples(metrics)
    scraped = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in found}
    assert scraped == {metric.name for metric in METRICS}
    for name, labels in found:
        declared = max(
            (metric for metric in METRICS if name.startswith(metric.name)),
            key=lambda metric: len(metric.name),
        )
        assert {label for label, _ in labels} - {"le"} == set(declared.labels)


def test_commands_errors_and_retries_are_counted_once_each() -> None:
    metrics = Metrics()
    metrics.observe(AttemptStarted(0.0, COMMAND, Attempt(1, "x", 1.0)))
    metrics.observe(RetryScheduled(0.0, COMMAND, 1, 3, 1.0, Outcome(CommandErrorCode.TIMEOUT)))
    metrics.observe(finished(attempts=2))
    metrics.observe(finished())
    metrics.observe(finished(CommandErrorCode.TIMEOUT, CommandState.UNKNOWN))
    found = samples(metrics)
    assert found["command_retries_total", (("agent_id", "a1"),)] == 1
    assert found["command_retry_success_total", (("agent_id", "a1"),)] == 1
    assert found["command_errors_total", (("error_code", "timeout"),)] == 1
    states = {
        dict(labels)["state"]: count for (name, labels), count in found.items() if name == "commands_total"
    }
    assert states == {"SUCCEEDED": 2, "UNKNOWN": 1}
    assert found["commands_unknown_total", (("operation", COMMAND.operation),)] == 1


def test_durations_fall_into_cumulative_buckets_and_rejections_into_none() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.3, 1_000.0):
        metrics.observe(finished(seconds=seconds))
    metrics.observe(finished(CommandErrorCode.CIRCUIT_OPEN, CommandState.REJECTED, seconds=0.0))
    found = samples(metrics)

    def bucket(bound: str) -> float:
        return found["command_duration_seconds_bucket", (("le", bound), ("retried", "false"))]

    assert [bucket(bound) for bound in ("0.005", "0.25", "0.5", "300.0", "+Inf")] == [2, 2, 3, 3, 4]
    assert found["command_duration_seconds_count", (("retried", "false"),)] == 4
    assert found["command_duration_seconds_sum", (("retried", "false"),)] == pytest.approx(1000.306)
    assert found["command_duration_seconds_count", (("retried", "true"),)] == 0


def test_what_was_unknown_is_counted_by_what_it_turned_out_to_be_and_stays_counted_as_unknown() -> None:
    metrics = Metrics()
    metrics.observe(finished(CommandErrorCode.TIMEOUT, CommandState.UNKNOWN))
    for state, by in (
        (CommandState.SUCCEEDED, ""),
        (CommandState.SUCCEEDED, "ann"),
        (CommandState.FAILED, ""),
    ):
        metrics.observe(CommandSettled(0.0, "c1", "a1", "container_restart", state, by))
    found = samples(metrics)
    assert found["commands_settled_total", (("state", "SUCCEEDED"),)] == 2
    assert found["commands_settled_total", (("state", "FAILED"),)] == 1
    assert found["commands_unknown_total", (("operation", "container_list"),)] == 1


def test_ten_thousand_agents_have_fewer_than_fifty_thousand_series_and_none_is_lost_in_the_sums() -> None:
    agents = [f"00000000-0000-7000-8000-{number:012d}" for number in range(10_000)]
    circuits = [(agent, domain, CircuitState.OPEN) for agent in agents for domain in Domain]
    metrics = Metrics(lambda: len(agents), lambda: circuits, Counters())
    closed, opened, half = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
    changes = [
        (closed, opened),
        (opened, half),
        (half, opened),
        (half, closed),
        (opened, closed),
        (closed, half),
    ]
    for agent in agents:
        command = Command("c1", "container_list", agent, {})
        metrics.observe(RetryScheduled(0.0, command, 1, 3, 1.0, Outcome(CommandErrorCode.TIMEOUT)))
        metrics.observe(finished(attempts=2, command=command))
        for origin, target in changes:
            metrics.observe(CircuitChanged(0.0, agent, Domain.AGENT, origin, target, "because"))
    found = samples(metrics)
    assert 40_000 < len(found) < 50_000
    retries = {
        dict(labels)["agent_id"]: n for (name, labels), n in found.items() if name == "command_retries_total"
    }
    assert sum(retries.values()) == len(agents)
    assert retries[OTHER_AGENTS] == len(agents) - MAX_LABELLED_AGENTS
    assert retries[agents[0]] == 1


class LateClock(FakeClock):
    """Time has gone on by `late` more when somebody comes to look."""

    late = 0.0

    def now(self) -> float:
        return super().now() + self.late


@pytest.mark.asyncio
async def test_how_late_the_event_loop_was_is_remembered_for_half_a_minute() -> None:
    clock = LateClock()
    lag = LoopLag(clock)
    running = asyncio.create_task(lag.run())
    await clock.advance(10)
    assert lag.seconds == 0
    clock.late = 2.75
    await clock.advance(0.25)
    clock.late = 0.0
    assert lag.seconds == pytest.approx(2.75)
    await clock.advance(15)
    assert lag.seconds == pytest.approx(2.75)
    await clock.advance(35)
    assert lag.seconds == 0
    running.cancel()
