"""Archives on their way to this host, and as the commands that name them find them here."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from seawall.agent.local_policy import judge_operation
from seawall.agent.operations.runner import Execution, argument, permit
from seawall.agent.operations.streaming import StreamWork
from seawall.agent.spool import Spool, refused
from seawall.archives import ArchiveRefused, check_archive
from seawall.core.errors import CommandErrorCode
from seawall.operations.registry import OPERATIONS


async def system_upload(work: StreamWork) -> object:
    """See `operations.uploads.SYSTEM_UPLOAD`: what is asked for first is what isn't there yet."""
    permit(judge_operation(work.policy, OPERATIONS[argument(work.arguments, "purpose", str)]))
    spool = _there(work.spool)
    digest, size = argument(work.arguments, "archive", str), argument(work.arguments, "size", int)
    upload = await spool.begin(digest, size)
    if upload is None:
        return {"archive": digest, "size": size, "received": 0}
    first = upload.position
    try:
        work.begin_input(first)
        while upload.position < size:
            await upload.write(await work.read())
        await upload.finish()
    finally:
        await spool.end(upload)
    spool.expect(digest)
    return {"archive": digest, "size": size, "received": size - first}


async def archive_of(execution: Execution, capture: Collection[str] = ()) -> tuple[Path, dict[str, bytes]]:
    """The archive that a command names, looked at before Docker has it; see `check_archive`. Raises DockerFailure."""
    digest = argument(execution.arguments, "archive", str)
    size = argument(execution.arguments, "size", int)
    path = _there(execution.spool).use(digest, size, execution.command_id)
    try:
        return path, await asyncio.to_thread(check_archive, path, capture)
    except ArchiveRefused as error:
        text = f"the archive is refused, and nothing was done: {error}"
        raise refused(CommandErrorCode.INVALID_ARGUMENT, text) from error
    except OSError as error:
        text = f"the archive can't be read on this host ({error.strerror or error}): nothing was done"
        raise refused(CommandErrorCode.AGENT_ERROR, text) from error


def _there(spool: Spool | None) -> Spool:
    if spool is None:
        text = "this agent has no place for uploads: nothing was done"
        raise refused(CommandErrorCode.UNSUPPORTED_OPERATION, text)
    return spool
