"""`seawall container copy-out`: files of a container, unpacked here."""

from __future__ import annotations

import asyncio
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from seawall.cli.exits import CliProblem
from seawall.cli.output import say

if TYPE_CHECKING:
    from seawall.client.streams import Stream

_IN_MEMORY_BYTES = 8 * 1024 * 1024


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
