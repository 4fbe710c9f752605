"""The worker: one answer for each Execute, whatever happens."""

from __future__ import annotations

import asyncio
import logging

import pytest

from seawall.agent.operations.runner import Execution
from seawall.agent.worker import Limits
from seawall.testing.docker import Fault
from seawall.wire.messages import Ping, Pong
from tests.agent.worker_bench import Bench, held, opened, sick, summary

pytestmark = pytest.mark.asyncio


def pongs(bench: Bench) -> list[tuple[int, bool | None]]:
    return [(message.sequence, message.docker) for message in bench.sent if isinstance(message, Pong)]


async def test_a_command_is_executed_and_answered_once() -> None:
    bench = await opened()
    await bench.open(7)
    attempt = bench.give("container_restart", container="web", epoch=7)
    completed = await bench.answer(attempt)
    assert summary(completed) == (None, "none")
    assert (completed.command_id, completed.epoch) == ("command-1", 7)
    assert bench.docker.effects == [("container_restart", bench.id_of("web"))]
    await bench.clock.advance(100)
    assert len(bench.answers()) == 1
    assert bench.worker.in_flight == 0


async def test_an_unknown_operation_is_unsupported_and_says_what_to_do() -> None:
    bench = await opened()
    completed = await bench.answer(bench.give("container_teleport"))
    assert completed.code == "unsupported_operation"
    assert "version 0.1.0" in (completed.error or "")
    assert "update it" in (completed.error or "")


async def test_arguments_are_checked_again_on_the_host() -> None:
    bench = await opened()
    completed = await bench.answer(bench.give("container_stop", container="web; reboot", more=1))
    assert completed.code == "invalid_argument"
    assert "more" in (completed.error or "")
    assert bench.docker.calls == []


@pytest.mark.parametrize("remaining_seconds", [0.0, -1.0, float("nan")])
async def test_expired_work_is_refused(remaining_seconds: float) -> None:
    bench = await opened()
    completed = await bench.answer(bench.give("container_stop", remaining_seconds, container="web"))
    assert completed.code == "deadline_exceeded"
    assert bench.docker.calls == []


async def test_an_endless_time_is_no_reason_to_fail() -> None:
    bench = await opened()
    assert (await bench.answer(bench.give("ping", float("inf")))).code is None


async def test_work_that_waited_its_time_away_never_starts() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(Limits(at_once=1, reserved=0), {"container_list": held(release, begun)})
    bench.give("container_list", 100.0)
    late = bench.give("container_list", 5.0)
    await bench.clock.advance(5.0)
    assert summary(await bench.answer(late)) == ("deadline_exceeded", "none")
    release.set()
    await bench.clock.advance(10.0)
    assert len(begun) == 1


async def test_only_so_much_runs_at_once_and_the_rest_waits_in_order() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(
        Limits(at_once=2), {"container_inspect": held(release, begun), "container_logs": held(release, begun)}
    )
    for name in ("a", "b", "c", "d"):
        bench.give("container_logs", container=name)
    await bench.clock.settle()
    assert begun == ["a", "b"]
    release.set()
    await bench.clock.settle()
    assert begun == ["a", "b", "c", "d"]


async def test_the_control_lane_has_room_that_other_work_can_not_take() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(Limits(at_once=2, reserved=1), {"container_logs": held(release, begun)})
    for name in ("a", "b", "c"):
        bench.give("container_logs", container=name)
    await bench.clock.settle()
    assert (await bench.answer(bench.give("container_inspect", container="web"))).code is None
    assert begun == ["a", "b"]


async def test_beyond_the_queue_work_is_refused_as_bulkhead_full() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(Limits(at_once=2, reserved=1, waiting=3), {"container_logs": held(release, begun)})
    attempts = [bench.give("container_logs", container="web") for _ in range(6)]
    await bench.clock.settle()
    assert list(bench.answers()) == attempts[5:]
    assert summary(bench.answers()[attempts[5]]) == ("bulkhead_full", "none")
    assert (await bench.answer(bench.give("ping"))).code is None, "the control lane has a queue of its own"
    release.set()
    await bench.clock.settle()
    assert set(attempts) <= set(bench.answers())
    assert (await bench.answer(bench.give("container_logs", container="web"))).code is None


