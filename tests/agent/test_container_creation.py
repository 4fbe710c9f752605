"""Containers are created once, whatever breaks on the way, and commands in them run once."""

from __future__ import annotations

import pytest

from seawall.agent.docker import DockerFailure
from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import Execution
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.docker import Fault
from tests.agent.worker_bench import Bench, opened, sick, summary

pytestmark = pytest.mark.asyncio

RUN: dict[str, object] = {"image": "busybox", "name": "made", "network_mode": "none"}


def steps(bench: Bench) -> list[str]:
    return [effect.step for effect in bench.docker.history]


def broken(bench: Bench, operation: str, call: str, fault: Fault) -> None:
    """The operation's own runner, in which one call of the Engine meets a fault."""

    left = [fault]

    async def run(execution: Execution) -> object:
        if not left:
            return await RUNNERS[operation](execution)
        original = getattr(execution.docker, call)

        async def sick_once(*given: object, **more: object) -> object:
            delattr(execution.docker, call)
            execution.docker.fail_next(left.pop())  # type: ignore[attr-defined]  # a FakeDocker
            return await original(*given, **more)

        setattr(execution.docker, call, sick_once)
        return await RUNNERS[operation](execution)

    bench.runners[operation] = run
    bench.start()


@pytest.mark.parametrize("fault", [Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER, Fault.UNREACHABLE])
@pytest.mark.parametrize("call", ["container_create", "container_start"])
async def test_a_run_that_broke_at_either_step_makes_one_container_that_runs(call: str, fault: Fault) -> None:
    bench = Bench()
    broken(bench, "container_run", call, fault)
    await bench.open()
    first = bench.give("container_run", 60.0, **RUN)
    await bench.clock.advance(30)
    answer = await bench.answer(first)
    if answer.code is not None:  # provably not done: the controller sends it once more
        assert (call, answer.circumstance) in (
            ("container_create", "not_applied"),
            ("container_create", "docker_unreachable"),
        )
        answer = await bench.answer(bench.again(1, "container_run", 60.0, **RUN))
    assert answer.code is None, answer.error
    assert steps(bench) == ["create", "start"]
    assert bench.docker.container("made").running


@pytest.mark.parametrize("moment", ["container_create", "container_start"])
async def test_an_agent_that_is_killed_in_a_run_finishes_it_when_it_is_back(moment: str) -> None:
    bench = Bench()
    broken(
        bench,
        "container_run",
        moment,
        Fault.HANGS_AFTER if moment == "container_create" else Fault.HANGS_BEFORE,
    )
    await bench.open()
    bench.give("container_run", 60.0, **RUN)
    await bench.clock.advance(1)
    bench.docker.heal()
    bench.runners["container_run"] = RUNNERS["container_run"]
    await bench.restart()
    await bench.clock.advance(30)
    answers = [message for message in bench.completions() if message.recorded]
    assert [message.code for message in answers] == [None]
    assert [step for step in steps(bench) if step == "create"] == ["create"]
    assert bench.docker.container("made").running


async def test_a_name_that_this_very_command_has_taken_is_its_own() -> None:
    bench = await opened()
    spec = {"Image": "busybox:latest", "Labels": {"seawall.command_id": "command-1"}}
    made = await bench.docker.container_create(name="made", spec=spec, timeout_seconds=1)
    answer = await bench.answer(bench.give("container_run", **RUN))
    assert isinstance(answer.response, dict)
    assert answer.response["id"] == made
    assert steps(bench) == ["create", "start"]


async def test_a_name_that_somebody_else_has_taken_is_an_error() -> None:
    bench = await opened()
    answer = await bench.answer(bench.give("container_run", image="busybox", name="web"))
    assert summary(answer) == ("docker_error", "docker_refused")
    assert bench.docker.history == []


