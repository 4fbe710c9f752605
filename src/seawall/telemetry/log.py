"""One log line a decision, on the standard library's logger `seawall`."""

from __future__ import annotations

import logging

from seawall.core.alert import Said
from seawall.core.command import CommandState
from seawall.core.events import (
    AlertSaid,
    CircuitChanged,
    CommandFinished,
    CommandParked,
    CommandSettled,
    Event,
    MassFailureChanged,
    RemedyDecided,
    RetryScheduled,
)
from seawall.core.remediation import Verdict

_logger = logging.getLogger("seawall")


def log_event(event: Event) -> None:
    """A subscriber that logs retries, failures, waits and changes of circuits; successes at DEBUG only."""
    if isinstance(event, CommandFinished) and event.result.success:
        if _logger.isEnabledFor(logging.DEBUG):
            _log_success(event)
        return
    match event:
        case RetryScheduled() if _logger.isEnabledFor(logging.INFO):
            _log_retry(event)
        case CommandFinished() if _logger.isEnabledFor(logging.WARNING):
            _log_failure(event)
        case CircuitChanged() if _logger.isEnabledFor(logging.WARNING):
            _log_circuit(event)
        case CommandSettled() if _logger.isEnabledFor(logging.INFO):
            _log_settled(event)
        case AlertSaid():
            _log_alert(event)
        case RemedyDecided():
            _log_remedy(event)
        case MassFailureChanged():
            _log_mass_failure(event)
        case CommandParked() if _logger.isEnabledFor(logging.INFO):
            _log_parked(event)


def _log_alert(event: AlertSaid) -> None:
    _logger.log(
        logging.INFO if event.said is Said.RECOVERED else logging.WARNING,
        "alert: %s",
        event.title,
        extra={"kind": event.kind.value, "said": event.said.value, "text": event.body, "to": event.channels},
    )


def _log_remedy(event: RemedyDecided) -> None:
    _logger.log(
        logging.INFO if event.verdict is Verdict.REFUSED else logging.WARNING,
        "remediation: %s",
        event.reason,
        extra={"rule": event.rule, "host": event.host, "decision": event.verdict.value},
    )


def _log_mass_failure(event: MassFailureChanged) -> None:
    text = "%d of %d agents fail at once: is it this controller or its network? No circuit opens until it is over"
    over = "the mass failure is over: %d of %d agents fail"
    _logger.log(
        logging.ERROR if event.began else logging.WARNING,
        text if event.began else over,
        event.failing,
        event.agents,
        extra={"failing": event.failing, "agents": event.agents},
    )


def _log_parked(event: CommandParked) -> None:
    _logger.info(
        "command waits for its agent",
        extra={"agent": event.command.agent_id, "command_id": event.command.command_id},
    )


def _log_retry(event: RetryScheduled) -> None:
    code = event.outcome.code
    _logger.info(
        "retry for agent %s: attempt %d of %d after %.2f s",
        event.command.agent_id,
        event.failed_attempts + 1,
        event.max_attempts,
        event.delay_seconds,
        extra={
            "agent": event.command.agent_id,
            "command_id": event.command.command_id,
            "operation": event.command.operation,
            "attempt": event.failed_attempts + 1,
            "of": event.max_attempts,
            "delay_seconds": round(event.delay_seconds, 3),
            "error_code": code.value if code is not None else None,
        },
    )


def _log_success(event: CommandFinished) -> None:
    _logger.debug(
        "command done on agent %s",
        event.command.agent_id,
        extra={"agent": event.command.agent_id, "command_id": event.command.command_id},
    )


def _log_failure(event: CommandFinished) -> None:
    result = event.result
    code = result.error_code.value if result.error_code is not None else None
    ended = "ended in doubt" if result.state is CommandState.UNKNOWN else "failed"
    _logger.warning(
        "command %s on agent %s: %s",
        ended,
        event.command.agent_id,
        code,
        extra={
            "agent": event.command.agent_id,
            "command_id": event.command.command_id,
            "operation": event.command.operation,
            "error_code": code,
            "error": result.error,
            "state": result.state.value if result.state is not None else None,
            "attempts": result.total_attempts,
        },
    )


def _log_settled(event: CommandSettled) -> None:
    _logger.info(
        "unknown command on agent %s was %s",
        event.agent_id,
        event.state.value,
        extra={
            "agent": event.agent_id,
            "command_id": event.command_id,
            "operation": event.operation,
            "state": event.state.value,
            "by": event.by or "the agent's ledger",
        },
    )


def _log_circuit(event: CircuitChanged) -> None:
    _logger.warning(
        "circuit of agent %s (%s): %s -> %s",
        event.agent_id,
        event.domain.value,
        event.origin.value,
        event.target.value,
        extra={
            "agent": event.agent_id,
            "domain": event.domain.value,
            "from": event.origin.value,
            "to": event.target.value,
            "reason": event.reason,
            "by": event.by,
        },
    )