async def test_changes_to_one_container_run_one_after_another_in_order_of_arrival() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    first = bench.give("container_restart", container="web")
    second = bench.give("container_stop", container="web")
    third = bench.give("container_start", container="web")
    await bench.clock.settle()
    assert begun == ["web"]
    assert bench.docker.effects == []
    release.set()
    await bench.clock.settle()
    assert list(bench.answers()) == [first, second, third]
    web = bench.id_of("web")
    assert bench.docker.effects == [("container_stop", web), ("container_start", web)]


async def test_two_names_of_one_container_never_overlap() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    by_id = bench.give("container_stop", container=bench.id_of("web")[:12])
    await bench.clock.settle()
    assert bench.docker.effects == []
    release.set()
    assert (await bench.answer(by_id)).code is None


async def test_changes_to_different_containers_run_side_by_side() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    bench.give("container_restart", container="db")
    await bench.clock.settle()
    assert begun == ["web", "db"]


async def test_waiting_for_a_busy_container_takes_nobodys_slot() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(Limits(at_once=2, reserved=0), {"container_restart": held(release, begun)})
    for _ in range(4):
        bench.give("container_restart", container="web")
    other = bench.give("container_start", container="cache")
    assert (await bench.answer(other)).code is None


async def test_a_duplicate_of_a_running_read_joins_it() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_logs": held(release, begun)})
    bench.again(1, "container_logs", epoch=1, attempt=1, container="web")
    await bench.clock.settle()
    bench.again(1, "container_logs", epoch=2, attempt=1, container="web")
    release.set()
    await bench.clock.settle()
    assert begun == ["web"]
    assert [(m.correlation_id, m.epoch) for m in bench.completions()] == [("attempt-1", 1), ("attempt-1", 2)]


async def test_an_unexpected_exception_is_an_agent_error_and_the_worker_lives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(execution: Execution) -> object:
        raise ZeroDivisionError("no parts")

    bench = await opened(runners={"system_info": broken})
    with caplog.at_level(logging.ERROR):
        completed = await bench.answer(bench.give("system_info"))
    assert completed.code == "agent_error"
    assert "ZeroDivisionError: no parts" in (completed.error or "")
    assert any(record.exc_info for record in caplog.records)
    assert (await bench.answer(bench.give("ping"))).code is None


async def test_a_response_that_can_not_be_sent_is_an_agent_error() -> None:
    async def strange(execution: Execution) -> object:
        return {"number": 1 << 80}

    bench = await opened(runners={"system_info": strange})
    completed = await bench.answer(bench.give("system_info"))
    assert completed.code == "agent_error"


async def test_a_docker_failure_keeps_its_code_and_circumstance() -> None:
    bench = await opened()
    bench.docker.fault(Fault.PERMISSION)
    assert summary(await bench.answer(bench.give("container_list"))) == ("permission_denied", "none")
    bench.docker.fault(Fault.UNREACHABLE)
    assert summary(await bench.answer(bench.give("container_list"))) == ("docker_error", "docker_unreachable")
    bench.docker.fault(Fault.BROKEN_BEFORE)
    assert summary(await bench.answer(bench.give("container_list"))) == ("docker_error", "docker_failed")
    bench.docker.heal()
    unknown = await bench.answer(bench.give("container_stop", container="nobody"))
    assert summary(unknown) == ("docker_error", "docker_refused")


async def test_a_silent_engine_is_a_timeout_before_the_controller_gives_up() -> None:
    bench = await opened()
    bench.docker.fault(Fault.HANGS_BEFORE)
    attempt = bench.give("container_list", 10.0)
    await bench.clock.advance(8.5)
    assert bench.answers() == {}
    await bench.clock.advance(0.6)
    assert summary(await bench.answer(attempt)) == ("timeout", "docker_silent")


@pytest.mark.parametrize("fault", [Fault.HANGS_BEFORE, Fault.BROKEN_BEFORE])
async def test_an_engine_that_fails_before_the_change_provably_changed_nothing(fault: Fault) -> None:
    bench = await opened()
    bench.docker.fail_next(fault)
    attempt = bench.give("container_stop", 10.0, container="web")
    await bench.clock.advance(10)
    completed = await bench.answer(attempt)
    assert summary(completed) == ("docker_error", "docker_unreachable")
    assert "Nothing was changed" in (completed.error or "")
    assert bench.docker.effects == []


