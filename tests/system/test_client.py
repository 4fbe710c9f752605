"""The Python client against a real plane and a real Docker Engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall import Seawall, SyncSeawall
from seawall.client.frames import Output
from seawall.core.command import CommandState
from tests.system.engine import IMAGE, Engine
from tests.system.plane import Plane, plane_in

pytestmark = [pytest.mark.timeout(240, func_only=True), pytest.mark.docker]

COUNT = ["sh", "-c", "for n in 1 2 3; do echo $n; done"]


@pytest.fixture
def plane(tmp_path: Path, docker_engine: Engine) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        plane.up("--docker", docker_engine.host)
        yield plane


def token_file(plane: Plane) -> Path:
    return plane.data / "admin.token"


def lines(data: bytes) -> list[bytes]:
    return b"".join(piece for _, piece in Output().feed(data)).split()


def test_a_container_is_run_looked_into_and_removed_by_a_program(plane: Plane) -> None:
    with SyncSeawall(plane.url, token_file=token_file(plane)) as fleet:
        ran = fleet.containers.run(IMAGE, COUNT, name="count", on="local").raise_for_failures()
        assert ran.only.state is CommandState.SUCCEEDED
        ended = fleet.containers.wait("count", on="all").raise_for_failures()
        assert ended.responses["local"]["exit_code"] == 0  # type: ignore[index]  # JSON
        with fleet.containers.stream_logs("count", on="local", whole=True) as stream:
            assert lines(b"".join(stream)) == [b"1", b"2", b"3"]
        again = [fleet.containers.remove("count", idempotency_key="once").only.command_id for _ in range(2)]
        assert again[0] == again[1]
        failed = fleet.containers.start("count")
        assert failed.only.state is CommandState.FAILED
        assert failed.only.error_code == "docker_error"


def test_a_program_follows_a_log_as_it_grows(plane: Plane) -> None:
    async def work() -> list[bytes]:
        async with Seawall(plane.url, token_file=token_file(plane)) as fleet:
            slow = ["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.2; done"]
            (await fleet.containers.run(IMAGE, slow, name="slow")).raise_for_failures()
            async with fleet.containers.stream_logs("slow", on="local", follow=True, whole=True) as stream:
                return lines(b"".join([data async for data in stream]))

    assert asyncio.run(work()) == [b"1", b"2", b"3"]
