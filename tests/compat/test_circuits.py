"""Circuit breakers as old programs read and write them: alone, and inside an executor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import MagicMock

import pytest

from agent.command_executor import (
    CIRCUIT_BREAKER_CONFIG,
    AgentCommandExecutor,
    CircuitBreaker,
    CircuitState,
    CommandErrorCode,
    RetryPolicy,
)
from tests.compat.programs import DONE, answer

pytestmark = pytest.mark.asyncio

PING = {"type": "ping"}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    for _ in range(breaker.failure_threshold):
        breaker.record_failure()
    assert breaker.state is CircuitState.OPEN
    return breaker


class TestBreakerStates:
    async def test_a_new_breaker_is_closed_with_the_documented_defaults(self) -> None:
        breaker = CircuitBreaker("agent-1")
        assert breaker.state is CircuitState.CLOSED
        assert (breaker.failure_threshold, breaker.success_threshold) == (5, 2)
        assert (breaker.failure_window_seconds, breaker.timeout_seconds) == (60, 30)
        assert (breaker.failure_count, breaker.success_count, breaker.opened_at) == (0, 0, None)
        assert breaker.should_allow_request()
        assert CIRCUIT_BREAKER_CONFIG == {
            "failure_threshold": 5,
            "success_threshold": 2,
            "failure_window_seconds": 60,
            "timeout_seconds": 30,
        }

    async def test_it_opens_at_the_threshold_and_keeps_its_count(self) -> None:
        breaker = CircuitBreaker("agent-1", failure_threshold=3)
        breaker.record_failure()
        breaker.record_failure()
        assert breaker.state is CircuitState.CLOSED
        breaker.record_failure()
        assert breaker.state is CircuitState.OPEN
        assert breaker.failure_count == 3
        assert not breaker.should_allow_request()

    async def test_opened_at_is_aware_and_now(self) -> None:
        breaker = opened(CircuitBreaker("agent-1"))
        assert breaker.opened_at.utcoffset() == timedelta(0)
        assert abs((datetime.now(UTC) - breaker.opened_at).total_seconds()) < 1

    async def test_open_for_31_seconds_makes_the_next_request_a_probe(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.state = CircuitState.OPEN
        breaker.opened_at = ago(31)
        assert breaker.should_allow_request()
        assert breaker.state is CircuitState.HALF_OPEN

    async def test_the_two_may_be_written_in_the_other_order(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.opened_at = ago(31)
        breaker.state = CircuitState.OPEN
        assert breaker.should_allow_request()

    async def test_open_for_29_seconds_rejects(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.state = CircuitState.OPEN
        breaker.opened_at = ago(29)
        assert not breaker.should_allow_request()
        assert breaker.state is CircuitState.OPEN

    async def test_two_successes_close_a_forced_half_open_without_a_permit(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.state = CircuitState.HALF_OPEN
        breaker.record_success()
        assert breaker.success_count == 1
        assert breaker.state is CircuitState.HALF_OPEN
        breaker.record_success()
        assert breaker.state is CircuitState.CLOSED
        assert breaker.failure_count == 0

    async def test_a_failure_in_half_open_opens_again(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.state = CircuitState.HALF_OPEN
        breaker.record_failure()
        assert breaker.state is CircuitState.OPEN

    async def test_written_thresholds_and_counts_are_obeyed(self) -> None:
        breaker = CircuitBreaker("agent-1")
        breaker.failure_threshold = 10
        breaker.failure_count = 8
        breaker.record_failure()
        assert (breaker.failure_count, breaker.state) == (9, CircuitState.CLOSED)
        breaker.record_failure()
        assert breaker.state is CircuitState.OPEN


class TestBreakerIntegration:
    async def test_the_documented_readings_work(self, executor: AgentCommandExecutor) -> None:
        circuit = executor.get_circuit_breaker("agent-123")
        assert circuit.state is CircuitState.CLOSED
        assert circuit.failure_count == 0
        assert circuit.opened_at is None
        assert circuit.timeout_seconds == 30
        assert executor.get_circuit_breaker("agent-123") is circuit

    async def test_failing_commands_open_the_circuit_and_nothing_is_sent_then(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        for _ in range(5):
            await executor.execute_command("agent-1", PING)
        assert executor.get_circuit_breaker("agent-1").state is CircuitState.OPEN
        connections.send_command.reset_mock()
        result = await executor.execute_command("agent-1", PING)
        assert result.error_code is CommandErrorCode.CIRCUIT_OPEN
        assert "circuit open" in result.error.lower()
        connections.send_command.assert_not_called()

    async def test_each_agent_has_a_circuit_of_its_own(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        for _ in range(5):
            await executor.execute_command("sick", PING)
        answer(executor, connections, DONE)
        assert (await executor.execute_command("sick", PING)).error_code is CommandErrorCode.CIRCUIT_OPEN
        assert (await executor.execute_command("well", PING)).success

    async def test_probes_close_the_circuit_again(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        circuit = executor.get_circuit_breaker("agent-1")
        circuit.state = CircuitState.OPEN
        circuit.opened_at = ago(31)
        assert (await executor.execute_command("agent-1", PING)).success
        assert circuit.state is CircuitState.HALF_OPEN
        assert (await executor.execute_command("agent-1", PING)).success
        assert circuit.state is CircuitState.CLOSED
        assert circuit.failure_count == 0

    async def test_incident_19_five_answers_no_such_container_leave_the_circuit_closed(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(
            executor,
            connections,
            {"success": False, "error": "no such container", "error_type": "docker_error"},
            delay=0.0,
        )
        for _ in range(10):
            await executor.execute_command("agent-1", PING)
        circuit = executor.get_circuit_breaker("agent-1")
        assert (circuit.state, circuit.failure_count) == (CircuitState.CLOSED, 0)

    async def test_incident_26_a_circuit_that_opens_in_mid_retry_ends_the_loop_with_the_real_code(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        policy = RetryPolicy(max_attempts=10, initial_delay=0.01, max_delay=0.01, jitter=False)
        result = await executor.execute_command("agent-1", PING, retry_policy=policy)
        assert connections.send_command.await_count == 5
        assert result.error_code is CommandErrorCode.NETWORK_ERROR
        assert result.total_attempts == 5
