"""A process in a container that somebody talks to, through a stream."""

from __future__ import annotations

import asyncio
import logging

from seawall.agent.docker import DockerFailure
from seawall.agent.docker.attachments import Attached
from seawall.agent.local_policy import judge_process
from seawall.agent.operations.executions import process_body
from seawall.agent.operations.runner import argument, permit
from seawall.agent.operations.streaming import BEGIN_SECONDS, StreamWork, framed
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.terminal import BadInput, InputFrames, InputKind, terminal_size

_LAST_WORDS_SECONDS = 10.0

_logger = logging.getLogger("seawall.agent.streams")


async def container_exec(work: StreamWork) -> object:
    """Run a process with its input and output in the stream; the response has its exit code.

    It is begun once, whatever becomes of the stream, and isn't ended by the stream's end: its input ends then.
    """
    docker, given = work.docker, work.arguments
    tty, interactive = argument(given, "tty", bool), argument(given, "interactive", bool)
    body = {**process_body(given), "AttachStdin": interactive, "Tty": tty}
    permit(judge_process(work.policy, body))
    found = await docker.container_inspect(argument(given, "container", str), timeout_seconds=BEGIN_SECONDS)
    exec_id = await docker.exec_create(str(found["Id"]), spec=body, timeout_seconds=BEGIN_SECONDS)
    async with docker.exec_attach(exec_id, tty=tty, timeout_seconds=BEGIN_SECONDS) as attached:
        feeding = asyncio.create_task(_feed(work, attached, exec_id), name=f"input of {exec_id[:12]}")
        try:
            while data := await attached.read():
                await work.write(framed(data) if tty else data)
        except OSError as error:
            text = f"the connection to the process broke ({type(error).__name__}); it may run on"
            raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED, text) from error
        finally:
            feeding.cancel()
            await asyncio.wait((feeding,))
    if not feeding.cancelled() and (problem := feeding.exception()) is not None:
        raise problem
    record = await docker.exec_inspect(exec_id, timeout_seconds=_LAST_WORDS_SECONDS)
    return {"id": found["Id"], "exec_id": exec_id, "exit_code": record.get("ExitCode")}


async def _feed(work: StreamWork, attached: Attached, exec_id: str) -> None:
    frames = InputFrames()
    try:
        while True:
            for kind, payload in frames.feed(await work.read()):
                match kind:
                    case InputKind.KEYS:
                        await attached.write(payload)
                    case InputKind.SIZE:
                        columns, rows = terminal_size(payload)
                        await _resize(work, exec_id, columns, rows)
                    case InputKind.END:
                        attached.end_input()
    except BadInput as error:
        attached.close()
        raise DockerFailure(CommandErrorCode.INVALID_ARGUMENT, Circumstance.NONE, str(error)) from error
    except OSError as error:
        _logger.debug("a process takes no more input: %s", error)


async def _resize(work: StreamWork, exec_id: str, columns: int, rows: int) -> None:
    try:
        await work.docker.exec_resize(exec_id, columns=columns, rows=rows, timeout_seconds=BEGIN_SECONDS)
    except DockerFailure as failure:
        # A process that has just ended has no terminal to resize; its output is still to be read.
        _logger.debug("a terminal keeps its size: %s", failure)
