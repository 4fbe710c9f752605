"""The stories of images on the fake Docker Engine; `tests.system.test_image_operations` tells them of a real one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.docker.images import RegistryCredentials
from seawall.agent.operations.image_progress import Layers
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from tests.agent.image_stories import PASSWORD, STORIES, Place, run

DIGEST = f"sha256:{'0' * 64}"


class FakePlace:
    """A simulated host."""

    def __init__(self) -> None:
        self.registry, self.guarded, self.dead = "registry.test:5000", "guarded.test", "dead.test"
        self.engine = FakeDocker(FakeClock(), [])
        self._registries = self.engine.registries
        self._registries.locked[self.guarded] = RegistryCredentials("seawall", PASSWORD)
        self._registries.down.add(self.dead)
        self._registries.missing.add(f"{self.registry}/team/none:1")
        self._published: dict[str, str] = {}

    @property
    def docker(self) -> Docker:
        return self.engine

    async def publish(self, reference: str, content: str) -> None:
        if self._published.get(reference, content) != content:
            self._registries.publish(reference)
        self._published[reference] = content

    async def make(self, reference: str, content: str) -> None:
        self.engine.add_image(reference).digests.clear()

    async def use(self, image: str, *, running: bool) -> str:
        return self.engine.add(FakeContainer(f"of-{image.partition(':')[0]}", image, running=running)).name


@pytest.mark.asyncio
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_the_fake_engine_behaves_as_in(story: Callable[[Place], Awaitable[None]]) -> None:
    await story(FakePlace())


@pytest.mark.asyncio
async def test_what_a_pull_fetches_is_fixed_before_it_begins() -> None:
    place = FakePlace()
    await run(place, "image_pull", reference="nginx:2")
    assert place.engine.calls[:3] == ["image_resolve", "image_inspect", "image_pull"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"reference": "--rm"},
        {"reference": "nginx;rm"},
        {"reference": "Nginx:1"},
        {"reference": "nginx:"},
        {"reference": "a/../b"},
        {"reference": "nginx@sha256:12"},
        {"reference": "n" * 1_000_000},
        {"reference": "nginx", "username": "me"},
        {"reference": "nginx", "password": "hidden"},
        {"reference": "nginx", "mirror": "https://mirror"},
        {"reference": "nginx", "mirror": "-x"},
    ],
    ids=lambda arguments: str(arguments)[:40],
)
def test_bad_arguments_of_a_pull_are_told_before_anything_runs(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check_arguments(OPERATIONS["image_pull"], arguments)
    assert "hidden" not in str(caught.value)


def test_only_a_tag_can_be_pushed_or_given() -> None:
    for operation, arguments in (
        ("image_push", {"reference": f"app@{DIGEST}"}),
        ("image_tag", {"image": "app", "reference": f"app@{DIGEST}"}),
    ):
        with pytest.raises(InvalidArguments, match="a tag is meant"):
            check_arguments(OPERATIONS[operation], arguments)


def test_a_prune_takes_whole_ids_only() -> None:
    with pytest.raises(InvalidArguments):
        check_arguments(OPERATIONS["image_prune"], {"images": ["nginx"]})


def test_a_password_shows_in_no_representation() -> None:
    credentials = RegistryCredentials("me", "hidden")
    assert "hidden" not in f"{credentials!r} {credentials}"


def test_layers_are_told_whole_each_time_and_a_line_sums_them_up() -> None:
    heard: list[tuple[str, object]] = []
    layers = Layers("pulling app:1", lambda text, detail=None: heard.append((text, detail)))
    layers({"status": "Pulling from app", "id": "1"})
    layers({"status": "Downloading", "id": "a", "progressDetail": {"current": 500_000, "total": 2_000_000}})
    layers({"status": "Pull complete", "id": "b", "progressDetail": {}})
    assert [text for text, _ in heard] == [
        "pulling app:1: 0 of 1 layers, downloading 0.5 of 2.0 MB",
        "pulling app:1: 1 of 2 layers, downloading 0.5 of 2.0 MB",
    ]
    assert heard[-1][1] == {
        "layers": {
            "a": {"status": "Downloading", "current": 500_000, "total": 2_000_000, "done": False},
            "b": {"status": "Pull complete", "current": None, "total": None, "done": True},
        }
    }


def test_a_registry_without_end_of_layers_costs_no_memory() -> None:
    heard: list[object] = []
    layers = Layers("pulling app:1", lambda text, detail=None: heard.append(detail))
    for number in range(1_000):
        layers({"status": "Waiting", "id": f"{number:012}" * 100, "progressDetail": {}})
    assert len(str(heard[-1])) < 50_000


@pytest.mark.asyncio
async def test_a_pull_that_is_refused_leaves_nothing() -> None:
    place = FakePlace()
    before = set(place.engine.images)
    with pytest.raises(DockerFailure):
        await run(place, "image_pull", reference=f"{place.dead}/app:1")
    assert set(place.engine.images) == before
