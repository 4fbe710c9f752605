"""What the metrics count, and under which names."""

from __future__ import annotations

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
)
from seawall.core.errors import CommandErrorCode
from seawall.core.events import (
    AlertSaid,
    AttemptStarted,
    CircuitChanged,
    CommandFinished,
    CommandSettled,
    RetryScheduled,
)
from seawall.telemetry.prometheus import METRICS, Metrics

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
    )
    return CommandFinished(0.0, COMMAND, result)


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
    metrics = Metrics(lambda: 3, lambda: [("a1", Domain.DOCKER, CircuitState.OPEN)], Counters())
    metrics.observe(finished(attempts=2))
    metrics.observe(finished(CommandErrorCode.TIMEOUT, CommandState.UNKNOWN))
    metrics.observe(RetryScheduled(0.0, COMMAND, 1, 3, 1.0, Outcome(CommandErrorCode.TIMEOUT)))
    metrics.observe(
        CircuitChanged(0.0, "a1", Domain.AGENT, CircuitState.CLOSED, CircuitState.OPEN, "because")
    )
    metrics.observe(CommandSettled(0.0, "c1", "a1", "container_restart", CommandState.FAILED))
    metrics.alerts = AlertReadings()
    metrics.observe(AlertSaid(0.0, Said.OPENED, AlertKind.CIRCUIT, "title", "body", 1))
    found = samples(metrics)
    scraped = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in found}
    assert scraped == {metric.name for metric in METRICS}
    for name, labels in found:
        declared = next(metric for metric in METRICS if name.startswith(metric.name))
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
