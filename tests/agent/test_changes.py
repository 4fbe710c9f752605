"""Changing commands and the ledger: one effect at most, in order, and told until it is heard."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from seawall.agent.ledger import LedgerFailed
from seawall.agent.operations.runner import Execution
from seawall.agent.worker import Limits
from seawall.files import LOOK_SECONDS
from seawall.testing.docker import Fault
from seawall.wire.messages import Completed, Execute, OpenStream, Progress, Started, StreamData, StreamEnd
from seawall.wire.output import Line
from seawall.wire.stream import WINDOW_BYTES
from tests.agent.worker_bench import held, last, opened, slow, state_of, summary

pytestmark = pytest.mark.asyncio


# The order of things


async def test_the_row_is_durable_before_the_effect_and_the_result_before_it_is_told() -> None:
    order = list[str]()

    async def run(execution: Execution) -> object:
        order.append(f"effect, {state_of(bench)}")
        return {}

    bench = await opened(runners={"container_restart": run})
    bench.acknowledges = False
    bench.on_send = lambda message: order.append(f"{type(message).__name__}, {state_of(bench)}")
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    assert order == ["Started, State.STARTED", "effect, State.STARTED", "Completed, State.DONE"]
    started, completed = bench.sent
    assert started == Started("command-1", "attempt-1", 1, 1)
    assert isinstance(completed, Completed)
    assert (completed.recorded, completed.sequence) == (True, 1)


async def test_without_a_durable_row_there_is_no_effect_and_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = await opened()
    bench.disk.broken = LedgerFailed("no space left")
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    assert bench.docker.effects == []
    assert bench.sent == []
    assert "no space left" in caplog.text


async def test_a_result_that_is_not_durable_is_not_told() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    bench.disk.broken = LedgerFailed("input/output error")
    release.set()
    await bench.clock.settle()
    assert bench.completions() == []


async def test_on_a_full_disk_nothing_begins_and_what_has_begun_is_concluded() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    running = bench.give("container_restart", container="web")
    await bench.clock.settle()
    bench.disk.free_bytes = 15 * 1024 * 1024
    await bench.clock.advance(LOOK_SECONDS)
    answer = await bench.answer(bench.give("container_stop", container="db"))
    assert (summary(answer), answer.recorded) == (("agent_error", "not_applied"), False)
    release.set()
    assert (await bench.answer(running)).recorded
    bench.disk.free_bytes = 1 << 30
    await bench.clock.advance(LOOK_SECONDS)
    assert (await bench.answer(bench.again(2, "container_stop", container="db"))).code is None


async def test_a_change_takes_two_writes() -> None:
    bench = await opened()
    before = bench.disk.writes
    for _ in range(10):
        bench.give("container_restart", container="web")
        await bench.clock.settle()
    assert len(bench.docker.effects) == 10
    assert bench.disk.writes == before + 20, "acknowledgements go along"


async def test_a_change_without_a_place_in_the_ledger_is_refused() -> None:
    bench = await opened()
    bench.again(0, "container_restart", attempt=1, container="web")
    await bench.clock.settle()
    assert bench.completions()[0].code == "unsupported_operation"
    assert bench.docker.effects == []


# Duplicates


async def test_incident_1_a_retry_of_a_finished_command_gets_its_result_and_runs_nothing() -> None:
    bench = await opened()
    first = await bench.answer(bench.give("container_restart", container="web"))
    second = await bench.answer(bench.again(1, "container_restart", container="web"))
    assert second.recorded
    assert second.response == first.response
    assert len(bench.docker.effects) == 1


async def test_incident_4_the_late_end_of_a_change_is_told_under_the_command_that_it_belongs_to() -> None:
    bench = await opened()
    bench.docker.latency = slow("container_restart", 20.0)
    first = bench.give("container_restart", 10.0, container="web", grace_seconds=1)
    await bench.clock.advance(10)
    assert summary(await bench.answer(first)) == ("timeout", "docker_silent")
    assert not bench.answers()[first].recorded
    await bench.clock.advance(60)
    assert (last(bench).command_id, last(bench).code) == ("command-1", None)


@pytest.mark.parametrize("seconds", [180.0, 1860.0])
@pytest.mark.parametrize("restarted", [False, True])
async def test_incident_5_a_duplicate_is_known_after_minutes_after_half_an_hour_and_after_a_restart(
    seconds: float, restarted: bool
) -> None:
    bench = await opened()
    bench.give("container_restart", container="web")
    await bench.clock.advance(seconds)
    if restarted:
        await bench.restart()
    answer = await bench.answer(
        bench.again(1, "container_restart", epoch=2 if restarted else 1, container="web")
    )
    assert (answer.code, answer.recorded) == (None, True)
    assert len(bench.docker.effects) == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_incident_5_a_duplicate_is_known_after_a_hundred_and_one_others(restarted: bool) -> None:
    bench = await opened()
    for _ in range(102):
        bench.give("container_restart", container="web")
        await bench.clock.settle()
    if restarted:
        await bench.restart()
    answer = await bench.answer(
        bench.again(1, "container_restart", epoch=2 if restarted else 1, container="web")
    )
    assert (answer.code, answer.recorded) == (None, True)
    assert len(bench.docker.effects) == 102


async def test_a_sequence_below_the_watermark_that_nobody_knows_is_refused() -> None:
    bench = await opened()
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    bench.acknowledge(up_to=1)
    assert state_of(bench) is None, "forgotten"
    answer = await bench.answer(bench.again(1, "container_restart", container="web"))
    assert (answer.code, answer.recorded) == ("outcome_unknown", False)
    assert len(bench.docker.effects) == 1
    await bench.restart()
    await bench.clock.settle()
    answer = await bench.answer(bench.again(1, "container_restart", epoch=2, attempt=3, container="web"))
    assert (answer.code, answer.recorded) == (None, True), "the acknowledgement was never written down"
    assert len(bench.docker.effects) == 1


async def test_a_command_that_became_over_while_it_waited_does_not_begin() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.acknowledge(up_to=2)
    release.set()
    await bench.clock.settle()
    assert bench.docker.effects == []
    assert summary(last(bench, 2)) == ("deadline_exceeded", "none")


async def test_a_duplicate_of_a_running_change_joins_it() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    first = bench.give("container_restart", container="web")
    await bench.clock.settle()
    second = bench.again(1, "container_restart", container="web")
    assert bench.sent[-1] == Started("command-1", second, 1, 1)
    release.set()
    await bench.clock.settle()
    assert begun == ["web"]
    assert set(bench.answers()) == {first, second}


async def test_the_same_frame_twice_is_one_attempt() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    attempt = bench.give("container_restart", container="web")
    bench.again(1, "container_restart", attempt=1, container="web")
    await bench.clock.settle()
    release.set()
    assert (await bench.answer(attempt)).code is None
    assert begun == ["web"]


async def test_a_late_frame_of_an_answered_attempt_gets_that_answer_and_begins_nothing() -> None:
    bench = await opened()
    bench.docker.fault(Fault.UNREACHABLE)
    first = await bench.answer(bench.give("container_restart", container="web"))
    assert (summary(first), first.recorded) == (("docker_error", "docker_unreachable"), False)
    bench.docker.heal()
    bench.sent.clear()
    again = await bench.answer(bench.again(1, "container_restart", attempt=1, container="web"))
    assert summary(again) == ("docker_error", "docker_unreachable")
    assert bench.docker.effects == []
    assert (await bench.answer(bench.again(1, "container_restart", attempt=2, container="web"))).code is None
    assert len(bench.docker.effects) == 1


async def test_another_command_under_a_taken_sequence_is_refused() -> None:
    bench = await opened()
    await bench.answer(bench.give("container_restart", container="web"))
    bench.worker.execute(Execute("other", "a", 1, "container_stop", {"container": "web"}, 30.0, 1, 1))
    answer = await bench.answer("a")
    assert (answer.code, answer.recorded) == ("agent_error", False)
    assert len(bench.docker.effects) == 1


# Time


@pytest.mark.parametrize("remaining_seconds", [0.0, -3.0, float("nan")])
async def test_a_question_about_an_unknown_command_is_recorded_as_expired_and_nothing_begins_later(
    remaining_seconds: float,
) -> None:
    bench = await opened()
    asked = await bench.answer(
        bench.again(1, "container_restart", remaining_seconds, attempt=2, container="web")
    )
    assert (summary(asked), asked.recorded) == (("deadline_exceeded", "none"), True)
    late = await bench.answer(bench.again(1, "container_restart", attempt=1, container="web"))
    assert summary(late) == ("deadline_exceeded", "none")
    assert bench.docker.calls == []


async def test_a_frame_that_lost_its_time_on_the_way_begins_nothing() -> None:
    bench = await opened()
    answer = await bench.answer(
        bench.again(1, "container_restart", 30.0, attempt=1, age_seconds=30.5, container="web")
    )
    assert (summary(answer), answer.recorded) == (("deadline_exceeded", "none"), True)


async def test_a_question_about_waiting_work_ends_it() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    asked = bench.again(2, "container_stop", 0.0, container="web")
    await bench.clock.settle()
    assert {summary(bench.answers()[each]) for each in (waiting, asked)} == {("deadline_exceeded", "none")}
    release.set()
    await bench.clock.settle()
    assert bench.docker.effects == []


async def test_a_question_about_running_work_is_answered_at_once_and_later_by_its_end() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    first = bench.give("container_restart", container="web")
    await bench.clock.settle()
    asked = await bench.answer(bench.again(1, "container_restart", 0.0, container="web"))
    assert (asked.code, asked.recorded) == ("timeout", False)
    assert asked.evidence is not None
    assert asked.evidence["started_at"] == "2030-01-01T00:00:00Z"
    assert first not in bench.answers()
    release.set()
    assert (await bench.answer(first)).recorded


async def test_an_aged_duplicate_of_waiting_work_does_not_end_it() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.again(2, "container_stop", 30.0, attempt=1, age_seconds=31.0, container="web")
    release.set()
    assert (await bench.answer(waiting)).code is None


async def test_a_row_that_became_durable_too_late_is_an_expired_command_without_an_effect() -> None:
    bench = await opened()
    bench.disk.open.clear()
    attempt = bench.give("container_restart", 10.0, container="web")
    await bench.clock.advance(11)
    assert summary(bench.answers()[attempt]) == ("timeout", "heard")
    bench.disk.open.set()
    await bench.clock.settle()
    assert summary(last(bench)) == ("deadline_exceeded", "none")
    assert bench.docker.effects == []


async def test_incident_3_and_8_progress_prolongs_the_attempt_and_is_told_once_a_second() -> None:
    async def pull(execution: Execution) -> object:
        for number in range(50):
            execution.progress(f"layer {number}")
            await bench.clock.sleep_until(bench.clock.now() + 0.5)
        return {}

    bench = await opened(runners={"container_restart": pull})
    attempt = bench.give("container_restart", 10.0, container="web")
    await bench.clock.advance(24)
    told = [message for message in bench.sent if isinstance(message, Progress)]
    assert len(told) == 25
    assert told[0] == Progress(attempt, "layer 0")
    assert attempt not in bench.answers(), "its ten seconds are long over"
    await bench.clock.advance(2)
    assert (await bench.answer(attempt)).code is None


async def test_every_line_that_a_command_prints_is_kept_until_its_last_word_and_after() -> None:
    async def pull(execution: Execution) -> object:
        for number in range(50):
            execution.progress(f"layer {number}")
        return {}

    bench = await opened(runners={"container_restart": pull})
    attempt = bench.give("container_restart", container="web")
    assert (await bench.answer(attempt)).code is None
    assert len([message for message in bench.sent if isinstance(message, Progress)]) == 1
    streams = bench.worker.streams
    streams.attach(lambda: None)
    given = {"command_id": "command-1", "follow": True}
    streams.hear(OpenStream("s", "command_output", given, 0, WINDOW_BYTES))
    await bench.clock.settle()
    data, end = streams.next_message(), streams.next_message()
    assert isinstance(data, StreamData)
    printed = [msgspec.json.decode(line, type=Line) for line in data.data.splitlines()]
    assert [(line.number, line.text) for line in printed] == [(n + 1, f"layer {n}") for n in range(50)]
    assert end == StreamEnd("s", len(data.data), response={"lines": 50, "dropped": 0})


async def test_work_that_only_says_so_once_is_given_up_all_the_same() -> None:
    release, begun = asyncio.Event(), list[str]()

    async def stuck(execution: Execution) -> object:
        execution.progress("begun")
        return await held(release, begun)(execution)

    bench = await opened(runners={"container_restart": stuck})
    attempt = bench.give("container_restart", 10.0, container="web")
    await bench.clock.advance(10)
    assert (await bench.answer(attempt)).code == "timeout"


# Cancel


async def test_incident_13_a_cancelled_command_that_had_not_begun_never_does_whatever_comes_later() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.cancel(waiting)
    answer = await bench.answer(waiting)
    assert (summary(answer), answer.recorded) == (("cancelled", "none"), True)
    release.set()
    await bench.restart()
    late = await bench.answer(bench.again(2, "container_stop", epoch=2, attempt=3, container="web"))
    assert summary(late) == ("cancelled", "none")
    assert bench.docker.effects == []


async def test_a_cancel_is_matched_by_the_command_not_by_the_attempt() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.cancel("attempt-2.9")
    assert summary(await bench.answer(waiting)) == ("cancelled", "none")


# Refusals are for good


async def test_refusals_are_recorded_so_that_no_duplicate_begins_them() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(
        Limits(at_once=1, reserved=0, waiting=0), {"container_restart": held(release, begun)}
    )
    unknown = await bench.answer(bench.give("container_teleport"))
    wrong = await bench.answer(bench.give("container_stop", container="web; reboot"))
    bench.give("container_restart", container="web")
    full = await bench.answer(bench.give("container_start", container="cache"))
    assert [answer.code for answer in (unknown, wrong, full)] == [
        "unsupported_operation",
        "invalid_argument",
        "bulkhead_full",
    ]
    assert all(answer.recorded for answer in (unknown, wrong, full))
    release.set()
    await bench.clock.settle()
    again = await bench.answer(bench.again(4, "container_start", container="cache"))
    assert again.code == "bulkhead_full"
    assert bench.docker.effects == []


async def test_a_refusal_by_docker_is_recorded() -> None:
    bench = await opened()
    answer = await bench.answer(bench.give("container_stop", container="nobody"))
    assert (summary(answer), answer.recorded) == (("docker_error", "docker_refused"), True)


# Sessions


async def test_incident_7_a_result_of_a_dead_session_is_told_in_the_next() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.acknowledges = False
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    release.set()
    await bench.clock.settle()
    bench.sent.clear()
    await bench.open(2)
    answer = last(bench)
    assert (answer.epoch, answer.code, answer.correlation_id) == (2, None, "")
    assert answer.origin is not None


async def test_what_waited_in_an_old_session_is_begun_by_the_next_delivery_only() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    await bench.open(2)
    assert summary(bench.answers()[waiting]) == ("network_error", "not_sent")
    again = bench.again(2, "container_stop", epoch=2, container="web")
    release.set()
    assert (await bench.answer(again)).code is None
    assert [operation for operation, _ in bench.docker.effects] == ["container_stop"]
