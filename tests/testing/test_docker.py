"""The fake Docker Engine: its effects are on record, and its faults are as told."""

from __future__ import annotations

import asyncio

import pytest

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.containers import container_start, resolve
from seawall.agent.operations.runner import Execution
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault, Latency
from seawall.testing.effects import Effect, executing, traced

pytestmark = pytest.mark.asyncio


async def test_it_is_a_docker_with_sample_containers() -> None:
    docker: Docker = FakeDocker(FakeClock())
    listed = await docker.container_list(stopped=True, timeout_seconds=1)
    assert [entry["Names"] for entry in listed] == [["/web"], ["/db"], ["/cache"]]


async def test_two_hosts_have_different_containers() -> None:
    clock = FakeClock()
    ids = {
        container.container_id
        for hostname in ("a", "b")
        for container in FakeDocker(clock, hostname=hostname).containers
    }
    assert len(ids) == 6


async def test_effects_are_on_record_and_looking_is_none() -> None:
    docker = FakeDocker(FakeClock())
    await docker.container_inspect("web", timeout_seconds=1)
    await docker.container_stop("web", grace_seconds=1, timeout_seconds=1)
    assert docker.effects == [("container_stop", docker.container("web").container_id)]
    assert docker.container("web").state == "exited"


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault.UNREACHABLE, (CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_UNREACHABLE)),
        (Fault.PERMISSION, (CommandErrorCode.PERMISSION_DENIED, Circumstance.NONE)),
        (Fault.BROKEN_BEFORE, (CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED)),
        (Fault.SERVER_ERROR, (CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_ERRED)),
    ],
)
async def test_a_fault_before_the_effect_has_none(
    fault: Fault, verdict: tuple[CommandErrorCode, Circumstance]
) -> None:
    docker = FakeDocker(FakeClock())
    docker.fault(fault)
    with pytest.raises(DockerFailure) as caught:
        await docker.container_stop("web", grace_seconds=1, timeout_seconds=1)
    assert (caught.value.code, caught.value.circumstance) == verdict
    assert docker.effects == []
    docker.heal()
    await docker.container_stop("web", grace_seconds=1, timeout_seconds=1)


async def test_a_fault_after_the_effect_has_it() -> None:
    docker = FakeDocker(FakeClock())
    docker.fail_next(Fault.BROKEN_AFTER)
    with pytest.raises(DockerFailure):
        await docker.container_stop("web", grace_seconds=1, timeout_seconds=1)
    assert len(docker.effects) == 1


async def test_a_hang_ends_with_the_calls_time() -> None:
    clock = FakeClock()
    docker = FakeDocker(clock)
    docker.fault(Fault.HANGS_BEFORE)
    call = asyncio.ensure_future(docker.container_stop("web", grace_seconds=5, timeout_seconds=10))
    await clock.advance(14)
    assert not call.done()
    await clock.advance(2)
    with pytest.raises(DockerFailure) as caught:
        await call
    assert caught.value.circumstance is Circumstance.DOCKER_SILENT
    assert docker.effects == []


async def test_a_healed_hang_goes_on() -> None:
    clock = FakeClock()
    docker = FakeDocker(clock)
    docker.fault(Fault.HANGS_BEFORE)
    call = asyncio.ensure_future(docker.container_stop("web", grace_seconds=5, timeout_seconds=10))
    await clock.settle()
    docker.heal()
    await call
    assert len(docker.effects) == 1


async def test_only_the_next_calls_fail() -> None:
    docker = FakeDocker(FakeClock())
    docker.fail_next(Fault.UNREACHABLE, 2)
    for _ in range(2):
        with pytest.raises(DockerFailure):
            await docker.ping(timeout_seconds=1)
    await docker.ping(timeout_seconds=1)


async def test_the_beginning_of_an_id_means_its_container_if_it_is_the_only_one() -> None:
    twins = [FakeContainer("a", container_id="abcd1"), FakeContainer("b", container_id="abcd2")]
    docker = FakeDocker(FakeClock(), twins)
    assert (await docker.container_inspect("abcd1", timeout_seconds=1))["Name"] == "/a"
    for name, status in (("abcd", 400), ("ab", 404)):
        with pytest.raises(DockerFailure) as caught:
            await docker.container_inspect(name, timeout_seconds=1)
        assert caught.value.status == status


# What a simulation builds on


def fake(*containers: FakeContainer, latency: Latency | None = None) -> tuple[FakeClock, FakeDocker]:
    clock = FakeClock()
    speed = None if latency is None else (lambda operation: latency)
    return clock, FakeDocker(clock, list(containers) or None, latency=speed)


def stop(docker: FakeDocker, name: str = "web", grace_seconds: int = 10) -> asyncio.Task[None]:
    return asyncio.ensure_future(docker.container_stop(name, grace_seconds=grace_seconds, timeout_seconds=30))


async def test_an_effect_tells_its_step_its_command_and_its_time() -> None:
    clock, docker = fake()
    web = docker.container("web").container_id
    executing.set("command-1")
    await docker.container_restart("web", grace_seconds=0, timeout_seconds=1)
    await clock.advance(5)
    await docker.container_start("web", timeout_seconds=1)
    now = clock.now()
    assert docker.history == [
        Effect("container_restart", "stop", web, "command-1", now - 5),
        Effect("container_restart", "start", web, "command-1", now - 5),
        Effect("container_start", "start", web, "command-1", now, changed=False),
    ]
    assert docker.effects == [("container_restart", web), ("container_start", web)]


