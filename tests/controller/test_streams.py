"""Streams on their way through a controller: nothing from an old session, and no reader misses anything."""

from __future__ import annotations

import pytest
from msgspec import Struct

from seawall.controller.streams import LOST_SECONDS, RESUME_SECONDS, STALLED_SECONDS, Relay, Streams
from seawall.testing.clock import FakeClock
from seawall.wire.messages import (
    CloseStream,
    FromController,
    OpenStream,
    StreamCredit,
    StreamData,
    StreamEnd,
    StreamInput,
    StreamInputCredit,
)
from seawall.wire.stream import WINDOW_BYTES

pytestmark = pytest.mark.asyncio


class Order(Struct, frozen=True):
    operation: str = "container_logs"
    arguments: dict[str, object] = {}


class Session:
    def __init__(self, epoch: int = 1, agent_id: str = "web-1") -> None:
        self.agent_id = agent_id
        self.epoch = epoch
        self.sent: list[FromController] = []

    def stream(self, message: FromController) -> None:
        self.sent.append(message)


class Plane:
    """One agent that is connected, and one stream of it that somebody reads."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.streams = Streams(self.clock)
        self.session = Session()
        self.streams.connected(self.session)
        self.relay = self.streams.open("s", "web-1", "token", Order(), 0, again=False)
        self.reader = self.streams.attach(self.relay, 0)

    def reconnect(self) -> Session:
        self.streams.lost(self.session)
        self.session = Session(self.session.epoch + 1)
        self.streams.connected(self.session)
        return self.session

    def tell(self, *messages: StreamData | StreamEnd | StreamInputCredit, by: Session | None = None) -> None:
        for message in messages:
            self.streams.told(by or self.session, message)


def taken(relay: Relay) -> list[tuple[int, bytes]]:
    chunks = []
    while (chunk := relay.next_chunk()) is not None:
        chunks.append(chunk)
    return chunks


def opening(offset: int, *, again: bool) -> OpenStream:
    return OpenStream("s", "container_logs", {}, offset, WINDOW_BYTES, again)


async def test_what_the_agent_sends_reaches_the_reader_and_credit_goes_back() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, b"abc"), StreamEnd("s", 3))
    assert plane.relay.end is None
    assert taken(plane.relay) == [(0, b"abc")]
    assert plane.relay.end == StreamEnd("s", 3)
    plane.streams.credit(plane.relay, 3)
    plane.streams.close(plane.relay, "enough")
    assert plane.session.sent == [
        opening(0, again=False),
        StreamCredit("s", 3),
        CloseStream("s", "enough"),
    ]
    assert len(plane.streams) == 0


async def test_a_stream_is_opened_again_by_itself_when_its_agent_comes_back() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, b"abc"))
    old, new = plane.session, plane.reconnect()
    assert new.sent == [opening(3, again=True)]
    plane.tell(StreamData("s", 3, b"old"), by=old)
    plane.tell(StreamData("s", 3, b"new"), by=new)
    assert taken(plane.relay) == [(0, b"abc"), (3, b"new")]


async def test_the_end_of_an_old_session_does_not_touch_what_a_newer_one_has_taken_over() -> None:
    plane = Plane()
    old, new = plane.session, Session(2)
    plane.streams.connected(new)
    plane.streams.lost(old)
    plane.tell(StreamData("s", 0, b"abc"), by=new)
    assert taken(plane.relay) == [(0, b"abc")]
    await plane.clock.advance(LOST_SECONDS + 1)
    assert not plane.relay.over


async def test_another_agent_can_not_speak_in_a_stream() -> None:
    plane = Plane()
    evil = Session(1, "web-2")
    plane.streams.connected(evil)
    plane.tell(StreamData("s", 0, b"lies"), StreamEnd("s", 4), by=evil)
    assert taken(plane.relay) == []
    assert plane.relay.end is None


async def test_a_reader_that_comes_back_goes_on_where_it_was() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, b"abcdef"))
    plane.streams.detach(plane.relay, plane.reader)
    await plane.clock.advance(RESUME_SECONDS - 1)
    plane.streams.attach(plane.relay, 2)
    assert plane.session.sent[-1] == opening(2, again=True)
    # What was under way before the agent went back comes first, and leaves a gap.
    plane.tell(StreamData("s", 6, b"gh"), StreamData("s", 2, b"cdefgh"))
    assert taken(plane.relay) == [(2, b"cdefgh")]
    await plane.clock.advance(RESUME_SECONDS + 1)
    assert not plane.relay.over


async def test_a_reader_that_stays_away_has_its_stream_closed() -> None:
    plane = Plane()
    plane.streams.detach(plane.relay, plane.reader)
    await plane.clock.advance(RESUME_SECONDS)
    assert plane.relay.over
    assert plane.session.sent[-1] == CloseStream("s", "the reader did not come back in time")


async def test_an_agent_that_comes_back_while_the_reader_is_away_is_not_asked_before_the_reader_is_back() -> (
    None
):
    plane = Plane()
    plane.streams.detach(plane.relay, plane.reader)
    new = plane.reconnect()
    assert new.sent == []
    plane.streams.attach(plane.relay, 5)
    assert new.sent == [opening(5, again=True)]


async def test_a_newer_connection_of_the_reader_puts_the_older_one_out() -> None:
    plane = Plane()
    closed = plane.relay.closed
    second = plane.streams.attach(plane.relay, 0)
    assert closed.is_set()
    plane.streams.detach(plane.relay, plane.reader)
    await plane.clock.advance(RESUME_SECONDS + 1)
    assert not plane.relay.over
    assert second > plane.reader


async def test_a_reader_that_takes_nothing_is_cut_off_and_the_agent_is_not() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, bytes(WINDOW_BYTES)))
    taken(plane.relay)
    await plane.clock.advance(STALLED_SECONDS - 1)
    plane.streams.credit(plane.relay, 1)
    await plane.clock.advance(STALLED_SECONDS - 1)
    assert not plane.relay.over
    await plane.clock.advance(1)
    assert plane.relay.over
    assert isinstance(plane.session.sent[-1], CloseStream)
    assert plane.relay.end is not None
    assert plane.relay.end.code == "timeout"


async def test_an_idle_reader_is_left_alone() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, b"a few bytes that nobody gave credit for"))
    await plane.clock.advance(10 * STALLED_SECONDS)
    assert not plane.relay.over


async def test_a_stream_ends_when_its_agent_stays_away() -> None:
    plane = Plane()
    plane.streams.lost(plane.session)
    await plane.clock.advance(LOST_SECONDS)
    assert plane.relay.end is not None
    assert plane.relay.end.code == "agent_disconnected"


async def test_credit_for_what_was_never_sent_is_refused() -> None:
    plane = Plane()
    plane.tell(StreamData("s", 0, b"abc"))
    with pytest.raises(ValueError, match="only 3 bytes were sent"):
        plane.streams.credit(plane.relay, 4)


async def test_input_passes_and_the_readers_news_of_it_are_the_newest() -> None:
    plane = Plane()
    plane.streams.give(plane.relay, 0, b"ls\n")
    assert plane.session.sent[-1] == StreamInput("s", 0, b"ls\n")
    plane.tell(StreamInputCredit("s", 0, again=True), StreamInputCredit("s", 3))
    assert plane.relay.input_credit == StreamInputCredit("s", 3, again=True)
