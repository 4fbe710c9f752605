"""The embedded engine on a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
import pytest_asyncio

from seawall import AgentCommandExecutor, CircuitState, CommandErrorCode, CommandStatus, RetryPolicy
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.command import CommandState
from seawall.core.events import (
    AttemptFinished,
    AttemptStarted,
    CircuitChanged,
    CommandFinished,
    Event,
    RetryScheduled,
)
from seawall.testing.clock import FakeClock

COMMAND = {"type": "container_stop", "container_id": "abc"}
DONE = {"success": True, "data": "done"}
PLAIN = RetryPolicy(max_attempts=3, initial_delay=10.0, max_delay=60.0, jitter=False)


class Program:
    """An executor and its connections: `answer` says what becomes of each command that is sent."""

    def __init__(self, bulkhead: BulkheadLimits | None = None) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.sent: list[dict[str, object]] = []
        self.connected = True
        self.answer: Callable[[dict[str, object]], object] = self.reply
        limits = {"bulkhead": bulkhead} if bulkhead is not None else {}
        self.executor = AgentCommandExecutor(
            self, clock=self.clock, subscribers=[self.events.append], **limits
        )

    def is_connected(self, agent_id: str) -> bool:
        return self.connected

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        self.sent.append(command)
        answer = self.answer(command)
        return bool(await answer) if asyncio.iscoroutine(answer) else bool(answer)

    def reply(self, command: dict[str, object]) -> bool:
        message = {"correlation_id": command["correlation_id"], **DONE}
        asyncio.get_running_loop().call_soon(self.executor.handle_agent_response, message)
        return True

    async def run(self, policy: RetryPolicy | None = None, timeout_seconds: float = 30.0):  # noqa: ANN201
        return await self.executor.execute_command("agent-1", COMMAND, timeout_seconds, policy)

    def seen(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if type(event) is kind]

    def assert_nothing_left(self) -> None:
        assert self.executor._pending_commands == {}
        assert self.clock.timers == [] or len(self.executor._driver._link._deadlines) == 0
        for guard in self.executor._guards:
            assert guard.bulkhead.in_flight == 0
            assert guard.bulkhead.waiting == 0
            for _, breaker in guard.breakers:
                assert breaker.state is not CircuitState.HALF_OPEN or breaker.admits_at == 0.0


@pytest_asyncio.fixture
async def program() -> AsyncIterator[Program]:
    program = Program()
    yield program
    program.assert_nothing_left()


async def silence(command: dict[str, object]) -> bool:
    return True


async def hang(command: dict[str, object]) -> bool:
    await asyncio.get_running_loop().create_future()
    return True


@pytest.mark.asyncio
async def test_thirty_seconds_of_back_off_pass_in_a_moment(program: Program) -> None:
    program.answer = lambda _: False
    running = asyncio.create_task(program.run(PLAIN))
    await program.clock.advance(30.0)
    result = await running
    assert (result.total_attempts, result.duration_seconds) == (3, 30.0)
    assert [event.delay_seconds for event in program.seen(RetryScheduled)] == [10.0, 20.0]


@pytest.mark.asyncio
async def test_a_subscriber_sees_every_step_in_order(program: Program) -> None:
    program.answer = lambda _: len(program.sent) > 1 and program.reply(program.sent[-1])
    running = asyncio.create_task(program.run(PLAIN))
    await program.clock.advance(10.0)
    await running
    assert [type(event) for event in program.events] == [
        AttemptStarted,
        AttemptFinished,
        RetryScheduled,
        AttemptStarted,
        AttemptFinished,
        CommandFinished,
    ]
    retry = program.seen(RetryScheduled)[0]
    assert (retry.failed_attempts, retry.max_attempts) == (1, 3)
    assert retry.outcome.code is CommandErrorCode.NETWORK_ERROR


@pytest.mark.asyncio
async def test_a_send_that_hangs_is_bounded_by_the_attempts_timeout(program: Program) -> None:
    program.answer = hang
    running = asyncio.create_task(program.run(timeout_seconds=5.0))
    await program.clock.advance(4.9)
    assert not running.done()
    await program.clock.advance(0.1)
    result = await running
    assert (result.status, result.duration_seconds) == (CommandStatus.TIMEOUT, 5.0)
    assert not asyncio.current_task().cancelling()


@pytest.mark.asyncio
async def test_a_task_goes_on_after_a_send_that_hung(program: Program) -> None:
    async def both() -> list[bool]:
        program.answer = hang
        first = await program.run(timeout_seconds=5.0)
        program.answer = program.reply
        await asyncio.sleep(0)
        return [first.success, (await program.run()).success]

    running = asyncio.create_task(both())
    await program.clock.advance(5.0)
    assert await running == [False, True]


@pytest.mark.asyncio
async def test_a_reply_that_comes_while_the_send_has_not_returned_counts(program: Program) -> None:
    async def reply_first(command: dict[str, object]) -> bool:
        program.executor.handle_agent_response({"correlation_id": command["correlation_id"], **DONE})
        await asyncio.sleep(0)
        return True

    program.answer = reply_first
    assert (await program.run()).success


@pytest.mark.asyncio
async def test_a_caller_that_cancels_is_cancelled_not_answered(program: Program) -> None:
    program.answer = hang
    running = asyncio.create_task(program.run())
    await program.clock.settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["caller", "timeout"])
async def test_a_caller_that_cancels_in_the_moment_of_the_timeout_is_cancelled(
    program: Program, first: str
) -> None:
    program.answer = hang
    # Deadlines of one moment fire in one turn of the loop, in the order in which they came.
    deadlines = program.executor._driver._link._deadlines
    if first == "caller":
        deadlines.add(1005.0, lambda: running.cancel())
    running = asyncio.create_task(program.run(timeout_seconds=5.0))
    await program.clock.settle()
    if first == "timeout":
        deadlines.add(1005.0, running.cancel)
    await program.clock.advance(5.0)
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", ["reply", "silence", "hang", "refuse"])
@pytest.mark.parametrize("turns", range(24))
async def test_a_cancellation_at_any_turn_leaves_nothing_behind(answer: str, turns: int) -> None:
    program = Program(BulkheadLimits(in_flight=1, queue=2))
    program.answer = {
        "reply": program.reply,
        "silence": silence,
        "hang": hang,
        "refuse": lambda _: False,
    }[answer]
    running = [asyncio.create_task(program.run(PLAIN)) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in running:
        task.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) or result.success for result in results)
    await program.clock.settle()
    program.assert_nothing_left()
    program.answer = program.reply
    assert (await program.run()).success, "a slot or a permit was lost"


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(16))
async def test_incident_23_a_cancelled_probe_gives_its_permit_back(turns: int) -> None:
    program = Program()
    circuit = program.executor.get_circuit_breaker("agent-1")
    circuit.state = CircuitState.HALF_OPEN
    program.answer = silence
    running = asyncio.create_task(program.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert circuit.state is CircuitState.HALF_OPEN
    program.answer = program.reply
    assert (await program.run()).success


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(12))
async def test_one_waiter_that_is_cancelled_does_not_take_the_slot_with_it(turns: int) -> None:
    program = Program(BulkheadLimits(in_flight=1, queue=3))
    running = [asyncio.create_task(program.run()) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    running[1].cancel()
    await program.clock.settle()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert results[0].success
    assert results[2].success
    program.assert_nothing_left()


@pytest.mark.asyncio
async def test_incident_09_a_disconnect_fails_what_is_pending_at_once_and_counts_once(
    program: Program,
) -> None:
    program.answer = silence
    running = [asyncio.create_task(program.run()) for _ in range(20)]
    await program.clock.settle()
    assert program.executor.handle_agent_disconnect("agent-1") == 20
    results = await asyncio.gather(*running)
    assert {result.error_code for result in results} == {CommandErrorCode.AGENT_DISCONNECTED}
    assert {result.state for result in results} == {CommandState.UNKNOWN}
    assert program.clock.now() == 1000.0
    assert program.executor.get_circuit_breaker("agent-1").failure_count == 1
    assert program.executor.get_circuit_breaker("agent-1").state is CircuitState.CLOSED


@pytest.mark.asyncio
async def test_a_disconnect_during_the_sending_is_counted(program: Program) -> None:
    async def break_off(command: dict[str, object]) -> bool:
        raise ConnectionResetError("broken pipe")

    program.answer = break_off
    result = await program.run()
    assert result.error_code is CommandErrorCode.NETWORK_ERROR
    assert "failed to send" in result.error.lower()
    assert program.executor.get_circuit_breaker("agent-1").failure_count == 1


@pytest.mark.asyncio
async def test_incident_18_a_thousand_commands_to_one_agent_keep_the_limits() -> None:
    program = Program(BulkheadLimits(in_flight=8, queue=100))
    most = 0

    async def measure(command: dict[str, object]) -> bool:
        nonlocal most
        most = max(most, program.executor.get_pending_command_count())
        await asyncio.sleep(0)
        return program.reply(command)

    program.answer = measure
    results = await asyncio.gather(*(program.run() for _ in range(1000)))
    codes = [result.error_code for result in results]
    assert codes.count(None) == 108
    assert codes.count(CommandErrorCode.BULKHEAD_FULL) == 892
    assert most == 8
    refused = next(result for result in results if not result.success)
    assert (refused.state, refused.retry_after_seconds) == (CommandState.REJECTED, 13.0)
    program.assert_nothing_left()
    assert len(program.executor._guards) == 0


@pytest.mark.asyncio
async def test_who_waits_for_a_slot_longer_than_the_timeout_is_turned_away() -> None:
    program = Program(BulkheadLimits(in_flight=1, queue=5))
    program.answer = silence
    first = asyncio.create_task(program.run(timeout_seconds=30.0))
    await program.clock.settle()
    second = asyncio.create_task(program.run(timeout_seconds=5.0))
    await program.clock.advance(5.0)
    assert (await second).error_code is CommandErrorCode.BULKHEAD_FULL
    await program.clock.advance(30.0)
    assert (await first).error_code is CommandErrorCode.TIMEOUT
    program.assert_nothing_left()


@pytest.mark.asyncio
async def test_a_circuit_opens_probes_and_closes_with_an_event_for_each(program: Program) -> None:
    program.answer = lambda _: False
    for _ in range(6):
        await program.run()
    assert len(program.sent) == 5
    program.answer = program.reply
    await program.clock.advance(33.1)
    assert (await program.run()).success
    assert (await program.run()).success
    changes = [(event.origin, event.target) for event in program.seen(CircuitChanged)]
    assert changes == [
        (CircuitState.CLOSED, CircuitState.OPEN),
        (CircuitState.OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.CLOSED),
    ]


@pytest.mark.asyncio
async def test_while_a_probe_is_under_way_others_are_turned_away(program: Program) -> None:
    program.executor.get_circuit_breaker("agent-1").state = CircuitState.HALF_OPEN
    program.answer = silence
    probe = asyncio.create_task(program.run())
    await program.clock.settle()
    assert (await program.run()).error_code is CommandErrorCode.CIRCUIT_OPEN
    program.executor.handle_agent_response({"correlation_id": program.sent[0]["correlation_id"], **DONE})
    assert (await probe).success


@pytest.mark.asyncio
async def test_incident_01_all_attempts_carry_one_command_id(program: Program) -> None:
    program.answer = lambda _: False
    running = asyncio.create_task(program.run(PLAIN))
    await program.clock.advance(30.0)
    result = await running
    assert {message["command_id"] for message in program.sent} == {result.command_id}
    assert len({message["correlation_id"] for message in program.sent}) == 3


@pytest.mark.asyncio
async def test_a_command_id_given_by_the_program_is_kept(program: Program) -> None:
    result = await program.executor.execute_command("agent-1", {**COMMAND, "command_id": "mine"})
    assert result.command_id == program.sent[0]["command_id"] == "mine"


@pytest.mark.asyncio
async def test_incident_27_asking_for_circuits_of_unknown_agents_creates_nothing(program: Program) -> None:
    for number in range(1000):
        assert program.executor.get_circuit_breaker(f"bogus-{number}").state is CircuitState.CLOSED
    assert len(program.executor._guards) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("odd", [None, 7, ["list"], {"a": 1}, "unknown"])
async def test_a_reply_with_an_odd_correlation_id_is_ignored(program: Program, odd: object) -> None:
    program.executor.handle_agent_response({"correlation_id": odd, **DONE})


@pytest.mark.asyncio
@pytest.mark.parametrize("timeout_seconds", [0, -1.0, float("nan")])
async def test_a_timeout_that_is_not_positive_is_refused(program: Program, timeout_seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        await program.run(timeout_seconds=timeout_seconds)


@pytest.mark.asyncio
async def test_a_cleaned_up_attempt_ends_as_a_timeout(program: Program) -> None:
    program.answer = silence
    running = asyncio.create_task(program.run(timeout_seconds=3600.0))
    await program.clock.advance(301.0)
    assert await program.executor.cleanup_expired_pending_commands() == 1
    assert (await running).error_code is CommandErrorCode.TIMEOUT


@pytest.mark.asyncio
async def test_started_at_follows_the_time_of_day(program: Program) -> None:
    program.answer = silence
    began = program.clock.wall()
    running = []
    for _ in range(3):
        running.append(asyncio.create_task(program.run()))
        await program.clock.advance(5.0)
    started = [entry["started_at"] for entry in program.executor._pending_commands.values()]
    assert started == [began + timedelta(seconds=seconds) for seconds in (0, 5, 10)]
    await program.clock.advance(30.0)
    await asyncio.gather(*running)


@pytest.mark.asyncio
async def test_incident_24_a_jump_of_the_time_of_day_fires_and_starves_nothing(program: Program) -> None:
    program.answer = silence
    running = asyncio.create_task(program.run(timeout_seconds=30.0))
    await program.clock.settle()
    program.clock.set_wall(program.clock.wall() + timedelta(hours=5))
    await program.clock.advance(29.0)
    assert not running.done()
    program.clock.set_wall(program.clock.wall() - timedelta(hours=10))
    await program.clock.advance(1.0)
    assert (await running).status is CommandStatus.TIMEOUT


def test_an_executor_serves_one_loop_after_another() -> None:
    program = Program()

    async def fail_then_succeed() -> list[CommandStatus]:
        program.answer = silence
        running = asyncio.create_task(program.run(timeout_seconds=5.0))
        await program.clock.advance(5.0)
        program.answer = program.reply
        return [(await running).status, (await program.run()).status]

    for _ in range(2):
        assert asyncio.run(fail_then_succeed()) == [CommandStatus.TIMEOUT, CommandStatus.SUCCESS]
