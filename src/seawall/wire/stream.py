"""The arithmetic of a stream: a sequence of bytes with offsets from 0, resumed anywhere, never more than a window long.

Both directions of a stream go by it. The sender keeps what the other end doesn't hold yet, so that it can be sent
again after any break; the receiver takes each byte once, however often it comes. Nothing here does any I/O.
"""

from __future__ import annotations

from collections import deque

WINDOW_BYTES = 1024 * 1024
"""The most that is kept of one direction of one stream, wherever it is kept."""

CHUNK_BYTES = 64 * 1024
"""The most that one message carries."""

CREDIT_BYTES = WINDOW_BYTES // 8
"""How much is taken before credit is given for it, unless there is nothing more to take."""

_MERGED_BYTES = 8 * 1024


class OffsetError(Exception):
    """The other end names an offset that it can't mean: the message says which, and what there is."""


class Outflow:
    """The sender's end: bytes that aren't credited yet.

    `start` is the first that is kept, `sent` the next to send, `end` where the next ones are added.
    """

    __slots__ = ("_chunks", "end", "limit", "sent", "start", "window")

    def __init__(self, window: int = WINDOW_BYTES, start: int = 0) -> None:
        self.window = window
        self.start = self.sent = self.end = start
        self.limit = start + window
        # (offset, bytes) in order and without gaps; `start` may lie within the first.
        self._chunks: deque[tuple[int, bytes]] = deque()

    @property
    def room(self) -> int:
        """How many bytes may be added now."""
        return self.window - (self.end - self.start)

    @property
    def ready(self) -> bool:
        """Whether there is something that may be sent now."""
        return self.sent < min(self.end, self.limit)

    def add(self, data: bytes) -> None:
        """Add bytes. Raises ValueError for more than there is room for."""
        if len(data) > self.room:
            raise ValueError(f"{len(data)} bytes don't fit, there is room for {self.room}")
        if not data:
            return
        chunks = self._chunks
        if chunks and len(chunks[-1][1]) + len(data) <= _MERGED_BYTES:
            # A window of single lines would be slow to search.
            begin, last = chunks.pop()
            chunks.append((begin, last + data))
        else:
            chunks.append((self.end, data))
        self.end += len(data)

    def credit(self, up_to: int) -> bool:
        """The other end holds everything up to here; whether that is news. Raises OffsetError."""
        if up_to > self.end:
            raise OffsetError(f"credit up to {up_to}, and only {self.end} bytes were ever there")
        if up_to <= self.start:
            return False
        self.start = up_to
        self.sent = max(self.sent, up_to)
        self.limit = up_to + self.window
        chunks = self._chunks
        while chunks and chunks[0][0] + len(chunks[0][1]) <= up_to:
            chunks.popleft()
        return True

    def rewind(self, offset: int) -> None:
        """Send again from here: the other end has come back with this. Raises OffsetError for what isn't kept."""
        if not self.start <= offset <= self.end:
            raise OffsetError(f"the stream can't go on from {offset}: it holds {self.start} to {self.end}")
        self.credit(offset)
        self.sent = offset

    def take(self, most: int = CHUNK_BYTES) -> tuple[int, bytes] | None:
        """The next bytes to send and their offset; None if nothing may be sent now."""
        offset, until = self.sent, min(self.end, self.limit, self.sent + most)
        if offset >= until:
            return None
        # What is next lies near the end as a rule: after a break it is looked for from the front once.
        chunks = self._chunks
        index = len(chunks) - 1
        while chunks[index][0] > offset:
            index -= 1
        pieces: list[bytes] = []
        at = offset
        while at < until:
            begin, data = chunks[index]
            piece = data[at - begin : until - begin]
            pieces.append(piece)
            at += len(piece)
            index += 1
        self.sent = until
        return offset, pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Inflow:
    """The receiver's end: how far it has come, and for how much it has given credit."""

    __slots__ = ("credited", "position")

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.credited = position

    def take(self, offset: int, data: bytes) -> bytes:
        """What is new of these bytes; none of it where there is a gap before them, which comes again after a rewind."""
        if offset == self.position:
            self.position += len(data)
            return data
        if not offset <= self.position < offset + len(data):
            return b""
        fresh = data[self.position - offset :]
        self.position += len(fresh)
        return fresh

    def credit(self, *, now: bool = False) -> int | None:
        """Up to where credit is to be given; None while it isn't worth a message. `now`: any is worth one."""
        owed = self.position - self.credited
        if owed <= 0 or (owed < CREDIT_BYTES and not now):
            return None
        self.credited = self.position
        return self.position
