"""An archive on its way to a host: what the host has is never sent again, whatever broke meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from seawall.client.context import Connection
from seawall.client.errors import StreamFailed
from seawall.client.models import Command
from seawall.client.parcels import Parcel
from seawall.client.streams import Stream
from seawall.clock import Clock
from seawall.core.errors import CommandErrorCode
from seawall.operations.uploads import SYSTEM_UPLOAD
from seawall.wire.stream import CHUNK_BYTES, WINDOW_BYTES

Progress = Callable[[int], object]
"""Is told how many bytes of an archive the host has."""

AGAIN = ":again"
"""What the idempotency key of the second command ends with, where the first one met no archive any more."""


def misses_upload(command: Command) -> bool:
    """Whether the host had lost the archive before the command began: it may be sent again."""
    return command.error_code == CommandErrorCode.UPLOAD_MISSING.value


class Upload(Stream):
    """The stream of an upload. The host says from where on it wants the file, first of all and after every break."""

    def __init__(
        self,
        connection: Connection,
        on: str,
        purpose: str,
        parcel: Parcel,
        progress: Progress | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        arguments = {"purpose": purpose, **parcel.arguments}
        super().__init__(connection, SYSTEM_UPLOAD.name, on, arguments, clock=clock)
        self._path = parcel.path
        self._file: BinaryIO | None = None
        self._size = parcel.size
        self._progress = progress
        self._position = 0
        self._limit = 0

    async def run(self) -> None:
        """Send it, until the host says that it has all of it. Raises what iterating over a stream raises."""
        with self._path.open("rb") as self._file:
            async with self:
                async for _ in self:
                    pass

    def _credited(self, up_to: int, *, again: bool) -> None:
        if again:
            self._position = up_to
        self._limit = min(up_to + WINDOW_BYTES, self._size)
        if self._progress is not None:
            self._progress(up_to)

    def _next_input(self) -> tuple[int, bytes] | None:
        offset, most = self._position, min(self._limit - self._position, CHUNK_BYTES)
        if most <= 0 or self._file is None:
            return None
        self._file.seek(offset)
        data = self._file.read(most)
        if not data:
            raise StreamFailed(
                "invalid_request", "the file has become shorter while it was sent: begin again"
            )
        self._position += len(data)
        return offset, data
