"""Frames: golden vectors that no release may break, and whatever else a peer may send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.wire import messages
from seawall.wire.codec import (
    FRAME_LIMIT_BYTES,
    BadFrame,
    decode_from_agent,
    decode_from_controller,
    encode_message,
)
from seawall.wire.messages import Complaint, Completed, Execute, FromAgent, FromController, Hello, Ping, Pong

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
Decode = Callable[[bytes], object]
DECODERS: dict[str, Decode] = {"controller": decode_from_controller, "agent": decode_from_agent}


FIRST_VERSION = sorted((Path(__file__).parent / "golden" / "first_version").glob("*.json"))


def vectors(paths: list[Path] = GOLDEN) -> list[dict[str, object]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@pytest.mark.parametrize("vector", vectors(), ids=[path.stem for path in GOLDEN])
def test_a_golden_frame_is_understood_as_ever(vector: dict[str, str]) -> None:
    message = DECODERS[vector["from"]](bytes.fromhex(vector["frame"]))
    assert type(message).__name__ == vector["message"]
    assert msgspec.to_builtins(message) == vector["fields"]


@pytest.mark.parametrize("vector", vectors(), ids=[path.stem for path in GOLDEN])
def test_a_golden_message_is_encoded_as_ever(vector: dict[str, str]) -> None:
    message = msgspec.convert(vector["fields"], getattr(messages, vector["message"]))
    assert encode_message(message).hex() == vector["frame"]


@pytest.mark.parametrize("vector", vectors(FIRST_VERSION), ids=[path.stem for path in FIRST_VERSION])
def test_a_frame_of_the_first_version_is_understood_and_what_is_new_has_its_default(
    vector: dict[str, str],
) -> None:
    message = DECODERS[vector["from"]](bytes.fromhex(vector["frame"]))
    assert message == msgspec.convert(vector["fields"], getattr(messages, vector["message"]))
    assert msgspec.to_builtins(message).items() >= dict(vector["fields"]).items()


@pytest.mark.parametrize("vector", vectors(FIRST_VERSION), ids=[path.stem for path in FIRST_VERSION])
def test_incident_58_the_fields_of_the_first_version_come_first_and_in_their_order(
    vector: dict[str, str],
) -> None:
    fields = [field.encode_name for field in msgspec.structs.fields(getattr(messages, vector["message"]))]
    assert ["type", *fields][: len(vector["fields"])] == list(dict(vector["fields"]))


def test_there_is_a_golden_frame_of_every_message_and_sender() -> None:
    written = {(vector["from"], vector["message"]) for vector in vectors()}
    declared = {("controller", kind.__name__) for kind in FromController.__args__}
    assert written == declared | {("agent", kind.__name__) for kind in FromAgent.__args__}


def test_incident_58_an_unknown_field_is_ignored() -> None:
    frame = msgspec.msgpack.encode({"type": "pong", "sequence": 3, "mood": {"good": True}})
    assert decode_from_agent(frame) == Pong(3)


def test_a_field_that_an_older_peer_does_not_send_has_its_default() -> None:
    frame = msgspec.msgpack.encode(
        {"type": "hello", "agent_id": "a", "signature": b"s", "protocol": 1, "version": "0"}
    )
    assert decode_from_agent(frame) == Hello("a", b"s", 1, "0")


def test_an_unknown_kind_is_answered_with_a_complaint_that_names_it() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_from_agent(msgspec.msgpack.encode({"type": "teleport", "correlation_id": "x-1"}))
    assert caught.value.complaint.about == "teleport"
    assert "teleport" in caught.value.complaint.reason
    assert caught.value.correlation_id == "x-1"


def test_a_message_of_the_other_side_is_an_unknown_kind() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_from_agent(encode_message(Execute("c", "x", 1, "ping", {}, 30.0, 1)))
    assert caught.value.complaint.about == "execute"
    assert caught.value.correlation_id == "x"


@pytest.mark.parametrize(
    ("frame", "about", "reason"),
    [
        (b"", "frame", "not MessagePack"),
        (b"\xc1", "frame", "not MessagePack"),
        (b'{"type": "ping"}', "frame", "not MessagePack"),
        (b"\x93\x01\x02\x03", "frame", "not a message"),
        (b"\xc0", "frame", "not a message"),
        (msgspec.msgpack.encode({"sequence": 1}), "frame", "missing required field `type`"),
        (msgspec.msgpack.encode({"type": 7}), "frame", "Expected `str`"),
        (msgspec.msgpack.encode({"type": "pong"}), "pong", "missing required field `sequence`"),
        (msgspec.msgpack.encode({"type": "pong", "sequence": "1"}), "pong", "Expected `int`, got `str`"),
    ],
)
def test_a_bad_frame_is_told_what_is_wrong_with_it(frame: bytes, about: str, reason: str) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_from_agent(frame)
    assert caught.value.complaint.about == about
    assert reason in caught.value.complaint.reason


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_incident_17_an_oversized_frame_is_refused_before_it_is_parsed(decode: Decode) -> None:
    with pytest.raises(BadFrame) as caught:
        decode(b"\xc1" * (FRAME_LIMIT_BYTES + 1))
    assert caught.value.complaint.reason == (
        f"the frame has {FRAME_LIMIT_BYTES + 1} bytes, the limit is {FRAME_LIMIT_BYTES}"
    )


def test_a_frame_at_the_limit_is_read() -> None:
    overhead = len(encode_message(Completed("c", "x", 1, response=b"")))
    frame = encode_message(Completed("c", "x", 1, response=b"r" * (FRAME_LIMIT_BYTES - overhead - 3)))
    assert len(frame) == FRAME_LIMIT_BYTES
    assert isinstance(decode_from_agent(frame), Completed)


def test_a_frame_nested_without_end_is_a_bad_frame() -> None:
    deep = b"\x83\xa4type\xa9completed\xa8response" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(BadFrame):
        decode_from_agent(deep)


def test_what_a_complaint_repeats_of_a_frame_is_bounded() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_from_agent(msgspec.msgpack.encode({"type": "x" * 10_000}))
    assert len(caught.value.complaint.about) <= 64
    assert len(caught.value.complaint.reason) <= 200


def readable(decode: Decode, frame: bytes) -> bool:
    try:
        decode(frame)
    except BadFrame:
        return False
    return True


def complaint(decode: Decode, frame: bytes) -> Complaint:
    with pytest.raises(BadFrame) as caught:
        decode(frame)
    return caught.value.complaint


@pytest.mark.parametrize(
    "frame",
    [
        "81a474797065a2ff80",
        "82a474797065a4706f6e67a873657175656e6365c7ffff",
        "818001",
        "ddffffffff",
        "dfffffffff",
        "c6ffffffff",
        "81a474797065d6ff00000000",
    ],
)
def test_a_frame_that_lies_about_its_content_is_a_bad_frame(frame: str) -> None:
    for decode in DECODERS.values():
        assert complaint(decode, bytes.fromhex(frame)).reason


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_bad_frame(frame: bytes) -> None:
    for decode in DECODERS.values():
        assert readable(decode, frame) or complaint(decode, frame).reason


@given(st.sampled_from(vectors()), st.data())
def test_a_golden_frame_with_bytes_changed_is_a_message_or_a_bad_frame(
    vector: dict[str, str], data: st.DataObject
) -> None:
    frame = bytearray.fromhex(vector["frame"])
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    frame = frame[: data.draw(st.integers(0, len(frame)))]
    decode = DECODERS[vector["from"]]
    assert readable(decode, bytes(frame)) or encode_message(complaint(decode, bytes(frame)))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.none() | st.text(), plain)
def test_a_result_arrives_as_it_was_sent(command_id: str, error: str | None, response: object) -> None:
    sent = Completed(command_id, "x", 1, error=error, response=response)
    assert decode_from_agent(encode_message(sent)) == sent


def test_both_sides_may_complain_and_ping_is_the_controllers() -> None:
    complaint = Complaint("frame", "why")
    assert decode_from_agent(encode_message(complaint)) == complaint
    assert decode_from_controller(encode_message(complaint)) == complaint
    assert decode_from_controller(encode_message(Ping(1))) == Ping(1)
    with pytest.raises(BadFrame):
        decode_from_agent(encode_message(Ping(1)))
