"""Server-sent events: bytes in, events out. No I/O here, so that every split of the bytes can be tested."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct, field

EVENT_LIMIT_BYTES = 16 * 1024 * 1024


class Event(Struct):
    """Something that happened: `kind` as in attempt_started, retry, finished; `content` the rest."""

    kind: str
    content: dict[str, object] = field(default_factory=dict)


class BadStream(Exception):
    """What arrives is no stream of our events."""


class EventParser:
    """Collects the bytes of a stream and gives out the events that are complete.

    Lines are split at the three ends that the format has and nowhere else: a text may hold other line separators.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._after_return = False
        self._kind = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises BadStream for one that is too long or not JSON."""
        if not chunk:
            return
        if self._after_return:
            self._after_return = False
            chunk = chunk.removeprefix(b"\n")
        self._after_return = chunk.endswith(b"\r")
        self._size += len(chunk)
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event
        if self._size > EVENT_LIMIT_BYTES:
            raise BadStream(f"an event is longer than {EVENT_LIMIT_BYTES} bytes")

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"data":
            self._data.append(value)
        return None

    def _end(self) -> Event | None:
        kind, data = self._kind, b"\n".join(self._data)
        self._kind, self._data, self._size = "", [], len(self._rest)
        if not data:
            return None
        try:
            content = msgspec.json.decode(data, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadStream(f"an event can't be read ({error})") from error
        return Event(kind or "message", content)
