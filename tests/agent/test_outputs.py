"""What commands print: kept whole and in order, within bounds, for a while."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from seawall.agent.outputs import KEEP_SECONDS, MOST_ENDED, Output, Outputs
from seawall.agent.streams import Streams
from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker
from seawall.wire.messages import FromAgent, OpenStream, StreamData, StreamEnd
from seawall.wire.output import Line, changed

pytestmark = pytest.mark.asyncio

LAYERS = {"layers": {f"{number:012x}": {"status": "Waiting"} for number in range(20)}}


def lines_of(content: bytes) -> list[Line]:
    assert content.endswith(b"\n") or not content
    return [msgspec.json.decode(line, type=Line) for line in content.splitlines()]


def whole(output: Output) -> bytes:
    content = b""
    while piece := output.piece(len(content)):
        content += piece
    return content


class Host:
    """The outputs of an agent, and readers of them."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.over: set[str] = set()
        self.outputs = Outputs(self.clock, self.over.__contains__, directory)
        self.said: list[FromAgent] = []
        docker = FakeDocker(self.clock, [])
        self.streams = Streams(docker, self.clock, self.said.append, version="1.0", outputs=self.outputs)
        self.streams.attach(lambda: None)
        self.read: dict[str, bytes] = {}
        self.ends: dict[str, StreamEnd] = {}

    async def open(self, stream_id: str, command_id: str, *, follow: bool = True) -> None:
        arguments = {"command_id": command_id, "follow": follow}
        self.streams.hear(OpenStream(stream_id, "command_output", arguments, 0, 1 << 20))
        await self.drain()

    async def drain(self) -> None:
        await self.clock.settle()
        while (message := self.streams.next_message()) is not None:
            if isinstance(message, StreamData):
                before = self.read.get(message.stream_id, b"")
                assert len(before) == message.offset
                self.read[message.stream_id] = before + message.data
            else:
                self.ends[message.stream_id] = message
            await self.clock.settle()


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path)
    yield host
    await host.streams.end()
    host.outputs.close()


async def test_a_reader_that_came_late_has_every_line_from_the_first(host: Host) -> None:
    host.outputs.add("c", "one", {"layers": {"a": {"current": 1}}})
    await host.clock.advance(2)
    host.outputs.add("c", "two", {"layers": {"a": {"current": 2}}})
    await host.open("s", "c")
    host.outputs.add("c", "three", None)
    host.outputs.end("c")
    await host.drain()
    assert lines_of(host.read["s"]) == [
        Line(1, 0.0, "one", {"layers": {"a": {"current": 1}}}),
        Line(2, 2.0, "two", {"layers": {"a": {"current": 2}}}),
        Line(3, 2.0, "three", {"layers": None}),
    ]
    assert host.ends["s"] == StreamEnd("s", len(host.read["s"]), response={"lines": 3, "dropped": 0})


async def test_a_reader_that_came_early_waits_for_the_command(host: Host) -> None:
    await host.open("s", "c")
    await host.open("t", "c")
    assert not host.ends
    host.outputs.add("c", "at last", None)
    host.outputs.end("c")
    await host.drain()
    assert lines_of(host.read["s"]) == lines_of(host.read["t"]) == [Line(1, 0.0, "at last")]
    assert set(host.ends) == {"s", "t"}


async def test_one_who_does_not_follow_has_what_there_is(host: Host) -> None:
    host.outputs.add("c", "one", None)
    await host.open("s", "c", follow=False)
    assert lines_of(host.read["s"]) == [Line(1, 0.0, "one")]
    assert host.ends["s"].code is None


@pytest.mark.parametrize("follow", [True, False])
async def test_a_command_whose_output_is_not_here_is_a_clear_error(host: Host, *, follow: bool) -> None:
    host.over.add("c")
    await host.open("s", "c", follow=follow)
    end = host.ends["s"]
    assert (end.code, end.offset) == ("invalid_argument", 0)
    assert end.error is not None
    assert "seawall command show c" in end.error


async def test_a_command_that_ended_without_a_word_leaves_nobody_waiting(host: Host) -> None:
    await host.open("s", "c")
    host.outputs.end("c")
    await host.drain()
    assert host.ends["s"].code == "invalid_argument"
    assert host.outputs._waiting == {}


async def test_a_later_attempt_goes_on_with_the_output_of_the_one_before(host: Host) -> None:
    host.outputs.add("c", "one", None)
    await host.open("s", "c")
    host.outputs.rest("c")
    await host.clock.advance(KEEP_SECONDS - 1)
    host.outputs.add("c", "two", None)
    await host.clock.advance(KEEP_SECONDS + 1)
    host.outputs.end("c")
    await host.drain()
    assert [line.number for line in lines_of(host.read["s"])] == [1, 2]
    assert host.ends["s"].code is None


async def test_an_output_that_nobody_goes_on_with_ends_after_a_while(host: Host) -> None:
    host.outputs.add("c", "one", None)
    await host.open("s", "c")
    host.outputs.rest("c")
    await host.clock.advance(KEEP_SECONDS)
    await host.drain()
    assert host.ends["s"] == StreamEnd("s", len(host.read["s"]), response={"lines": 1, "dropped": 0})


async def test_outputs_are_kept_for_a_while_after_the_end_and_so_many_of_them(host: Host) -> None:
    for number in range(MOST_ENDED + 2):
        host.outputs.add(f"c{number}", "one", None)
    host.outputs.end("c1")
    for number in range(MOST_ENDED + 2):
        host.outputs.end(f"c{number}")
    assert [host.outputs.find(f"c{number}") is not None for number in range(4)] == [False, False, True, True]
    await host.clock.advance(KEEP_SECONDS)
    assert host.outputs.find("c3") is None
    assert host.clock.timers == []


async def test_what_finds_no_room_is_left_out_and_counted_and_the_end_is_true(tmp_path: Path) -> None:
    output, last = Output(tmp_path, FakeClock(), most=3000), dict[str, object]()
    for number in range(1000):
        last = {"layers": {**LAYERS["layers"], "a": {"current": number}}}
        output.add(f"{number} of 1000", last)
    output.end()
    lines, detail = lines_of(whole(output)), dict[str, object]()
    for line in lines:
        detail = changed(detail, line.changes)
    assert len(whole(output)) < 3500
    assert (lines[-1].number, lines[-1].text) == (1000, "999 of 1000")
    assert lines[-1].dropped == 1000 - len(lines) == output.dropped
    assert [line.number for line in lines[:-1]] == list(range(1, len(lines)))
    assert detail == last


async def test_a_disk_that_takes_nothing_costs_lines_and_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(tmp_path, FakeClock())
    output.add("one", {})
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda file, content, offset: len(content) // 2)
        output.add("two", {})
    output.add("three", {})
    output.end()
    assert [line.text for line in lines_of(whole(output))] == ["one", "three"]
    assert (output.lines, output.dropped) == (3, 1)
    nowhere = Output(tmp_path / "nowhere", FakeClock())
    nowhere.add("one", {})
    nowhere.end()
    assert (whole(nowhere), nowhere.dropped) == (b"", 1)


async def test_no_file_of_an_output_has_a_name(host: Host, tmp_path: Path) -> None:
    host.outputs.add("c", "one", None)
    assert os.listdir(tmp_path) == []
