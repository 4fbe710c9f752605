"""The Engine that chaos is judged by, spoken to as the agent does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, DockerFailure
from tests.chaos.fake_dockerd import FakeDockerd

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def dockerd() -> AsyncIterator[FakeDockerd]:
    # A socket's path has to be short, which a test's own temporary folder is not.
    with TemporaryDirectory(prefix="seawall-") as directory:
        async with FakeDockerd(Path(directory) / "host.sock", seed=1, slowness_seconds=0.05) as dockerd:
            yield dockerd


@pytest_asyncio.fixture
async def docker(dockerd: FakeDockerd) -> AsyncIterator[AioDocker]:
    client = AioDocker(dockerd.address)
    yield client
    await client.close()


async def test_every_change_that_the_agent_makes_is_done_and_counted(
    dockerd: FakeDockerd, docker: AioDocker
) -> None:
    web = dockerd.hold("web")
    await docker.ping(timeout_seconds=5)
    assert (await docker.info(timeout_seconds=5))["ContainersRunning"] == 1
    await docker.container_stop("web", grace_seconds=1, timeout_seconds=5)
    await docker.container_start("web", timeout_seconds=5)
    await docker.container_restart("web", grace_seconds=1, timeout_seconds=5)
    await docker.container_kill("web", signal="SIGKILL", timeout_seconds=5)
    await docker.container_rename("web", name="api", timeout_seconds=5)
    assert (await docker.container_inspect("api", timeout_seconds=5))["Id"] == web
    await docker.container_remove("api", force=False, volumes=True, timeout_seconds=5)
    verbs = ("stop", "start", "restart", "kill", "rename", "remove")
    assert dockerd.effects() == {(f"container_{verb}", web): 1 for verb in verbs}


async def test_it_refuses_what_docker_refuses(dockerd: FakeDockerd, docker: AioDocker) -> None:
    dockerd.hold("idle", running=False)
    with pytest.raises(DockerFailure) as unknown:
        await docker.container_start("nobody", timeout_seconds=5)
    with pytest.raises(DockerFailure) as stopped:
        await docker.container_kill("idle", signal="SIGKILL", timeout_seconds=5)
    assert (unknown.value.status, stopped.value.status) == (404, 409)


async def test_a_change_goes_on_when_its_client_is_gone(dockerd: FakeDockerd, docker: AioDocker) -> None:
    web = dockerd.hold("web")
    _, writer = await asyncio.open_unix_connection(dockerd.address.removeprefix("unix://"))
    writer.write(
        b"POST /v1.41/containers/web/restart?t=1 HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
    )
    await writer.drain()
    # Requests are taken in order of arrival: once this one is answered, the other has begun.
    await docker.ping(timeout_seconds=5)
    writer.transport.abort()
    async with asyncio.timeout(5):
        while not dockerd.effects():  # noqa: ASYNC110 - until it is done
            await asyncio.sleep(0)
    assert dockerd.effects() == {("container_restart", web): 1}
