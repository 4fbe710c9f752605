"""Docker's frames: how the output of a container has stdout and stderr apart in one sequence of bytes."""

from __future__ import annotations

_HEADER_BYTES = 8
_STDERR = 2
_LONGEST_BYTES = 64 * 1024 * 1024


class Output:
    """What pieces of a stream have of each of the two outputs."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[bool, bytes]]:
        """The output in order, as (whether it is stderr, bytes); neighbours of one kind are joined.

        Raises ValueError for what isn't made of frames.
        """
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        runs: list[tuple[bool, bytes]] = []
        pieces: list[bytes] = []
        kind = 1
        read_length = int.from_bytes
        while size - at >= _HEADER_BYTES:
            begin = at + _HEADER_BYTES
            end = begin + read_length(data[at + 4 : begin], "big")
            if data[at] > _STDERR or end - begin > _LONGEST_BYTES:
                raise ValueError("the output isn't made of frames as Docker makes them")
            if end > size:
                break
            if data[at] != kind:
                if pieces:
                    runs.append((kind == _STDERR, b"".join(pieces)))
                    pieces = []
                kind = data[at]
            pieces.append(data[begin:end])
            at = end
        if pieces:
            runs.append((kind == _STDERR, b"".join(pieces)))
        self._rest = data[at:]
        return runs
