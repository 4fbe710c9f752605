"""The agent's end of streams: begun once, kept for a reader that comes back, never more than a window ahead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from seawall.agent.courtesy import COURTEOUS_SECONDS
from seawall.agent.operations.registry import STREAMERS
from seawall.agent.operations.streaming import Lines, Streamer, StreamWork
from seawall.agent.streams import KEEP_SECONDS, Streams
from seawall.core.command import SafetyClass
from seawall.operations.operation import Operation, StreamKind
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.faults import Fault
from seawall.wire.messages import (
    CloseStream,
    FromAgent,
    OpenStream,
    StreamCredit,
    StreamData,
    StreamEnd,
    StreamInput,
    StreamInputCredit,
)

pytestmark = pytest.mark.asyncio

WINDOW = 100_000
ONE = Operation("talk", "Talk.", SafetyClass.SAFE_READ, stream=StreamKind.READ)
EXEC = Operation("shell", "Talk both ways.", SafetyClass.OPAQUE, stream=StreamKind.DUPLEX)


class Bench:
    """Streams with sources of the test's own, a session that is open, and what was sent through it."""

    def __init__(self, streamers: Mapping[str, Streamer] | None = None, most: int = 3) -> None:
        self.clock = FakeClock()
        self.docker = FakeDocker(self.clock, [FakeContainer("web", log=[("stdout", "hello")])])
        self.said: list[FromAgent] = []
        self.begun = 0
        self.wakes = 0
        self.streams = Streams(
            self.docker,
            self.clock,
            self.said.append,
            version="1.0",
            streamers={**STREAMERS, "talk": self._talk, "shell": self._shell, **(streamers or {})},
            operations={**OPERATIONS, "talk": ONE, "shell": EXEC},
            most=most,
        )
        self.text = b"x" * 10
        self.streams.attach(self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    async def _talk(self, work: StreamWork) -> object:
        self.begun += 1
        await work.write(self.text)
        return {"done": True}

    async def _shell(self, work: StreamWork) -> object:
        self.begun += 1
        while (keys := await work.read()) != b"exit":
            await work.write(keys.upper())
        return {"exit_code": 0}

    async def open(
        self, stream_id: str = "s", operation: str = "talk", offset: int = 0, *, again: bool = False
    ) -> None:
        self.streams.hear(OpenStream(stream_id, operation, {}, offset, WINDOW, again))
        await self.clock.settle()

    def drain(self) -> list[StreamData | StreamEnd]:
        """What the session would send now."""
        sent = []
        while (message := self.streams.next_message()) is not None:
            sent.append(message)
        return sent

    def data(self) -> bytes:
        return b"".join(each.data for each in self.drain() if isinstance(each, StreamData))


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.streams.end()


async def test_a_stream_sends_its_bytes_and_then_its_end(bench: Bench) -> None:
    await bench.open()
    assert bench.wakes
    assert bench.drain() == [StreamData("s", 0, b"x" * 10), StreamEnd("s", 10, response={"done": True})]


async def test_opening_a_stream_again_goes_on_from_the_readers_offset_and_begins_nothing(
    bench: Bench,
) -> None:
    await bench.open()
    bench.drain()
    bench.streams.detach()
    bench.streams.attach(bench._wake)
    assert bench.drain() == []  # not before its reader is back
    await bench.open(offset=4, again=True)
    assert bench.drain() == [StreamData("s", 4, b"x" * 6), StreamEnd("s", 10, response={"done": True})]
    await bench.open(offset=10, again=True)
    assert bench.drain() == [StreamEnd("s", 10, response={"done": True})]
    assert bench.begun == 1


async def test_a_reader_that_comes_back_with_more_has_taken_it_although_it_gave_no_credit(
    bench: Bench,
) -> None:
    await bench.open()
    bench.drain()
    await bench.open(offset=0, again=True)
    assert bench.streams.moves == 0
    await bench.open(offset=4, again=True)
    assert bench.streams.moves == 1


async def test_a_source_is_read_no_further_than_a_window_ahead_of_the_reader(bench: Bench) -> None:
    bench.text = b"y" * (3 * WINDOW)
    await bench.open()
    assert len(bench.data()) == WINDOW
    await bench.clock.settle()
    assert bench.drain() == []
    bench.streams.hear(StreamCredit("s", WINDOW))
    await bench.clock.settle()
    assert len(bench.data()) == WINDOW


async def test_a_stream_waits_for_its_reader_a_minute_and_no_longer(bench: Bench) -> None:
    await bench.open()
    bench.streams.detach()
    await bench.clock.advance(KEEP_SECONDS - 1)
    assert len(bench.streams) == 1
    await bench.clock.advance(1)
    assert len(bench.streams) == 0
    bench.streams.attach(bench._wake)
    await bench.open(offset=4, again=True)
    (end,) = bench.said[-1:]
    assert isinstance(end, StreamEnd)
    assert (end.code, end.offset) == ("agent_disconnected", 4)
    assert end.error is not None
    assert "started anew" in end.error


async def test_input_that_may_have_been_acted_on_is_never_begun_again_by_a_new_process(bench: Bench) -> None:
    await bench.open(operation="shell", again=True)
    assert bench.begun == 0
    assert isinstance(bench.said[-1], StreamEnd)
    assert bench.said[-1].code == "agent_disconnected"


async def test_a_read_of_which_nothing_had_come_yet_is_begun_by_a_new_process(bench: Bench) -> None:
    await bench.open(again=True)
    assert bench.begun == 1


async def test_input_is_taken_once_and_credited_when_it_is_read(bench: Bench) -> None:
    await bench.open(operation="shell")
    assert bench.said == [StreamInputCredit("s", 0, again=True)]
    bench.streams.hear(StreamInput("s", 0, b"abc"))
    bench.streams.hear(StreamInput("s", 1, b"bcd"))
    bench.streams.hear(StreamInput("s", 9, b"lost"))
    await bench.clock.settle()
    assert bench.data() == b"ABCD"
    assert bench.said[-1] == StreamInputCredit("s", 4)
    bench.streams.hear(StreamInput("s", 4, b"exit"))
    await bench.clock.settle()
    assert bench.drain()[-1] == StreamEnd("s", 4, response={"exit_code": 0})


async def test_after_a_break_the_reader_is_told_from_where_its_input_is_missing(bench: Bench) -> None:
    await bench.open(operation="shell")
    bench.streams.hear(StreamInput("s", 0, b"abc"))
    bench.streams.detach()
    bench.streams.attach(bench._wake)
    await bench.open(operation="shell", again=True)
    assert bench.said[-1] == StreamInputCredit("s", 0, again=True)
    bench.streams.hear(StreamInput("s", 0, b"abc"))
    await bench.clock.settle()
    assert bench.data() == b"ABC"


async def test_streams_take_turns(bench: Bench) -> None:
    bench.text = b"z" * WINDOW
    await bench.open("a")
    await bench.open("b")
    turns = [message.stream_id for message in bench.drain() if isinstance(message, StreamData)]
    assert turns == ["a", "b", "a", "b"]


async def test_live_telemetry_is_dropped_for_a_slow_reader_who_is_told_how_much() -> None:
    record = b'{"n": 1}' + b" " * 991 + b"\n"
    go_on = asyncio.Event()

    async def figures(work: StreamWork) -> object:
        for _ in range(150):
            work.offer(record)
        await go_on.wait()
        work.offer(record)
        return None

    bench = Bench({"talk": figures})
    await bench.open()
    kept = bench.data()
    assert len(kept) <= WINDOW
    bench.streams.hear(StreamCredit("s", len(kept)))
    go_on.set()
    await bench.clock.settle()
    mark, last = bench.data().splitlines(keepends=True)
    assert json.loads(mark) == {"dropped": 150 - len(kept) // 1000}
    assert last == record
    await bench.streams.end()


class Events:
    """The events of a fake Engine, as a reader with a window of its own sees them."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._held = 0

    async def told(self, *, take: bool = True) -> list[dict[str, object]]:
        """What has come since; it is taken off the window, or not."""
        await self._bench.clock.advance(2.0)
        content = self._bench.data()
        while content and (more := await self._more()):
            content += more
        self._held += len(content)
        if take:
            self._bench.streams.hear(StreamCredit("s", self._held))
            await self._bench.clock.settle()
        return [json.loads(line) for line in content.splitlines()]

    async def _more(self) -> bytes:
        await self._bench.clock.settle()
        return self._bench.data()

    async def restart(self, times: int = 1) -> None:
        for _ in range(times):
            await self._bench.docker.container_restart("web", grace_seconds=0, timeout_seconds=5)


def kinds(lines: list[dict[str, object]]) -> list[str]:
    return ["event" if "Action" in line else next(iter(line)) for line in lines]


async def test_a_reader_of_events_that_was_too_slow_is_told_how_things_are_when_it_has_caught_up(
    bench: Bench,
) -> None:
    await bench.open(operation="system_events")
    events = Events(bench)
    assert kinds(await events.told()) == ["listed"]
    await events.restart(600)
    await events.told(take=False)
    for _ in range(60):
        await bench.clock.settle()  # until all of it has come from the Engine
    bench.docker.end("web", 0)
    assert await events.told() == [], "it is behind, and nothing more happens"
    mark, listed = await events.told()
    assert mark["dropped"]
    (web,) = listed["listed"]  # type: ignore[misc]  # a list of one
    assert web["State"] == "exited"
    assert await events.told() == []
    await events.restart()
    assert set(kinds(await events.told())) == {"event"}


async def test_events_go_on_after_the_engine_was_gone_with_how_things_are_then(bench: Bench) -> None:
    await bench.open(operation="system_events")
    events = Events(bench)
    assert kinds(await events.told()) == ["listed"]
    bench.docker.fault(Fault.UNREACHABLE)
    assert kinds(await events.told()) == ["interrupted"]
    assert await events.told() == [], "it is said once"
    bench.docker.heal()
    bench.docker.end("web", 0)
    (listed,) = await events.told()
    (web,) = listed["listed"]  # type: ignore[misc]
    assert web["State"] == "exited"
    await events.restart()
    assert set(kinds(await events.told())) == {"event"}


@pytest.mark.parametrize("begun", [False, True])
async def test_events_of_an_engine_that_refuses_them_end(bench: Bench, begun: bool) -> None:
    if begun:
        await bench.open(operation="system_events")
        await Events(bench).told()
        bench.docker.fault(Fault.UNREACHABLE)
        await Events(bench).told()
    bench.docker.fault(Fault.PERMISSION if begun else Fault.UNREACHABLE)
    if not begun:
        await bench.open(operation="system_events")
    await bench.clock.advance(3.0)
    *_, end = bench.drain()
    assert isinstance(end, StreamEnd)
    assert end.code == ("permission_denied" if begun else "docker_error")


async def test_there_are_only_so_many_streams(bench: Bench) -> None:
    for name in ("a", "b", "c", "d"):
        await bench.open(name, "shell")
    end = bench.said[-1]
    assert isinstance(end, StreamEnd)
    assert (end.stream_id, end.code) == ("d", "bulkhead_full")
    bench.streams.hear(CloseStream("a", "enough"))
    await bench.open("d", "shell")
    assert len(bench.streams) == 3


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("juggle", {}, "unsupported_operation"),
        ("container_start", {"container": "web"}, "unsupported_operation"),
        ("container_logs", {"container": "a b"}, "invalid_argument"),
        ("container_logs", {"container": "web", "tail": 10**9}, "invalid_argument"),
    ],
)
async def test_what_can_not_be_streamed_ends_with_its_reason(
    operation: str, arguments: dict[str, object], code: str
) -> None:
    bench = Bench()
    bench.streams.hear(OpenStream("s", operation, arguments, 0, WINDOW))
    end = bench.said[-1]
    assert isinstance(end, StreamEnd)
    assert end.code == code
    assert len(bench.streams) == 0


async def test_a_bug_in_a_source_costs_its_stream_only() -> None:
    async def broken(work: StreamWork) -> object:
        await work.write(b"so far")
        raise KeyError("oops")

    bench = Bench({"talk": broken})
    await bench.open()
    data, end = bench.drain()
    assert data == StreamData("s", 0, b"so far")
    assert isinstance(end, StreamEnd)
    assert end.code == "agent_error"


async def test_a_reader_that_can_not_count_loses_its_stream(bench: Bench) -> None:
    await bench.open()
    bench.streams.hear(StreamCredit("s", 11))
    assert isinstance(bench.said[-1], StreamEnd)
    assert bench.said[-1].code == "agent_error"
    assert len(bench.streams) == 0


async def test_a_followed_log_of_the_fake_engine_wakes_with_each_line(bench: Bench) -> None:
    streams = Streams(bench.docker, bench.clock, bench.said.append, version="1.0")
    streams.attach(lambda: None)
    streams.hear(OpenStream("s", "container_logs", {"container": "web", "follow": True}, 0, WINDOW))
    await bench.clock.settle()
    assert streams.next_message() == StreamData("s", 0, b"\x01\0\0\0\0\0\0\x06hello\n")
    bench.docker.container("web").log.append(("stderr", "more"))
    await bench.clock.settle()
    assert streams.next_message() == StreamData("s", 14, b"\x02\0\0\0\0\0\0\x05more\n")
    bench.docker.end("web", 0)
    await bench.clock.settle()
    assert streams.next_message() == StreamEnd("s", 27)
    await streams.end()


async def test_lines_are_cut_where_they_end() -> None:
    lines = Lines()
    assert lines.feed(b'{"a":') == []
    assert lines.feed(b"1}\n\n{") == [b'{"a":1}\n']
    assert lines.feed(b"}\n") == [b"{}\n"]


async def test_a_source_is_read_slower_while_commands_come_and_at_once_when_none_do() -> None:
    moments: list[float] = []

    async def talk(work: StreamWork) -> object:
        for _ in range(20):
            await work.write(b"x")
            moments.append(bench.clock.now())
        return None

    bench = Bench({"talk": talk})
    start = bench.clock.now()
    await bench.open("before")
    assert moments == [start] * 20
    moments.clear()
    bench.streams.courtesy.command_came()
    await bench.open("beside")
    await bench.clock.advance(0.01)
    assert 0 < len(moments) < 10, "a breath between two reads"
    await bench.clock.advance(COURTEOUS_SECONDS)
    assert len(moments) == 20
    moments.clear()
    await bench.open("after")
    assert len(set(moments)) == 1
    await bench.streams.end()
