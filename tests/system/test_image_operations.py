"""The stories of images on a real Docker Engine, with real registries: the fake tells the truth about them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, Docker
from seawall.agent.docker.images import RegistryCredentials
from seawall.operations.image_reference import parse_reference
from tests.agent.image_stories import STORIES, Place
from tests.system.engine import IMAGE, Engine
from tests.system.packages import NotInstallable
from tests.system.plane import plane_in
from tests.system.registry import PASSWORD, USER, registry

pytestmark = [pytest.mark.docker, pytest.mark.asyncio]

OPEN_PORT, GUARDED_PORT, DEAD_PORT = 5100, 5101, 5102


class RealPlace:
    """The tests' own Engine and its registries."""

    def __init__(self, engine: Engine, docker: AioDocker, addresses: tuple[str, str]) -> None:
        self.registry, self.guarded = addresses
        self.dead = f"127.0.0.1:{DEAD_PORT}"
        self._engine = engine
        self._docker = docker

    @property
    def docker(self) -> Docker:
        return self._docker

    async def publish(self, reference: str, content: str) -> None:
        await self.make(reference, content)
        credentials = None
        if reference.startswith(self.guarded):
            credentials = RegistryCredentials(USER, PASSWORD)
        await self._docker.image_push(
            reference, credentials=credentials, progress=lambda event: None, timeout_seconds=20
        )
        await self._docker.image_remove(reference, force=True, prune=True, timeout_seconds=20)

    async def make(self, reference: str, content: str) -> None:
        parsed = parse_reference(reference)
        query = urlencode(
            {"fromSrc": "-", "repo": parsed.familiar_name, "tag": parsed.tag, "changes": 'CMD ["sh"]'}
        )
        answer = await asyncio.to_thread(
            self._engine.request, "POST", f"/images/create?{query}", archive(content)
        )
        assert answer.status == 200, answer.body

    async def use(self, image: str, *, running: bool) -> str:
        name = f"of-{image.partition(':')[0]}"
        body = {"Image": image, "Cmd": ["sh"], "HostConfig": {"NetworkMode": "none"}}
        answer = await asyncio.to_thread(
            self._engine.request, "POST", f"/containers/create?name={name}", body
        )
        assert answer.status == 201, answer.body
        return name


def archive(content: str) -> bytes:
    """The files of an image, and none of them like another image's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        for name, data in (("content", content.encode()), ("noise", os.urandom(200_000))):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            files.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def registries(docker_engine: Engine) -> Iterator[tuple[str, str]]:
    docker_engine.ensure_running()
    docker_engine.raise_loopback()
    try:
        with (
            registry(docker_engine, OPEN_PORT) as anybody,
            registry(docker_engine, GUARDED_PORT, guarded=True) as guarded,
        ):
            yield anybody, guarded
    except NotInstallable as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI has to run the tests with real registries, but {error}", pytrace=False)
        pytest.skip(f"no real registry: {error}")


@pytest_asyncio.fixture
async def place(docker_engine: Engine, registries: tuple[str, str]) -> AsyncIterator[RealPlace]:
    client = AioDocker(docker_engine.host)
    yield RealPlace(docker_engine, client, registries)
    await client.close()
    docker_engine.remove_all_containers()
    remove_images(docker_engine)


def remove_images(engine: Engine) -> None:
    """All but the Engine's own."""
    for image in listed(engine):
        tags = image["RepoTags"] or []
        assert isinstance(tags, list)
        for name in (
            [*(tag for tag in tags if tag not in (IMAGE, "<none>:<none>"))]
            if IMAGE in tags
            else [image["Id"]]
        ):
            engine.request("DELETE", f"/images/{quote(str(name))}?force=1")


def listed(engine: Engine) -> list[dict[str, object]]:
    images = engine.request("GET", "/images/json").json()
    assert isinstance(images, list)
    return images


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_real_engine_behaves_as_in(
    place: RealPlace, story: Callable[[Place], Awaitable[None]]
) -> None:
    await story(place)


async def test_a_pull_with_a_password_goes_through_the_whole_plane_and_leaves_no_trace_of_it(
    place: RealPlace, docker_engine: Engine, tmp_path: Path
) -> None:
    reference = f"{place.guarded}/team/traceless:1"
    await place.publish(reference, "traceless")
    arguments = {"reference": reference, "username": USER, "password": PASSWORD}
    body = {"operation": "image_pull", "agent": "local", "arguments": arguments}

    def pull() -> list[bytes]:
        with plane_in(tmp_path) as plane:
            plane.start_controller()
            plane.start_agent(docker_engine.host)
            status, _, done = plane.request("POST", "/api/v1/commands?wait=60", body)
            assert status == 200, done
            assert json.loads(done)["state"] == "SUCCEEDED", done
            wrong = {**body, "arguments": {**arguments, "password": "another horse"}}
            _, _, refused = plane.request("POST", "/api/v1/commands?wait=60", wrong)
            assert json.loads(refused)["state"] == "FAILED", refused
            _, _, everything = plane.request("GET", "/api/v1/commands")
        return [
            done,
            refused,
            everything,
            *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()),
        ]

    seen = await asyncio.to_thread(pull)
    assert len(seen) > 5
    for secret in (PASSWORD, "another horse"):
        assert all(secret.encode() not in content for content in seen)
