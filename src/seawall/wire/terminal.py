"""What a reader sends to a process: keys, the size of its terminal, and the end of its input, as frames of a stream.

A frame is a kind (one byte), three bytes that are 0, the length of what follows (four bytes, big endian), and that.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

_FRAME = Struct(">BxxxL")
_SIZE = Struct(">HH")
LONGEST_FRAME_BYTES = 64 * 1024


class InputKind(IntEnum):
    """What a frame is."""

    KEYS = 0
    SIZE = 1
    END = 2


class BadInput(ValueError):
    """Input that isn't made of these frames, or says what can't be."""


def keys(data: bytes) -> bytes:
    """Bytes for the process, at most LONGEST_FRAME_BYTES."""
    return _FRAME.pack(InputKind.KEYS, len(data)) + data


def size(columns: int, rows: int) -> bytes:
    """The terminal has this size now."""
    return _FRAME.pack(InputKind.SIZE, _SIZE.size) + _SIZE.pack(columns, rows)


def end() -> bytes:
    """There is no more input."""
    return _FRAME.pack(InputKind.END, 0)


class InputFrames:
    """Takes frames out of what comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[InputKind, bytes]]:
        """The frames that this piece completes. Raises BadInput."""
        data = self._rest + data
        found, at = [], 0
        while len(data) - at >= _FRAME.size:
            number, length = _FRAME.unpack_from(data, at)
            if number not in _KINDS or length > LONGEST_FRAME_BYTES:
                raise BadInput("the input isn't made of frames")
            if len(data) - at - _FRAME.size < length:
                break
            at += _FRAME.size + length
            found.append((InputKind(number), data[at - length : at]))
        self._rest = data[at:]
        return found


def terminal_size(payload: bytes) -> tuple[int, int]:
    """Columns and rows. Raises BadInput for a terminal that has none."""
    if len(payload) != _SIZE.size:
        raise BadInput("the terminal's size isn't two numbers")
    columns, rows = _SIZE.unpack(payload)
    if not columns or not rows:
        raise BadInput(f"a terminal of {columns} x {rows} is none: both have to be at least 1")
    return columns, rows


_KINDS = frozenset(InputKind)
