"""Errors as old programs read them: codes, fields of the result, classification, retryability."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from agent.command_executor import (
    AgentCommandExecutor,
    CommandErrorCode,
    CommandResult,
    CommandStatus,
    RetryPolicy,
)
from tests.compat.programs import DONE, Reply, answer

pytestmark = pytest.mark.asyncio

LIST = {"type": "container_list"}
TEN_CODES = [
    "NETWORK_ERROR",
    "AGENT_DISCONNECTED",
    "AGENT_NOT_CONNECTED",
    "TIMEOUT",
    "PERMISSION_DENIED",
    "DOCKER_ERROR",
    "AGENT_ERROR",
    "INVALID_RESPONSE",
    "CIRCUIT_OPEN",
    "UNKNOWN_ERROR",
]


async def code_of(executor: AgentCommandExecutor, connections: MagicMock, reply: Reply) -> CommandErrorCode:
    answer(executor, connections, reply)
    result = await executor.execute_command("agent-1", LIST)
    assert not result.success
    assert result.status is CommandStatus.ERROR
    return result.error_code


class TestErrorCodes:
    async def test_the_ten_codes_are_there(self) -> None:
        assert [code.name for code in CommandErrorCode][:10] == TEN_CODES

    async def test_the_value_of_a_code_is_its_name_in_lower_case(self) -> None:
        assert all(code.value == code.name.lower() for code in CommandErrorCode)

    async def test_a_code_is_found_by_its_value(self) -> None:
        assert CommandErrorCode("docker_error") is CommandErrorCode.DOCKER_ERROR

    async def test_a_result_can_be_matched_by_its_code(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"success": False, "error": "no", "error_type": "permission_denied"})
        result = await executor.execute_command("agent-1", LIST)
        match result.error_code:
            case CommandErrorCode.PERMISSION_DENIED:
                seen = "denied"
            case CommandErrorCode.CIRCUIT_OPEN:
                seen = "open"
            case _:
                seen = "something else"
        assert seen == "denied"


class TestResultFields:
    async def test_a_success_has_a_response_and_no_error(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        result = await executor.execute_command("agent-1", LIST)
        assert (result.status, result.success) == (CommandStatus.SUCCESS, True)
        assert result.response == {"status": "running"}
        assert result.error is None
        assert result.error_code is None

    async def test_an_error_has_a_text_and_a_code(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"success": False, "error": "no such container"})
        result = await executor.execute_command("agent-1", LIST)
        assert (result.status, result.success) == (CommandStatus.ERROR, False)
        assert result.error == "no such container"
        assert result.error_code is CommandErrorCode.AGENT_ERROR

    async def test_a_result_can_be_made_with_the_first_four_fields(self) -> None:
        result = CommandResult(status=CommandStatus.SUCCESS, success=True, response={"a": 1}, error=None)
        assert result.error_code is None
        assert result.duration_seconds == 0.0
        assert (result.attempt, result.total_attempts, result.retried) == (1, 1, False)

    async def test_a_single_attempt_counts_as_one_and_not_as_retried(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        result = await executor.execute_command("agent-1", LIST)
        assert (result.attempt, result.total_attempts, result.retried) == (1, 1, False)

    async def test_the_response_of_an_agents_error_is_its_raw_reply(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, {"success": False, "error": "full", "detail": {"disk": "/"}})
        result = await executor.execute_command("agent-1", LIST)
        assert result.response == {
            "correlation_id": sent[0]["correlation_id"],
            "success": False,
            "error": "full",
            "detail": {"disk": "/"},
        }


class TestClassification:
    async def test_permission_denied_is_honoured(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        reply = {"success": False, "error": "not allowed", "error_type": "permission_denied"}
        assert await code_of(executor, connections, reply) is CommandErrorCode.PERMISSION_DENIED

    async def test_docker_error_is_honoured(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        reply = {"success": False, "error": "no daemon", "error_type": "docker_error"}
        assert await code_of(executor, connections, reply) is CommandErrorCode.DOCKER_ERROR

    async def test_any_other_failure_is_an_agent_error(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        reply = {"success": False, "error": "boom", "error_type": "something_new"}
        assert await code_of(executor, connections, reply) is CommandErrorCode.AGENT_ERROR

    async def test_a_reply_with_neither_success_nor_payload_is_invalid(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        reply = {"status": "fine"}
        assert await code_of(executor, connections, reply) is CommandErrorCode.INVALID_RESPONSE

    async def test_incident_06_success_false_without_a_text_is_a_failure(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        reply = {"success": False, "data": {"status": "running"}}
        assert await code_of(executor, connections, reply) is CommandErrorCode.AGENT_ERROR

    async def test_an_exception_of_the_connection_manager_is_an_unknown_error(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.side_effect = RuntimeError("bug in the program")
        result = await executor.execute_command("agent-1", LIST)
        assert result.error_code is CommandErrorCode.UNKNOWN_ERROR
        assert "bug in the program" in result.error


class TestRetryability:
    async def test_passing_faults_are_retryable(self, executor: AgentCommandExecutor) -> None:
        for code in ("NETWORK_ERROR", "AGENT_DISCONNECTED", "TIMEOUT", "UNKNOWN_ERROR"):
            assert executor.is_error_retryable(CommandErrorCode[code]), code

    async def test_lasting_faults_are_not(self, executor: AgentCommandExecutor) -> None:
        for code in ("PERMISSION_DENIED", "DOCKER_ERROR", "AGENT_ERROR", "INVALID_RESPONSE", "CIRCUIT_OPEN"):
            assert not executor.is_error_retryable(CommandErrorCode[code]), code

    async def test_what_lasts_is_tried_once_whatever_the_policys_number(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"success": False, "error": "no", "error_type": "permission_denied"})
        policy = RetryPolicy(max_attempts=5, initial_delay=0.01)
        result = await executor.execute_command("agent-1", LIST, retry_policy=policy)
        assert result.total_attempts == 1
        assert connections.send_command.await_count == 1
