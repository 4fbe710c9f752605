"""Both links of a stream break again and again: the reader gets every byte once, in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from seawall.client.frames import Output
from seawall.client.streams import Stream
from seawall.core.command import CommandState
from seawall.testing.containers import FakeContainer
from tests.chaos.cutter import Cutter
from tests.chaos.plane import HOST, FaultyPlane, faulty_plane
from tests.chaos.pulls import BREAKS, Gate, Hasty, pull_through_breaks, whole_output

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

MEGABYTE = 1_000_000


def reader_of(plane: FaultyPlane, cutter: Cutter, **arguments: object) -> Stream:
    connection = msgspec.structs.replace(plane.connection, url=f"http://127.0.0.1:{cutter.port}")
    return Stream(connection, "container_logs", HOST, {"container": "loud", **arguments})


async def test_a_followed_log_is_whole_although_both_links_break_twenty_times(tmp_path: Path) -> None:
    lines = [("stderr" if number % 7 == 0 else "stdout", f"{number:0999}") for number in range(50_000)]
    # Made before there are heartbeats to miss.
    loud = FakeContainer("loud", log=lines)
    expected = {
        is_error: b"".join(f"{text}\n".encode() for stream, text in lines if (stream == "stderr") == is_error)
        for is_error in (False, True)
    }
    async with faulty_plane(tmp_path, 1) as plane:
        plane.docker.add(loud)
        read, output, size, breaks = {False: bytearray(), True: bytearray()}, Output(), 0, 0
        port = urlsplit(plane.connection.url).port
        assert port is not None
        async with Cutter(port) as cutter, reader_of(plane, cutter, follow=True, whole=True) as stream:
            async with asyncio.timeout(150):
                async for data in stream:
                    for is_error, piece in output.feed(data):
                        read[is_error] += piece
                    size += len(data)
                    if size > (breaks + 1) * 48 * MEGABYTE / (BREAKS + 1) and breaks < BREAKS:
                        breaks += 1
                        plane.proxy.cut_all()
                        cutter.cut()
                    if size >= sum(len(text) for text in expected.values()) + 8 * len(lines):
                        plane.docker.end("loud", 0)
            assert (breaks, cutter.cuts) == (BREAKS, BREAKS)
            assert stream.resumptions >= BREAKS
        assert not loud.running
        for is_error in (False, True):
            assert read[is_error] == expected[is_error]


async def test_the_output_of_a_pull_is_whole_although_both_links_break_twenty_times(tmp_path: Path) -> None:
    gate = Gate()
    async with faulty_plane(tmp_path, 1, clock=Hasty()) as plane, asyncio.timeout(60):
        plane.docker.registries.layers = BREAKS + 1
        plane.docker.registries.serve = gate.serve  # type: ignore[method-assign]  # the fake's own place for it
        pull = await pull_through_breaks(plane, "shop:2", gate)
        assert (gate.breaks, pull.cuts) == (BREAKS, BREAKS)
        assert pull.stream.resumptions >= BREAKS
        assert pull.content == await whole_output(plane, pull.command.command_id)
    assert [line.number for line in pull.lines] == list(range(1, len(pull.lines) + 1))
    assert pull.stream.response == {"lines": len(pull.lines), "dropped": 0}
    assert pull.lines[-1].text == f"pulling shop:2: {BREAKS + 1} of {BREAKS + 1} layers"
    assert pull.command.state is CommandState.SUCCEEDED, pull.command.error
    assert [effect.step for effect in plane.docker.history if effect.operation == "image_pull"] == ["pull"]
