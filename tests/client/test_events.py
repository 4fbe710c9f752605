"""Server-sent events, however their bytes arrive."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.client.events import EVENT_LIMIT_BYTES, BadStream, Event, EventParser

STREAM = (
    b": listening\n\n"
    b'event: record\ndata: {"state": "ACCEPTED"}\n\n'
    b": heartbeat\r\n\r\n"
    b'event:retry\r\ndata:{"attempt": 2,\r\ndata: "of": 3}\r\n\r\n'
    b"id: 7\nretry: 100\n\n"
    b'data: {"text": "a\xe2\x80\xa8b"}\r\r'
    b"event: finished\ndata: {}\n\n"
)
EVENTS = [
    Event("record", {"state": "ACCEPTED"}),
    Event("retry", {"attempt": 2, "of": 3}),
    Event("message", {"text": "a\N{LINE SEPARATOR}b"}),
    Event("finished", {}),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_wherever_the_stream_is_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    found = [event for start, end in pairwise(edges) for event in parser.feed(STREAM[start:end])]
    assert found == EVENTS


def test_every_byte_alone_gives_the_same_events() -> None:
    parser = EventParser()
    assert [event for byte in STREAM for event in parser.feed(bytes([byte]))] == EVENTS


def test_an_event_that_never_ends_is_given_up() -> None:
    parser = EventParser()
    chunk = b"data: " + b"x" * 1024 * 1024 + b"\n"
    for _ in range(EVENT_LIMIT_BYTES // len(chunk)):
        assert list(parser.feed(chunk)) == []
    with pytest.raises(BadStream, match="longer"):
        list(parser.feed(chunk))


def test_many_events_are_not_one_long_one() -> None:
    parser = EventParser()
    event = b"data: " + json.dumps({"text": "x" * 1024 * 1024}).encode() + b"\n\n"
    assert sum(len(list(parser.feed(event))) for _ in range(20)) == 20


def test_an_unfinished_event_is_not_told() -> None:
    assert list(EventParser().feed(b"event: finished\ndata: {}\n")) == []


@pytest.mark.parametrize("data", [b"not json", b"[1]", b'"text"', b"\xff"])
def test_an_event_that_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadStream):
        list(EventParser().feed(b"data: " + data + b"\n\n"))
