"""The fake Docker Engine: its effects are on record, and its faults are as told."""

from __future__ import annotations

import asyncio

import pytest

from seawall.agent.docker import Docker, DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault

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
        (Fault.SERVER_ERROR, (CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED)),
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
