"""Faults in the system calls of a process that runs already, by strace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.strace import strace

_ATTACHED_SECONDS = 10.0


@asynccontextmanager
async def struck(
    process_id: int, calls: Sequence[str], fault: str, when: int, paths: Sequence[Path] = ()
) -> AsyncIterator[None]:
    """Until this is left, or the process ends, the `when`th of these calls in any of its threads meets a fault.

    `fault` is strace's word: `signal=KILL` kills the process before the call, `error=EIO` lets it fail. With `paths`
    only calls about these files count.
    """
    named = ",".join(calls)
    words = ["-f", "-p", str(process_id), "-e", f"trace={named}", "-e", f"inject={named}:{fault}:when={when}"]
    for path in paths:
        words += ["-P", str(path)]
    tracer = await asyncio.create_subprocess_exec(
        strace(), *words, "-o", "/dev/null", stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    assert tracer.stderr is not None
    try:
        async with asyncio.timeout(_ATTACHED_SECONDS):
            said = b""
            while b"attached" not in said:
                more = await tracer.stderr.readline()
                assert more, f"strace didn't attach: {said.decode()}"
                said += more
        yield
    finally:
        if tracer.returncode is None:
            tracer.terminate()
        # It may still have something to say, and would wait for a reader.
        await tracer.communicate()
