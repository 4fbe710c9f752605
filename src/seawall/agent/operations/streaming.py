"""The operations that can be followed as a stream, and what each of them sends."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

from seawall.agent.docker import Docker
from seawall.agent.local_policy import LocalPolicy
from seawall.agent.operations.image_records import id_of
from seawall.agent.operations.runner import Arguments, argument, section
from seawall.agent.outputs import Outputs
from seawall.agent.spool import Spool

BEGIN_SECONDS = 30.0
"""How long the Docker Engine may take until a stream begins."""

_GATHERING_SECONDS = 600.0
"""How long Docker may take to gather the layers of images before it sends any of them."""

_header = struct.Struct(">BxxxL").pack
_STDOUT = 1
_LONGEST_RECORD_BYTES = 1024 * 1024


class StreamWork(Protocol):
    """What a streamer is given: checked arguments, and where its bytes go."""

    @property
    def docker(self) -> Docker:
        """The host's Engine."""

    @property
    def arguments(self) -> Arguments:
        """As declared."""

    @property
    def policy(self) -> LocalPolicy:
        """What the host's owner permits."""

    @property
    def outputs(self) -> Outputs:
        """What commands print."""

    @property
    def spool(self) -> Spool | None:
        """What was uploaded to this host, where that is possible."""

    async def write(self, data: bytes) -> None:
        """Add bytes to the stream; waits while the reader is a window behind."""

    def offer(self, record: bytes) -> bool:
        """Add a line that ends with a newline; False if the reader is a window behind, and it is counted as dropped.

        How many were dropped is said before whatever is added next.
        """

    async def caught_up(self) -> None:
        """Wait until the reader is half a window behind at most."""

    async def pause(self, seconds: float) -> None:
        """Do nothing for so long."""

    async def read(self) -> bytes:
        """The next bytes of the reader's input."""

    def begin_input(self, offset: int) -> None:
        """Of an upload: what comes before this offset is here already, ask for the rest."""


Streamer = Callable[[StreamWork], Awaitable[object]]
"""Sends a stream to its end, and returns what it came to, made of what JSON knows. Raises `DockerFailure`."""


async def container_logs(work: StreamWork) -> object:
    """The log in Docker's frames, stdout and stderr apart; a terminal's output is framed here, as stdout."""
    arguments, docker = work.arguments, work.docker
    container = argument(arguments, "container", str)
    found = await docker.container_inspect(container, timeout_seconds=BEGIN_SECONDS)
    terminal = bool(section(found, "Config").get("Tty"))
    async with docker.container_log(
        # By id: what has this name may be another one by now.
        str(found.get("Id") or container),
        follow=argument(arguments, "follow", bool),
        tail=None if argument(arguments, "whole", bool) else argument(arguments, "tail", int),
        timestamps=argument(arguments, "timestamps", bool),
        since=_optional(arguments, "since"),
        until=_optional(arguments, "until"),
        timeout_seconds=BEGIN_SECONDS,
    ) as pieces:
        async for piece in pieces:
            await work.write(framed(piece) if terminal else piece)
    return None


async def container_stats(work: StreamWork) -> object:
    """Docker's own record of what a container uses, a line a second."""
    container = argument(work.arguments, "container", str)
    async with work.docker.container_figures(container, timeout_seconds=BEGIN_SECONDS) as pieces:
        lines = Lines()
        async for piece in pieces:
            for line in lines.feed(piece):
                work.offer(line)
    return None


async def container_copy_out(work: StreamWork) -> object:
    """A file or directory of a container as a tar archive; the response has the archive's size."""
    container, path = argument(work.arguments, "container", str), argument(work.arguments, "path", str)
    size = 0
    async with work.docker.container_archive(container, path=path, timeout_seconds=BEGIN_SECONDS) as pieces:
        async for piece in pieces:
            size += len(piece)
            await work.write(piece)
    return {"bytes": size}


async def image_save(work: StreamWork) -> object:
    """Images as a tar archive; the response has the images' ids and the archive's size."""
    images, docker = argument(work.arguments, "images", list[str]), work.docker
    # Docker begins an archive before it knows whether it has all that belongs into it.
    found = [await docker.image_inspect(image, timeout_seconds=BEGIN_SECONDS) for image in images]
    size = 0
    async with docker.image_archive(images, timeout_seconds=_GATHERING_SECONDS) as pieces:
        async for piece in pieces:
            size += len(piece)
            await work.write(piece)
    return {"ids": [id_of(record) for record in found], "bytes": size}


def framed(data: bytes) -> bytes:
    """A terminal's output as Docker frames the output of everything else."""
    return _header(_STDOUT, len(data)) + data


class Lines:
    """Cuts what comes in pieces into lines, each with its end. A line of more than 1 MiB is cut."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that this piece completes."""
        *whole, self._begun = (self._begun + piece).split(b"\n")
        if len(self._begun) > _LONGEST_RECORD_BYTES:
            whole.append(self._begun)
            self._begun = b""
        return [line + b"\n" for line in whole if line.strip()]


def _optional(arguments: Arguments, name: str) -> float | None:
    return argument(arguments, name, float) if name in arguments else None
