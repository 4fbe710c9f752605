"""From the pieces of a log to its lines."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from seawall.agent.docker import LOG_LIMIT_BYTES, LogChunk, LogTail


class LogLine(Struct, omit_defaults=True):
    """One line, without its end; `time` only if it was asked for."""

    stream: str
    text: str
    time: str | None = None


def lines_of(log: LogTail, *, tail: int, timestamps: bool, terminal: bool) -> tuple[list[LogLine], bool]:
    """The last `tail` lines that fit LOG_LIMIT_BYTES, oldest first, and whether older ones had to go."""
    pieces = list(_split(log.chunks, timestamps and not terminal))
    if terminal and log.truncated and len(pieces) > 1:
        del pieces[0]  # its beginning is lost
    lines = [_line(stream, data, timestamps) for stream, data in pieces[-tail:]]
    kept, size = len(lines), 0
    for index in range(len(lines) - 1, -1, -1):
        size += len(lines[index].text.encode())
        if size > LOG_LIMIT_BYTES:
            kept = len(lines) - 1 - index
            break
    return lines[len(lines) - kept :], log.truncated or kept < len(lines)


def _split(chunks: list[LogChunk], timed_chunks: bool) -> Iterator[tuple[str, bytes]]:
    """The lines of both streams in the order of their ends."""
    begun: dict[str, bytearray] = {}
    for chunk in chunks:
        data = chunk.data
        rest = begun.setdefault(chunk.stream, bytearray())
        if timed_chunks and rest:
            # Docker cuts long lines in pieces, and puts the time before each of them.
            data = data.partition(b" ")[2]
        *whole, left = data.split(b"\n")
        for line in whole:
            yield chunk.stream, bytes(rest) + line
            rest.clear()
        rest += left
    for stream, rest in begun.items():
        if rest:
            yield stream, bytes(rest)


def _line(stream: str, data: bytes, timed: bool) -> LogLine:
    time, text = None, data
    if timed:
        head, _, text = data.partition(b" ")
        time = head.decode("utf-8", "replace")
    return LogLine(stream, text.removesuffix(b"\r").decode("utf-8", "replace"), time)