async def test_an_engine_that_falls_silent_during_the_change_leaves_doubt() -> None:
    bench = await opened(runners=sick("container_stop", Fault.HANGS_AFTER))
    attempt = bench.give("container_stop", 10.0, container="web", grace_seconds=1)
    await bench.clock.advance(9)
    assert summary(await bench.answer(attempt)) == ("timeout", "docker_silent")


async def test_a_stop_within_its_grace_is_no_fault_of_the_engine() -> None:
    bench = await opened()
    bench.docker.container("web").ignores_term = True
    attempt = bench.give("container_stop", 10.0, container="web", grace_seconds=60)
    await bench.clock.advance(10)
    completed = await bench.answer(attempt)
    assert summary(completed) == ("timeout", "heard")
    assert "goes on" in (completed.error or "")


async def test_a_change_that_outlived_its_answer_still_keeps_others_from_the_container() -> None:
    bench = await opened()
    bench.docker.container("web").ignores_term = True
    first = bench.give("container_stop", 10.0, container="web", grace_seconds=20)
    await bench.clock.advance(10)
    assert (await bench.answer(first)).code == "timeout"
    second = bench.give("container_start", 50.0, container="web")
    await bench.clock.settle()
    assert second not in bench.answers()
    await bench.clock.advance(16)
    assert (await bench.answer(second)).code is None
    assert [operation for operation, _ in bench.docker.effects] == ["container_stop", "container_start"]


async def test_cancelled_before_it_began_means_that_nothing_was_done() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web")
    waiting = bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.cancel(waiting)
    assert summary(await bench.answer(waiting)) == ("cancelled", "none")
    release.set()
    await bench.clock.settle()
    assert bench.docker.effects == []


async def test_cancelled_in_the_turn_of_its_arrival_it_never_starts() -> None:
    bench = await opened()
    attempt = bench.give("container_stop", container="web")
    bench.cancel(attempt)
    assert summary(await bench.answer(attempt)) == ("cancelled", "none")
    assert bench.docker.effects == []


async def test_a_cancelled_change_goes_on_and_its_true_end_is_told() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_stop": held(release, begun)})
    attempt = bench.give("container_stop", container="web")
    await bench.clock.settle()
    bench.cancel(attempt)
    await bench.clock.settle()
    assert bench.answers() == {}, "nothing is known yet"
    after = bench.give("container_start", container="web")
    await bench.clock.settle()
    assert after not in bench.answers(), "the container is still busy"
    release.set()
    assert summary(await bench.answer(attempt)) == (None, "none")
    assert (await bench.answer(after)).code is None


async def test_a_change_that_outlived_its_answer_takes_nobodys_slot() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(Limits(at_once=1, reserved=0), {"container_restart": held(release, begun)})
    bench.give("container_restart", 10.0, container="web")
    await bench.clock.advance(9)
    assert (await bench.answer(bench.give("container_list"))).code is None
    assert begun == ["web"]


async def test_a_cancelled_read_is_dropped() -> None:
    bench = await opened()
    bench.docker.fault(Fault.HANGS_BEFORE)
    attempt = bench.give("container_list")
    await bench.clock.settle()
    bench.cancel(attempt)
    assert summary(bench.answers()[attempt]) == ("cancelled", "heard")
    await bench.clock.settle()
    assert bench.worker.in_flight == 0


async def test_a_cancel_for_nothing_is_ignored() -> None:
    bench = await opened()
    attempt = bench.give("ping")
    await bench.clock.settle()
    bench.cancel(attempt)
    bench.cancel("never heard of")
    assert len(bench.sent) == 1


async def test_a_ping_crosses_the_worker() -> None:
    bench = await opened()
    bench.worker.ping(Ping(3))
    assert bench.sent == []
    await bench.clock.settle()
    assert pongs(bench) == [(3, None)]
    assert bench.docker.calls == []


