"""Archives that come from a host: unpacked here, or kept in a file."""

from __future__ import annotations

import asyncio
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.gauge import Gauge, in_megabytes
from seawall.cli.output import say, tell

if TYPE_CHECKING:
    from seawall.client.streams import Stream

_IN_MEMORY_BYTES = 8 * 1024 * 1024


STDOUT = Path("-")
"""Stands for no file, but for whoever reads what is printed."""


async def keep(stream: Stream, target: Path) -> None:
    """Take a stream to its end, into a file that is there when all of it is, or to stdout. Raises CliProblem."""
    if target == STDOUT:
        async for data in stream:
            await asyncio.to_thread(_print, data)
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as file, Gauge("saving") as gauge:
            async for data in stream:
                file.write(data)
                gauge.show(file.tell())
            size = file.tell()
        unfinished.replace(target)
    except OSError as error:
        raise CliProblem(f"{target} can't be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    tell(f"{in_megabytes(size)} are in {target}")


def check_output(target: Path | None) -> Path:
    """Where an archive goes; no terminal is good for one. Raises UsageProblem."""
    if target is not None and target != STDOUT:
        if target.is_dir():
            raise UsageProblem(f"{target} is a directory: name a file in it")
        return target
    if sys.stdout.isatty():
        raise UsageProblem("an archive is nothing for a terminal: name a file with --output, or pipe it on")
    return STDOUT


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def unpack(stream: Stream, target: Path) -> None:
    """Take a tar archive to its end, then unpack it below `target`. Raises CliProblem.

    Nothing is written before the archive is whole. What would lie outside of `target`, and what is no file, directory
    or link, is refused: a container's content isn't trusted.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
        async for data in stream:
            spool.write(data)
        count = await asyncio.to_thread(unpack_file, spool, target)
    say(f"{count} files and directories are in {target}")


def unpack_file(spool: IO[bytes], target: Path) -> int:
    """See `unpack`; how many members there were."""
    if not target.is_dir():
        raise CliProblem(f"{target} is no directory here: make it, or name another one")
    spool.seek(0)
    try:
        with tarfile.open(fileobj=spool, mode="r:") as archive:
            members = archive.getmembers()
            # All are looked at before the first is written.
            for member in members:
                tarfile.data_filter(member, str(target))
            archive.extractall(target, members=members, filter="data")
    except tarfile.FilterError as error:
        raise CliProblem(f"the archive is refused, and nothing of it was unpacked: {error}") from error
    except (tarfile.TarError, OSError) as error:
        raise CliProblem(f"the archive can't be unpacked in {target}: {error}") from error
    return len(members)
