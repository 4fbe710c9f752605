"""The logs of a Compose project: those of its containers, put together by time."""

from __future__ import annotations

from collections import deque

import msgspec
from msgspec import Struct

from seawall.agent.docker import LOG_LIMIT_BYTES
from seawall.agent.operations.compose_plan import names_of
from seawall.agent.operations.compose_state import members_of
from seawall.agent.operations.logs import lines_of
from seawall.agent.operations.runner import Execution, argument, limited, section


class ProjectLine(Struct, omit_defaults=True):
    """One line of one container, without its end; `time` only if it was asked for."""

    service: str
    container: str
    stream: str
    text: str
    time: str | None = None


async def compose_logs(execution: Execution) -> object:
    """See `operations.compose.COMPOSE_LOGS`."""
    docker, arguments = execution.docker, execution.arguments
    tail, timestamps = argument(arguments, "tail", int), argument(arguments, "timestamps", bool)
    project = argument(arguments, "project", str)
    members = await members_of(docker, project, execution.timeout_seconds, names_of(arguments, "services"))
    found: list[ProjectLine] = []
    truncated = False
    for member in members:
        record = await docker.container_inspect(member.id, timeout_seconds=execution.timeout_seconds)
        terminal = section(record, "Config").get("Tty") is True
        log = await docker.container_logs(
            member.id,
            tail=tail,
            timestamps=True,
            terminal=terminal,
            timeout_seconds=execution.timeout_seconds,
        )
        lines, older = lines_of(log, tail=tail, timestamps=True, terminal=terminal)
        found += [
            ProjectLine(member.service, member.name, line.stream, line.text, line.time) for line in lines
        ]
        truncated |= older
        # What is kept of all of them is what one may have, so that a hundred containers take no more room.
        found, cut = _newest(found)
        truncated |= cut
    if not timestamps:
        for line in found:
            line.time = None
    return limited(
        {"lines": msgspec.to_builtins(found), "truncated": truncated},
        "ask for fewer lines with a smaller tail",
    )


def _newest(lines: list[ProjectLine]) -> tuple[list[ProjectLine], bool]:
    """The newest lines that fit LOG_LIMIT_BYTES, in the order of time, and whether older ones had to go."""
    kept: deque[ProjectLine] = deque()
    size = 0
    ordered = sorted(lines, key=lambda line: line.time or "")
    for line in reversed(ordered):
        size += len(line.text.encode()) + len(line.container) + len(line.service)
        if size > LOG_LIMIT_BYTES:
            break
        kept.appendleft(line)
    return list(kept), len(kept) < len(lines)