async def test_a_ping_of_docker_says_whether_it_answers() -> None:
    bench = await opened()
    bench.worker.ping(Ping(1, docker=True))
    await bench.clock.settle()
    bench.docker.fault(Fault.UNREACHABLE)
    bench.worker.ping(Ping(2, docker=True))
    await bench.clock.settle()
    bench.docker.fault(Fault.HANGS_BEFORE)
    bench.worker.ping(Ping(3, docker=True))
    await bench.clock.advance(2.9)
    assert pongs(bench) == [(1, True), (2, False)]
    await bench.clock.advance(0.2)
    assert pongs(bench)[-1] == (3, False)


async def test_a_full_worker_still_answers_pings() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(
        Limits(1, 1, 1), {"container_inspect": held(release, begun), "container_logs": held(release, begun)}
    )
    for _ in range(5):
        bench.give("container_inspect", container="web")
        bench.give("container_logs", container="web")
    bench.worker.ping(Ping(1))
    await bench.clock.settle()
    assert (1, None) in pongs(bench)


async def test_pings_without_an_answer_do_not_pile_up() -> None:
    bench = await opened()
    bench.docker.fault(Fault.HANGS_BEFORE)
    for sequence in range(20):
        bench.worker.ping(Ping(sequence, docker=True))
    await bench.clock.settle()
    assert len(bench.docker.calls) == 4


async def test_a_new_session_forgets_what_an_old_one_had_not_begun() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web", epoch=1)
    waiting = bench.give("container_stop", container="web", epoch=1)
    await bench.clock.settle()
    await bench.open(2)
    assert summary(bench.answers()[waiting]) == ("network_error", "not_sent")
    release.set()
    await bench.clock.settle()
    told = bench.completions()[-1]
    assert (told.command_id, told.epoch, told.recorded, told.code) == ("command-1", 2, True, None)
    assert bench.docker.effects == []


async def test_a_closing_worker_answers_everything() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    running = bench.give("container_restart", 100.0, container="web")
    waiting = bench.give("container_stop", 100.0, container="web")
    await bench.clock.settle()
    closing = asyncio.create_task(bench.worker.close(5.0))
    await bench.clock.advance(1.0)
    late = bench.give("container_start", container="cache")
    assert summary(await bench.answer(waiting)) == ("network_error", "not_sent")
    assert summary(await bench.answer(late)) == ("network_error", "not_sent")
    assert running not in bench.answers()
    await bench.clock.advance(4.5)
    assert summary(await bench.answer(running)) == ("agent_disconnected", "none")
    await closing
    assert bench.docker.effects == []


async def test_a_closing_worker_lets_running_work_end() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    running = bench.give("container_restart", container="web")
    await bench.clock.settle()
    closing = asyncio.create_task(bench.worker.close(5.0))
    await bench.clock.settle()
    release.set()
    await closing
    assert (await bench.answer(running)).code is None


@pytest.mark.parametrize("turns", range(30))
async def test_cancelled_at_any_moment_nothing_is_left_behind(turns: int) -> None:
    bench = await opened(Limits(at_once=1, reserved=0))
    first = bench.give("container_restart", container="web")
    attempt = bench.give("container_start", container="web")
    for _ in range(turns):
        await asyncio.sleep(0)
    bench.cancel(attempt)
    await bench.clock.advance(60)
    assert set(bench.answers()) == {first, attempt}
    effect = ("container_start", bench.id_of("web")) in bench.docker.effects
    answer = bench.answers()[attempt]
    assert not (effect and summary(answer) == ("cancelled", "none")), "cancelled as never begun, and yet done"
    assert bench.clock.timers == []
    again = bench.give("container_stop", container="web")
    assert (await bench.answer(again)).code is None


async def test_a_pong_tells_how_much_the_ledger_holds_and_that_it_has_no_room() -> None:
    bench = await opened()
    bench.acknowledges = False
    await bench.answer(bench.give("container_restart", container="web"))
    bench.worker.ping(Ping(1))
    await bench.clock.settle()
    bench.acknowledge(1)
    bench.disk.free_bytes = 0
    await bench.clock.advance(60.0)
    bench.worker.ping(Ping(2))
    await bench.clock.settle()
    told = [message.vitals for message in bench.sent if isinstance(message, Pong) and message.vitals]
    assert [(each.ledger_entries, each.ledger_unacknowledged, each.ledger_full) for each in told] == [
        (1, 1, False),
        (1, 0, True),
    ]