async def test_a_container_whose_network_is_not_there_is_removed_again() -> None:
    bench = await opened()
    failure = DockerFailure(
        CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, "no such network", 404
    )

    async def run(execution: Execution) -> object:
        async def refuse(*given: object, **more: object) -> None:
            raise failure

        execution.docker.network_connect = refuse  # type: ignore[method-assign]  # this one Engine refuses
        return await RUNNERS["container_create"](execution)

    bench.runners["container_create"] = run
    bench.start()
    await bench.open()
    answer = await bench.answer(
        bench.give("container_create", image="busybox", name="made", networks=["bridge", "gone"])
    )
    assert summary(answer) == ("docker_error", "docker_refused")
    assert "is removed again" in (answer.error or "")
    assert steps(bench) == ["create", "remove"]


async def test_a_command_in_a_container_whose_answer_was_lost_is_told_by_its_process() -> None:
    bench = Bench()
    broken(bench, "container_exec", "exec_start", Fault.BROKEN_AFTER)
    await bench.open()
    attempt = bench.give("container_exec", 60.0, container="web", command=["false"])
    await bench.clock.advance(30)
    answer = await bench.answer(attempt)
    assert isinstance(answer.response, dict)
    assert (answer.code, answer.response["exit_code"], answer.response["stdout"]) == (None, 1, None)
    assert steps(bench) == ["exec"]


@pytest.mark.parametrize("call", ["exec_create", "exec_start"])
async def test_a_command_in_a_container_that_provably_never_began_may_be_begun_again(call: str) -> None:
    bench = Bench()
    broken(bench, "container_exec", call, Fault.BROKEN_BEFORE)
    await bench.open()
    attempt = bench.give("container_exec", 60.0, container="web", command=["echo", "a"])
    await bench.clock.advance(30)
    assert summary(await bench.answer(attempt)) == ("docker_error", "not_applied")
    answer = await bench.answer(
        bench.again(1, "container_exec", 60.0, container="web", command=["echo", "a"])
    )
    assert isinstance(answer.response, dict)
    assert answer.response["stdout"] == "a\n"
    assert steps(bench) == ["exec"]


async def test_a_process_that_docker_has_forgotten_leaves_it_unknown() -> None:
    bench = Bench()
    broken(bench, "container_exec", "exec_start", Fault.BROKEN_AFTER)
    await bench.open()
    attempt = bench.give("container_exec", 60.0, container="web", command=["true"])
    await bench.clock.settle()
    bench.docker.processes.clear()
    await bench.clock.advance(30)
    assert (await bench.answer(attempt)).code == "outcome_unknown"


async def test_a_wait_lasts_its_whole_time_without_looking_hung_and_takes_nobodys_place() -> None:
    bench = await opened()
    waits = [bench.give("container_wait", 3000.0, container="web") for _ in range(20)]
    await bench.clock.advance(1000)
    assert bench.answers() == {}
    assert bench.worker._vitals().longest_running_seconds == 0
    listed = await bench.answer(bench.give("container_list"))
    assert listed.code is None
    bench.docker.end("web", exit_code=3)
    answer = await bench.answer(waits[0])
    assert isinstance(answer.response, dict)
    assert answer.response["exit_code"] == 3


async def test_a_wait_whose_time_is_over_says_that_the_host_is_well() -> None:
    bench = await opened()
    attempt = bench.give("container_wait", 100.0, container="web")
    await bench.clock.advance(100)
    assert summary(await bench.answer(attempt)) == ("timeout", "heard")


async def test_pausing_what_is_paused_asks_nothing_of_docker() -> None:
    bench = await opened()
    for operation in ("container_pause", "container_pause", "container_unpause", "container_unpause"):
        assert (await bench.answer(bench.give(operation, container="web"))).code is None
    assert steps(bench) == ["pause", "unpause"]


async def test_limits_in_doubt_are_read_off_the_container() -> None:
    bench = await opened(runners=sick("container_set_limits", Fault.BROKEN_AFTER))
    attempt = bench.give("container_set_limits", 60.0, container="web", memory="64m", pids=10)
    await bench.clock.advance(30)
    answer = await bench.answer(attempt)
    assert isinstance(answer.response, dict)
    assert (answer.response["verified"], answer.response["attributed"]) == (True, "seawall")
