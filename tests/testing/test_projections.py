"""The sequences that the fake Docker Engine is measured by: repeatable, and they find out a fake that lies."""

from __future__ import annotations

import pytest

from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker
from tests.testing.projections import clean_up, differences
from tests.testing.sequences import sequence_of

pytestmark = pytest.mark.asyncio

SEEDS = range(100)


def an_engine() -> FakeDocker:
    return FakeDocker(FakeClock(), [])


class Forgetful(FakeDocker):
    """It removes a volume that a container names."""

    def _users(self, volume: str) -> list[str]:
        return []


class Lenient(FakeDocker):
    """It restarts nothing and says that it has."""

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        await self.container_inspect(container, timeout_seconds=timeout_seconds)


async def test_a_seed_always_makes_the_same_steps() -> None:
    assert [sequence_of(seed) for seed in SEEDS] == [sequence_of(seed) for seed in SEEDS]
    assert sequence_of(1) != sequence_of(2)


async def test_every_operation_that_changes_the_host_comes_up() -> None:
    used = {step.operation for seed in range(300) for step in sequence_of(seed)}
    assert {
        "container_run",
        "container_set_limits",
        "network_connect",
        "volume_prune",
        "image_remove",
    } <= used


async def test_two_engines_that_are_alike_never_differ_and_nothing_is_left_behind() -> None:
    for seed in SEEDS:
        one, other = an_engine(), an_engine()
        assert await differences(one, other, seed) is None
        await clean_up(other, seed)
        assert (other.containers, other.volumes, len(other.networks)) == ([], [], 3)


@pytest.mark.parametrize("liar", [Forgetful, Lenient])
async def test_an_engine_that_lies_is_found_out(liar: type[FakeDocker]) -> None:
    found = [await differences(liar(FakeClock(), []), an_engine(), seed) for seed in SEEDS]
    assert any(found)