async def test_a_traced_runner_says_for_which_command_it_works() -> None:
    _, docker = fake()
    target = await resolve(docker, "cache", 1.0)
    await traced(container_start)(Execution(docker, "command-7", {}, 1.0, lambda text: None, target))
    assert [effect.command_id for effect in docker.history] == ["command-7"]
    assert executing.get() == ""


async def test_a_start_of_a_running_container_changes_nothing() -> None:
    _, docker = fake()
    started = docker.container("web").started_at
    await docker.container_start("web", timeout_seconds=1)
    assert docker.container("web").started_at == started


async def test_no_two_starts_have_the_same_time() -> None:
    _, docker = fake()
    started = docker.container("web").started_at
    await docker.container_restart("web", grace_seconds=0, timeout_seconds=1)
    assert docker.container("web").started_at != started


async def test_a_container_that_ignores_sigterm_takes_its_grace() -> None:
    clock, docker = fake(FakeContainer("web", ignores_term=True))
    await docker.container_kill("web", signal="SIGTERM", timeout_seconds=1)
    stopping = stop(docker)
    await clock.advance(9)
    assert docker.container("web").running
    await clock.advance(1)
    await stopping
    assert docker.container("web").exit_code == 137


async def test_a_call_takes_its_way_there_its_time_and_its_way_back() -> None:
    clock, docker = fake(latency=Latency(1, 2, 4))
    stopping = stop(docker)
    await clock.advance(2)
    assert docker.container("web").running
    await clock.advance(1)
    assert not docker.container("web").running
    assert not stopping.done()
    await clock.advance(4)
    assert stopping.done()


async def test_what_was_asked_for_is_done_when_nobody_waits_any_more() -> None:
    clock, docker = fake(latency=Latency(request=5))
    stopping = stop(docker)
    await clock.advance(1)
    stopping.cancel()
    late = asyncio.ensure_future(docker.container_start("cache", timeout_seconds=2))
    await clock.advance(2)
    with pytest.raises(DockerFailure) as caught:
        await late
    assert caught.value.circumstance is Circumstance.DOCKER_SILENT
    assert docker.effects == []
    await clock.advance(5)
    assert [operation for operation, _ in docker.effects] == ["container_stop", "container_start"]


async def test_a_killed_daemon_takes_its_calls_with_it_and_leaves_its_containers() -> None:
    clock, docker = fake(FakeContainer("web", ignores_term=True))
    stopping = stop(docker)
    await clock.advance(5)
    docker.kill_daemon()
    with pytest.raises(DockerFailure) as caught:
        await stopping
    assert caught.value.circumstance is Circumstance.DOCKER_FAILED
    with pytest.raises(DockerFailure) as caught:
        await docker.ping(timeout_seconds=1)
    assert caught.value.circumstance is Circumstance.DOCKER_UNREACHABLE
    docker.start_daemon()
    await clock.advance(60)
    assert docker.container("web").running
    assert docker.history == []


async def test_a_restart_cut_in_the_middle_has_stopped_and_not_started() -> None:
    clock, docker = fake(latency=Latency(effect=2))
    restarting = asyncio.ensure_future(docker.container_restart("web", grace_seconds=0, timeout_seconds=30))
    await clock.advance(3)
    docker.kill_daemon()
    with pytest.raises(DockerFailure):
        await restarting
    assert [effect.step for effect in docker.history] == ["stop"]
    assert docker.effects == []
    assert docker.container("web").state == "exited"


async def test_incident_56_a_host_that_was_down_has_its_containers_exited_with_255() -> None:
    _, docker = fake(FakeContainer("web"), FakeContainer("pet", restart_policy="always"))
    started = docker.container("pet").started_at
    docker.kill_daemon()
    docker.start_daemon(containers_lost=True)
    assert (docker.container("web").state, docker.container("web").exit_code) == ("exited", 255)
    assert docker.container("pet").running
    assert docker.container("pet").started_at != started


async def test_without_live_restore_a_new_daemon_ends_what_it_finds() -> None:
    docker = FakeDocker(FakeClock(), live_restore=False)
    docker.kill_daemon()
    assert docker.container("web").running
    docker.start_daemon()
    assert docker.container("web").state == "exited"


async def test_a_restart_policy_brings_back_what_ends_by_itself_but_nothing_that_was_stopped() -> None:
    _, docker = fake(
        FakeContainer("always", restart_policy="always"),
        FakeContainer("failing", restart_policy="on-failure"),
        FakeContainer("plain"),
    )
    for name in ("always", "failing", "plain"):
        docker.end(name, exit_code=1)
    assert [found.running for found in docker.containers] == [True, True, False]
    docker.end("failing", exit_code=0)
    assert not docker.container("failing").running
    assert docker.container("always").inspected()["RestartCount"] == 1
    await stop(docker, "always")
    assert not docker.container("always").running
    await docker.container_start("always", timeout_seconds=1)
    assert docker.container("always").restarts == 0


async def test_a_paused_container_runs_and_can_not_be_started() -> None:
    _, docker = fake(FakeContainer("web", paused=True))
    with pytest.raises(DockerFailure) as caught:
        await docker.container_start("web", timeout_seconds=1)
    assert caught.value.status == 409
    assert docker.container("web").state == "paused"
