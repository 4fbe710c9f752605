"""WebSocket frames (RFC 6455) as a proxy needs them: taken apart, looked at, put together again, also wrongly."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum

_FINAL, _MASKED = 0x80, 0x80
_OPCODE, _LENGTH = 0x0F, 0x7F
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_MASK_BYTES = 4


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    @property
    def control(self) -> bool:
        """Whether it may come between the fragments of a message."""
        return self >= Opcode.CLOSE


@dataclass(frozen=True)
class Frame:
    """One frame, its payload without the mask. A message is a frame that isn't a continuation, up to a final one."""

    opcode: Opcode
    payload: bytes
    final: bool = True

    def encode(self, *, masked: bool) -> bytes:
        """As it goes over the wire; what a client sends is masked, what a server sends is not."""
        head = bytearray([self.opcode | (_FINAL if self.final else 0)])
        mark, size = _MASKED if masked else 0, len(self.payload)
        if size < _TWO_BYTES:
            head.append(mark | size)
        elif size < 1 << 16:
            head.append(mark | _TWO_BYTES)
            head += size.to_bytes(2, "big")
        else:
            head.append(mark | _EIGHT_BYTES)
            head += size.to_bytes(8, "big")
        if not masked:
            return bytes(head) + self.payload
        mask = os.urandom(_MASK_BYTES)
        return bytes(head) + mask + _unmasked(self.payload, mask)


class FrameReader:
    """Takes bytes as they come, and gives the frames that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises ValueError for an opcode that there isn't."""
        self._buffer += data
        frames: list[Frame] = []
        while (found := self._first()) is not None:
            frame, size = found
            del self._buffer[:size]
            frames.append(frame)
        return frames

    def _first(self) -> tuple[Frame, int] | None:
        """The frame at the beginning of the buffer and its size on the wire; None while it isn't complete."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & _LENGTH, 2
        extended = {_TWO_BYTES: 2, _EIGHT_BYTES: 8}.get(size, 0)
        if extended:
            size = int.from_bytes(buffer[start : start + extended], "big")
            start += extended
        mask = b""
        if buffer[1] & _MASKED:
            mask = bytes(buffer[start : start + _MASK_BYTES])
            start += _MASK_BYTES
        if len(buffer) < start + size:
            return None
        payload = bytes(buffer[start : start + size])
        opcode = Opcode(buffer[0] & _OPCODE)
        frame = Frame(opcode, _unmasked(payload, mask) if mask else payload, bool(buffer[0] & _FINAL))
        return frame, start + size


class MessageReader:
    """Puts the fragments of messages together; control frames pass between them as they are."""

    def __init__(self) -> None:
        self._frames = FrameReader()
        self._fragments: list[Frame] = []

    def feed(self, data: bytes) -> list[Frame]:
        """The messages, as one final frame each, and the control frames that these bytes complete."""
        whole: list[Frame] = []
        for frame in self._frames.feed(data):
            if frame.opcode.control:
                whole.append(frame)
                continue
            self._fragments.append(frame)
            if frame.final:
                payload = b"".join(fragment.payload for fragment in self._fragments)
                whole.append(Frame(self._fragments[0].opcode, payload))
                self._fragments = []
        return whole


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """The payload with the mask put on, or taken off: it is the same."""
    size = len(payload)
    repeated = (mask * (size // _MASK_BYTES + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
