"""Streams of a real Docker Engine, through both links as they break."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from seawall.agent.docker import AioDocker
from seawall.client.frames import Output
from seawall.client.streams import Stream, StreamFailed
from seawall.core.command import CommandState
from seawall.wire import terminal
from tests.chaos.cutter import Cutter
from tests.chaos.plane import HOST, FaultyPlane, faulty_plane
from tests.chaos.pulls import BREAKS, Gate, Hasty, pull_through_breaks, whole_output
from tests.system.engine import Engine
from tests.system.gated_registry import gated_registry

pytestmark = [pytest.mark.docker, pytest.mark.asyncio, pytest.mark.timeout(240, func_only=True)]

PORT = 5103
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


async def test_the_output_of_a_pull_comes_whole_through_twenty_breaks_of_both_links(
    docker_engine: Engine, tmp_path: Path
) -> None:
    gate, layers = Gate(), BREAKS + 1
    async with (
        gated_registry(docker_engine, PORT, layers, gate.serve) as registry,
        faulty_plane(tmp_path, 1, AioDocker(docker_engine.host), Hasty()) as plane,
        asyncio.timeout(100),
    ):
        pull = await pull_through_breaks(plane, f"127.0.0.1:{PORT}/gated:1", gate)
        assert (gate.breaks, pull.cuts) == (BREAKS, BREAKS)
        assert pull.stream.resumptions >= BREAKS
        assert pull.content == await whole_output(plane, pull.command.command_id)
    assert [line.number for line in pull.lines] == list(range(1, len(pull.lines) + 1))
    assert pull.stream.response == {"lines": len(pull.lines), "dropped": 0}
    assert pull.lines[-1].text.endswith(f"{layers} of {layers} layers")
    assert [registry.sent[layer] for layer in registry.layers] == [1] * layers, "it was pulled once"
    assert pull.command.state is CommandState.SUCCEEDED, pull.command.error
    assert isinstance(pull.command.response, dict)
    assert pull.command.response["digest"] == registry.digest
    found = docker_engine.request("GET", f"/images/{pull.command.response['id']}/json")
    assert found.status == 200


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


class Talk:
    """A reader that types, and gathers what comes back."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.heard = b""
        self.errors = b""
        self._output = Output()
        self._pieces = aiter(stream)

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(30):
            while text not in self.heard:
                await self._next(await anext(self._pieces))

    async def end(self) -> object:
        async with asyncio.timeout(30):
            async for data in self._pieces:
                await self._next(data)
        assert isinstance(self.stream.response, dict)
        return self.stream.response["exit_code"]

    async def _next(self, data: bytes) -> None:
        for is_error, piece in self._output.feed(data):
            if is_error:
                self.errors += piece
            else:
                self.heard += piece


@asynccontextmanager
async def process(
    engine: Engine, directory: Path, *command: str, tty: bool
) -> AsyncIterator[tuple[Talk, FaultyPlane, Cutter]]:
    """A process in a container of a real Engine that is talked to through a link that can be cut."""
    await asyncio.to_thread(engine.run_container, "web")
    given = {"container": "web", "command": list(command), "interactive": True, "tty": tty}
    async with (
        faulty_plane(directory, 1, AioDocker(engine.host)) as plane,
        Cutter(urlsplit(plane.connection.url).port or 0) as cutter,
        stream_of(plane, cutter.port, "container_exec", **given) as stream,
    ):
        yield Talk(stream), plane, cutter


async def test_a_process_with_a_terminal_has_its_keys_its_size_and_its_exit_code(
    docker_engine: Engine, tmp_path: Path
) -> None:
    async with process(docker_engine, tmp_path, "sh", tty=True) as (talk, plane, cutter):
        await talk.stream.write(terminal.size(132, 43))
        await talk.stream.write(terminal.keys(b"echo si''ze $(stty size 2>/dev/null || echo unknown)\n"))
        await talk.until(b"size ")
        await talk.stream.write(terminal.keys(b"echo fir''st\n"))
        await talk.until(b"first\r\n")
        plane.proxy.cut_all()
        cutter.cut()
        await talk.stream.write(terminal.keys(b"echo sec''ond\n"))
        await talk.until(b"second\r\n")
        await talk.stream.write(terminal.keys(b"exit 7\n"))
        assert await talk.end() == 7
    assert talk.heard.count(b"second\r\n") == 1


async def test_a_process_without_a_terminal_has_both_outputs_and_the_end_of_its_input(
    docker_engine: Engine, tmp_path: Path
) -> None:
    async with process(docker_engine, tmp_path, "sh", "-c", "echo oops >&2; cat; exit 3", tty=False) as (
        talk,
        *_,
    ):
        await talk.stream.write(terminal.keys(b"some\n") + terminal.end())
        assert await talk.end() == 3
    assert (talk.heard, talk.errors) == (b"some\n", b"oops\n")


async def test_a_terminal_of_no_size_ends_the_stream_with_a_clear_error(
    docker_engine: Engine, tmp_path: Path
) -> None:
    async with process(docker_engine, tmp_path, "cat", tty=True) as (talk, *_):
        await talk.stream.write(terminal.size(0, 0))
        with pytest.raises(StreamFailed, match="0 x 0") as caught:
            await talk.end()
    assert caught.value.code == "invalid_argument"


async def test_events_come_after_a_list_and_figures_each_second(
    docker_engine: Engine, tmp_path: Path
) -> None:
    await asyncio.to_thread(docker_engine.run_container, "web")
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane, asyncio.timeout(60):
        port = urlsplit(plane.connection.url).port or 0
        async with stream_of(plane, port, "system_events") as events:
            lines = lines_of(events)
            listed = await anext(lines)
            assert [each["Names"] for each in listed["listed"]] == [["/web"]]
            docker_engine.request("POST", "/containers/web/kill")
            while (event := await anext(lines)).get("Action") != "die":
                pass
            assert event["Actor"]["Attributes"]["name"] == "web"
            await asyncio.to_thread(docker_engine.restart)
            while "interrupted" not in await anext(lines):
                pass
            assert [each["Names"] for each in (await anext(lines))["listed"]] == [["/web"]]
            docker_engine.request("POST", "/containers/web/rename?name=other")
            while (event := await anext(lines)).get("Action") != "rename":
                pass
            docker_engine.request("POST", "/containers/other/rename?name=web")
        docker_engine.request("POST", "/containers/web/start")
        async with stream_of(plane, port, "container_stats", container="web") as figures:
            lines = lines_of(figures)
            for _ in range(2):
                assert (await anext(lines))["name"] == "/web"


async def lines_of(stream: Stream) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for data in stream:
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield json.loads(line)


async def test_files_are_copied_out_of_a_container(docker_engine: Engine, tmp_path: Path) -> None:
    await asyncio.to_thread(
        docker_engine.run_container,
        "web",
        ["sh", "-c", "printf '%0999d\\n' $(seq 1 5000) > /notes; sleep 600"],
    )
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane, asyncio.timeout(60):
        port = urlsplit(plane.connection.url).port or 0
        content = b""
        while len(content) < 5_000_000:
            packed = b""
            async with stream_of(plane, port, "container_copy_out", container="web", path="/notes") as stream:
                async for data in stream:
                    packed += data
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                file = archive.extractfile("notes")
                assert file is not None
                content = file.read()
    assert content == numbered(5000)
    assert stream.response == {"bytes": len(packed)}
