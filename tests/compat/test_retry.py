"""Retries as old programs order them."""

from __future__ import annotations

import asyncio
from unittest.mock import MagicMock

import pytest

from agent.command_executor import DEFAULT_RETRY_POLICY, AgentCommandExecutor, CommandErrorCode, RetryPolicy
from tests.compat.programs import DONE, answer, under_way

pytestmark = pytest.mark.asyncio

STOP = {"type": "container_stop", "container_id": "abc123"}
QUICK = RetryPolicy(max_attempts=3, initial_delay=0.01, max_delay=0.02, jitter=False)


class TestPolicy:
    async def test_a_policy_without_arguments_has_the_documented_defaults(self) -> None:
        policy = RetryPolicy()
        assert (policy.max_attempts, policy.initial_delay, policy.max_delay) == (3, 1.0, 30.0)
        assert policy.backoff_multiplier == 2.0
        assert policy.jitter is True
        assert policy.retryable_error_codes == [
            CommandErrorCode.NETWORK_ERROR,
            CommandErrorCode.AGENT_DISCONNECTED,
            CommandErrorCode.TIMEOUT,
            CommandErrorCode.UNKNOWN_ERROR,
        ]

    async def test_the_default_policy_names_three_codes(self) -> None:
        assert DEFAULT_RETRY_POLICY.max_attempts == 3
        assert DEFAULT_RETRY_POLICY.retryable_error_codes == [
            CommandErrorCode.NETWORK_ERROR,
            CommandErrorCode.AGENT_DISCONNECTED,
            CommandErrorCode.TIMEOUT,
        ]

    async def test_two_policies_do_not_share_their_list_of_codes(self) -> None:
        RetryPolicy().retryable_error_codes.clear()
        assert len(RetryPolicy().retryable_error_codes) == 4

    async def test_incident_31_zero_attempts_are_refused_with_the_fields_name(self) -> None:
        with pytest.raises(ValueError, match="max_attempts"):
            RetryPolicy(max_attempts=0)


class TestRetry:
    async def test_without_a_policy_there_is_one_attempt(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        result = await executor.execute_command("agent-1", STOP)
        assert result.total_attempts == 1
        assert result.retried is False
        assert connections.send_command.await_count == 1

    async def test_a_passing_fault_is_retried_until_it_passes(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        delivered = connections.send_command.side_effect
        outcomes = [False, False]

        async def send(agent_id: str, command: dict[str, object]) -> bool:
            return outcomes.pop() if outcomes else await delivered(agent_id, command)

        connections.send_command.side_effect = send
        result = await executor.execute_command("agent-1", STOP, retry_policy=QUICK)
        assert result.success
        assert (result.attempt, result.total_attempts, result.retried) == (3, 3, True)

    async def test_a_lasting_fault_ends_after_max_attempts_with_its_own_code(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        result = await executor.execute_command("agent-1", STOP, retry_policy=QUICK)
        assert result.error_code is CommandErrorCode.NETWORK_ERROR
        assert (result.total_attempts, result.retried) == (3, True)
        assert connections.send_command.await_count == 3

    async def test_incident_01_a_retry_keeps_the_command_id_and_gets_its_own_correlation_id(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, lambda _: None)
        await executor.execute_command("agent-1", STOP, timeout=0.02, retry_policy=QUICK)
        assert len(sent) == 3
        assert len({command["command_id"] for command in sent}) == 1
        assert len({command["correlation_id"] for command in sent}) == 3
        assert {len(str(command["correlation_id"])) for command in sent} == {36}

    async def test_the_policys_own_codes_decide(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"success": False, "error": "busy", "error_type": "docker_error"})
        policy = RetryPolicy(
            max_attempts=2, initial_delay=0.01, retryable_error_codes=[CommandErrorCode.DOCKER_ERROR]
        )
        result = await executor.execute_command("agent-1", STOP, retry_policy=policy)
        assert result.total_attempts == 2
        assert result.error_code is CommandErrorCode.DOCKER_ERROR

    async def test_a_lost_connection_is_retried(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, lambda _: DONE if len(sent) > 1 else None)
        running = asyncio.create_task(executor.execute_command("agent-1", STOP, retry_policy=QUICK))
        await under_way(executor)
        executor.handle_agent_disconnect("agent-1")
        result = await running
        assert result.success
        assert result.total_attempts == 2

    async def test_the_delays_grow_and_count_towards_the_duration(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        policy = RetryPolicy(max_attempts=3, initial_delay=0.02, max_delay=1.0, jitter=False)
        result = await executor.execute_command("agent-1", STOP, retry_policy=policy)
        assert 0.06 <= result.duration_seconds < 2.0
