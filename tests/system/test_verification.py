"""Changes in doubt on a real Docker Engine are found out as on the fake one: the fake tells the truth about Docker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, Docker
from tests.agent.creation_doubts import CREATIONS, find_out_creations
from tests.agent.doubts import CASES, find_out
from tests.system.engine import IMAGE, Engine

pytestmark = [pytest.mark.docker, pytest.mark.asyncio]


class RealHost:
    """The tests' own Engine."""

    def __init__(self, engine: Engine, docker: AioDocker) -> None:
        self._engine = engine
        self._docker = docker

    @property
    def docker(self) -> Docker:
        return self._docker

    def create(self, name: str, *, restart_policy: str, removes_itself: bool) -> None:
        body = {
            "Image": IMAGE,
            "Cmd": ["sleep", "600"],  # as process 1 it ignores SIGTERM
            "StopTimeout": 1,
            "HostConfig": {
                "NetworkMode": "none",
                "AutoRemove": removes_itself,
                "RestartPolicy": {"Name": restart_policy},
            },
        }
        answer = self._engine.request("POST", f"/containers/create?{urlencode({'name': name})}", body)
        assert answer.status == 201, answer.body

    async def bounce(self) -> None:
        await asyncio.to_thread(self._engine.kill)
        await asyncio.to_thread(self._engine.start)


@pytest_asyncio.fixture
async def host(docker_engine: Engine) -> AsyncIterator[RealHost]:
    client = AioDocker(docker_engine.host)
    yield RealHost(docker_engine, client)
    await client.close()


@pytest.mark.parametrize("bounced", [False, True], ids=["living-daemon", "killed-daemon"])
async def test_every_change_in_doubt_is_found_out_as_on_the_fake(host: RealHost, bounced: bool) -> None:
    assert await find_out(host, [case for case in CASES if case.bounced is bounced]) == []


async def test_every_creation_in_doubt_is_found_out_as_on_the_fake(host: RealHost) -> None:
    assert await find_out_creations(host.docker, CREATIONS) == []
