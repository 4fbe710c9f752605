"""Streams of a real Docker Engine, through both links as they break."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from seawall.agent.docker import AioDocker
from seawall.client.frames import Output
from seawall.client.streams import Stream, StreamFailed
from tests.chaos.cutter import Cutter
from tests.chaos.plane import HOST, FaultyPlane, faulty_plane
from tests.system.engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.asyncio, pytest.mark.timeout(240, func_only=True)]

BREAKS = 20
LINES, ERRORS = 50_000, 500
WIDTH = 999
LOUD = [
    "sh",
    "-c",
    f"printf '%0{WIDTH}d\\n' $(seq 1 {ERRORS}) >&2; printf '%0{WIDTH}d\\n' $(seq 1 {LINES}); sleep 600",
]


def numbered(count: int) -> bytes:
    return b"".join(b"%0999d\n" % number for number in range(1, count + 1))


def stream_of(plane: FaultyPlane, port: int, operation: str, **arguments: object) -> Stream:
    connection = msgspec.structs.replace(plane.connection, url=f"http://127.0.0.1:{port}")
    return Stream(connection, operation, HOST, arguments)


async def test_fifty_megabytes_of_a_followed_log_come_whole_through_twenty_breaks_of_both_links(
    docker_engine: Engine, tmp_path: Path
) -> None:
    await asyncio.to_thread(docker_engine.run_container, "loud", LOUD)
    read, output, breaks = {False: bytearray(), True: bytearray()}, Output(), 0
    whole = (LINES + ERRORS) * (WIDTH + 1)
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane:
        port = urlsplit(plane.connection.url).port
        assert port is not None
        async with (
            Cutter(port) as cutter,
            stream_of(
                plane, cutter.port, "container_logs", container="loud", follow=True, whole=True
            ) as stream,
            asyncio.timeout(200),
        ):
            async for data in stream:
                for is_error, piece in output.feed(data):
                    read[is_error] += piece
                size = len(read[False]) + len(read[True])
                if size > (breaks + 1) * 48_000_000 / (BREAKS + 1) and breaks < BREAKS:
                    breaks += 1
                    plane.proxy.cut_all()
                    cutter.cut()
                if size >= whole:
                    docker_engine.request("POST", "/containers/loud/kill")
        assert (breaks, cutter.cuts) == (BREAKS, BREAKS)
    assert read[False] == numbered(LINES)
    assert read[True] == numbered(ERRORS)


async def test_a_log_that_is_followed_shows_what_is_written_meanwhile(
    docker_engine: Engine, tmp_path: Path
) -> None:
    await asyncio.to_thread(
        docker_engine.run_container, "slow", ["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.3; done"]
    )
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane:
        port = urlsplit(plane.connection.url).port or 0
        async with stream_of(plane, port, "container_logs", container="slow", follow=True) as stream:
            output = Output()
            pieces = [piece async for data in stream for piece in output.feed(data)]
    assert b"".join(text for _, text in pieces) == b"1\n2\n3\n"


async def test_a_terminals_log_comes_as_output(docker_engine: Engine, tmp_path: Path) -> None:
    await asyncio.to_thread(docker_engine.run_container, "screen", ["sh", "-c", "echo seen"], tty=True)
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane:
        port = urlsplit(plane.connection.url).port or 0
        async with stream_of(plane, port, "container_logs", container="screen", follow=True) as stream:
            output = Output()
            pieces = [piece async for data in stream for piece in output.feed(data)]
    assert pieces == [(False, b"seen\r\n")]


async def test_a_log_of_a_container_that_is_not_there_says_so(docker_engine: Engine, tmp_path: Path) -> None:
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane:
        port = urlsplit(plane.connection.url).port or 0
        async with stream_of(plane, port, "container_logs", container="nobody", follow=True) as stream:
            with pytest.raises(StreamFailed, match="seawall container list") as caught:
                async for _ in stream:
                    pass
    assert caught.value.code == "docker_error"
