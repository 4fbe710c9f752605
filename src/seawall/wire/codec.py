"""Messages as MessagePack, and what is said about frames that aren't."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from seawall.wire.messages import Complaint, FromAgent, FromController, Message

FRAME_LIMIT_BYTES = 4 * 1024 * 1024
"""No frame is larger. Checked before anything is parsed, at both ends."""

# Besides its own error, msgspec lets through what Python says of text that isn't UTF-8, of a map as a key of a map, and
# of nesting without end.
_UNREADABLE = (msgspec.DecodeError, ValueError, TypeError, RecursionError)

Received = TypeVar("Received", bound=Message)

encode_message = msgspec.msgpack.Encoder().encode
_from_controller: msgspec.msgpack.Decoder[FromController] = msgspec.msgpack.Decoder(FromController)
_from_agent: msgspec.msgpack.Decoder[FromAgent] = msgspec.msgpack.Decoder(FromAgent)


class BadFrame(Exception):
    """A frame that isn't a message. `complaint` goes back to its sender; `correlation_id` is its attempt, if known."""

    def __init__(self, complaint: Complaint, correlation_id: str | None = None) -> None:
        super().__init__(f"{complaint.about}: {complaint.reason}")
        self.complaint = complaint
        self.correlation_id = correlation_id


def decode_from_agent(frame: bytes) -> FromAgent:
    """An agent's message; raises BadFrame."""
    return _decode(_from_agent, frame)


def decode_from_controller(frame: bytes) -> FromController:
    """A controller's message; raises BadFrame."""
    return _decode(_from_controller, frame)


def _decode(decoder: msgspec.msgpack.Decoder[Received], frame: bytes) -> Received:
    if len(frame) > FRAME_LIMIT_BYTES:
        reason = f"the frame has {len(frame)} bytes, the limit is {FRAME_LIMIT_BYTES}"
        raise BadFrame(Complaint("frame", reason))
    try:
        return decoder.decode(frame)
    except _UNREADABLE as error:
        raise _bad_frame(frame, error) from None


def _bad_frame(frame: bytes, error: Exception) -> BadFrame:
    try:
        content = msgspec.msgpack.decode(frame)
    except _UNREADABLE:
        return BadFrame(Complaint("frame", "not MessagePack"))
    if not isinstance(content, dict):
        return BadFrame(Complaint("frame", "not a message"))
    kind, correlation_id = content.get("type"), content.get("correlation_id")
    about = kind[:64] if isinstance(kind, str) else "frame"
    return BadFrame(
        Complaint(about, str(error)[:200]), correlation_id if isinstance(correlation_id, str) else None
    )
