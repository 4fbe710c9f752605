"""Commands as old programs give them: execution, timeout, disconnection, responses, concurrency, metrics."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock, MagicMock

import pytest

from agent.command_executor import (
    AgentCommandExecutor,
    CommandErrorCode,
    CommandStatus,
    RetryPolicy,
)
from tests.compat.programs import DONE, answer, under_way

pytestmark = pytest.mark.asyncio

START = {"type": "container_start", "container_id": "abc123"}


def pending_entry(agent_id: str, age_seconds: float = 0.0) -> dict[str, object]:
    """What a program puts into `_pending_commands` itself."""
    return {
        "future": asyncio.get_running_loop().create_future(),
        "agent_id": agent_id,
        "started_at": datetime.now(UTC) - timedelta(seconds=age_seconds),
    }


class TestCommandExecution:
    async def test_the_documented_example_runs_as_written(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        result = await executor.execute_command(
            agent_id="agent-123",
            command={"type": "container_start", "container_id": "abc123"},
            timeout=30.0,
        )
        assert result.success is True
        assert result.status is CommandStatus.SUCCESS

    async def test_the_documented_example_with_a_policy_runs_as_written(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        policy = RetryPolicy(
            max_attempts=5,
            initial_delay=2.0,
            max_delay=60.0,
            backoff_multiplier=2.0,
            jitter=True,
            retryable_error_codes=[CommandErrorCode.NETWORK_ERROR, CommandErrorCode.TIMEOUT],
        )
        result = await executor.execute_command(
            agent_id="agent-123",
            command={"type": "container_update", "image": "nginx:latest"},
            timeout=120.0,
            retry_policy=policy,
        )
        assert result.success
        assert result.total_attempts == 1

    async def test_send_command_gets_agent_and_command_positionally_and_once(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        await executor.execute_command("agent-1", START)
        connections.send_command.assert_awaited_once()
        positional, named = connections.send_command.call_args
        assert positional[0] == "agent-1"
        assert isinstance(positional[1], dict)
        assert named == {}

    async def test_the_sent_command_has_the_callers_keys_and_a_correlation_id(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, DONE)
        given = dict(START)
        await executor.execute_command("agent-1", given)
        assert sent[0].items() >= given.items()
        assert len(str(sent[0]["correlation_id"])) == 36
        assert given == START

    async def test_a_command_to_an_agent_that_is_not_connected_sends_nothing(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.is_connected.return_value = False
        result = await executor.execute_command("agent-1", START)
        assert result.status is CommandStatus.ERROR
        assert result.error_code is CommandErrorCode.AGENT_NOT_CONNECTED
        assert "not connected" in result.error
        connections.send_command.assert_not_called()

    async def test_a_send_that_returns_false_is_a_network_error(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        connections.send_command.return_value = False
        result = await executor.execute_command("agent-1", START)
        assert result.error_code is CommandErrorCode.NETWORK_ERROR
        assert "failed to send" in result.error.lower()
        assert executor.get_pending_command_count() == 0


class TestTimeout:
    async def test_an_agent_that_does_not_answer_times_out(self, executor: AgentCommandExecutor) -> None:
        result = await executor.execute_command("agent-1", START, timeout=0.05)
        assert result.status is CommandStatus.TIMEOUT
        assert result.error_code is CommandErrorCode.TIMEOUT
        assert not result.success

    async def test_the_error_says_timeout(self, executor: AgentCommandExecutor) -> None:
        result = await executor.execute_command("agent-1", START, timeout=0.05)
        assert "timeout" in result.error.lower()

    async def test_a_timeout_leaves_nothing_pending(self, executor: AgentCommandExecutor) -> None:
        await executor.execute_command("agent-1", START, timeout=0.05)
        assert executor.get_pending_command_count() == 0
        assert executor._pending_commands == {}

    async def test_the_duration_of_a_timeout_is_the_timeout(self, executor: AgentCommandExecutor) -> None:
        result = await executor.execute_command("agent-1", START, timeout=0.1)
        assert 0.1 <= result.duration_seconds < 2.0

    async def test_the_sending_counts_towards_the_timeout(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        async def hang(agent_id: str, command: dict[str, object]) -> bool:
            await asyncio.sleep(60)
            return True

        connections.send_command = AsyncMock(side_effect=hang)
        result = await asyncio.wait_for(executor.execute_command("agent-1", START, timeout=0.05), 5)
        assert result.error_code is CommandErrorCode.TIMEOUT

    async def test_an_answer_after_the_timeout_changes_nothing(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, lambda _: None)
        result = await executor.execute_command("agent-1", START, timeout=0.05)
        executor.handle_agent_response({"correlation_id": sent[0]["correlation_id"], **DONE})
        assert result.status is CommandStatus.TIMEOUT
        assert executor.get_pending_command_count() == 0


class TestDisconnection:
    async def test_a_connection_error_on_the_future_is_agent_disconnected(
        self, executor: AgentCommandExecutor
    ) -> None:
        running = asyncio.create_task(executor.execute_command("agent-1", START, timeout=5.0))
        await under_way(executor)
        for pending in executor._pending_commands.values():
            pending["future"].set_exception(ConnectionError("Agent disconnected"))
        result = await running
        assert result.error_code is CommandErrorCode.AGENT_DISCONNECTED
        assert result.status is CommandStatus.ERROR

    async def test_the_error_says_disconnected(self, executor: AgentCommandExecutor) -> None:
        running = asyncio.create_task(executor.execute_command("agent-1", START, timeout=5.0))
        await under_way(executor)
        next(iter(executor._pending_commands.values()))["future"].set_exception(ConnectionError("gone"))
        assert "disconnected" in (await running).error.lower()

    async def test_handle_agent_disconnect_ends_what_is_pending_at_once(
        self, executor: AgentCommandExecutor
    ) -> None:
        running = asyncio.create_task(executor.execute_command("agent-1", START, timeout=60.0))
        await under_way(executor)
        assert executor.handle_agent_disconnect("agent-1") == 1
        result = await asyncio.wait_for(running, 10)
        assert result.error_code is CommandErrorCode.AGENT_DISCONNECTED
        assert executor.get_pending_command_count() == 0

    async def test_a_disconnect_of_one_agent_leaves_the_others_alone(
        self, executor: AgentCommandExecutor
    ) -> None:
        lost = asyncio.create_task(executor.execute_command("agent-1", START, timeout=5.0))
        other = asyncio.create_task(executor.execute_command("agent-2", START, timeout=0.1))
        await under_way(executor, 2)
        executor.handle_agent_disconnect("agent-1")
        assert (await lost).error_code is CommandErrorCode.AGENT_DISCONNECTED
        assert (await other).error_code is CommandErrorCode.TIMEOUT


class TestResponseHandling:
    async def test_data_is_unwrapped_into_the_response(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"success": True, "data": {"id": "abc123"}})
        assert (await executor.execute_command("agent-1", START)).response == {"id": "abc123"}

    async def test_payload_alone_is_a_success_and_is_unwrapped(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, {"payload": [1, 2, 3]})
        result = await executor.execute_command("agent-1", START)
        assert result.success
        assert result.response == [1, 2, 3]

    async def test_a_success_without_data_answers_the_whole_reply(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, {"success": True, "uptime": 7})
        result = await executor.execute_command("agent-1", START)
        assert result.response == {
            "correlation_id": sent[0]["correlation_id"],
            "success": True,
            "uptime": 7,
        }

    async def test_an_unknown_correlation_id_is_ignored(self, executor: AgentCommandExecutor) -> None:
        entry = pending_entry("agent-1")
        executor._pending_commands["known"] = entry
        executor.handle_agent_response({"correlation_id": "unknown", **DONE})
        assert not entry["future"].done()

    async def test_a_missing_correlation_id_is_ignored(self, executor: AgentCommandExecutor) -> None:
        executor.handle_agent_response(dict(DONE))
        executor.handle_agent_response({})
        assert executor.get_pending_command_count() == 0

    async def test_a_second_answer_to_the_same_command_is_ignored(
        self, executor: AgentCommandExecutor
    ) -> None:
        entry = pending_entry("agent-1")
        executor._pending_commands["mine"] = entry
        executor.handle_agent_response({"correlation_id": "mine", "success": True, "data": 1})
        executor.handle_agent_response({"correlation_id": "mine", "success": True, "data": 2})
        assert entry["future"].result()["data"] == 1


class TestConcurrency:
    async def test_many_commands_to_one_agent_each_get_their_own_answer(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, lambda command: {"success": True, "data": command["number"]})
        results = await asyncio.gather(
            *(executor.execute_command("agent-1", {**START, "number": n}) for n in range(50))
        )
        assert [result.response for result in results] == list(range(50))

    async def test_answers_in_the_reverse_order_reach_the_right_commands(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, lambda _: None)
        running = [
            asyncio.create_task(executor.execute_command("agent-1", {**START, "number": n})) for n in range(3)
        ]
        await under_way(executor, 3)
        for command in reversed(sent):
            executor.handle_agent_response(
                {
                    "correlation_id": command["correlation_id"],
                    "success": True,
                    "data": command["number"],
                }
            )
        assert [result.response for result in await asyncio.gather(*running)] == [0, 1, 2]

    async def test_every_command_has_a_correlation_id_of_its_own(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        sent = answer(executor, connections, DONE)
        await asyncio.gather(*(executor.execute_command(f"agent-{n}", START) for n in range(20)))
        assert len({command["correlation_id"] for command in sent}) == 20

    async def test_a_slow_agent_does_not_hold_up_another(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, lambda command: None if command.get("slow") else DONE)
        slow = asyncio.create_task(executor.execute_command("slow", {**START, "slow": True}, timeout=0.2))
        result = await executor.execute_command("fast", START, timeout=0.2)
        assert result.success
        assert not slow.done()
        assert (await slow).status is CommandStatus.TIMEOUT


class TestMetrics:
    async def test_the_pending_count_follows_the_commands(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE)
        assert executor.get_pending_command_count() == 0
        running = [asyncio.create_task(executor.execute_command("agent-1", START)) for _ in range(3)]
        await under_way(executor, 3)
        await asyncio.gather(*running)
        assert executor.get_pending_command_count() == 0

    async def test_a_pending_entry_tells_its_agent_and_its_start(
        self, executor: AgentCommandExecutor
    ) -> None:
        before = datetime.now(UTC)
        running = asyncio.create_task(executor.execute_command("agent-7", START, timeout=0.1))
        await under_way(executor)
        ((correlation_id, pending),) = executor._pending_commands.items()
        assert len(correlation_id) == 36
        assert pending["agent_id"] == "agent-7"
        assert before - timedelta(seconds=1) <= pending["started_at"] <= datetime.now(UTC)
        assert pending["started_at"].utcoffset() == timedelta(0)
        await running

    async def test_cleanup_cancels_and_forgets_what_is_too_old(self, executor: AgentCommandExecutor) -> None:
        old, young = pending_entry("agent-1", age_seconds=400), pending_entry("agent-1")
        executor._pending_commands["old"] = old
        executor._pending_commands["young"] = young
        await executor.cleanup_expired_pending_commands(max_age_seconds=300)
        assert old["future"].cancelled()
        assert not young["future"].done()
        assert list(executor._pending_commands) == ["young"]

    async def test_cleanup_without_an_age_keeps_five_minutes(self, executor: AgentCommandExecutor) -> None:
        executor._pending_commands["old"] = pending_entry("agent-1", age_seconds=301)
        executor._pending_commands["young"] = pending_entry("agent-1", age_seconds=290)
        await executor.cleanup_expired_pending_commands()
        assert list(executor._pending_commands) == ["young"]

    async def test_the_duration_counts_the_agents_work(
        self, executor: AgentCommandExecutor, connections: MagicMock
    ) -> None:
        answer(executor, connections, DONE, delay=0.05)
        assert 0.04 <= (await executor.execute_command("agent-1", START)).duration_seconds < 2.0
