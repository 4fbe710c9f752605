"""Containers: look at them, start and stop them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.logs import lines_of
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Resolver,
    Runner,
    Target,
    argument,
    if_there,
    limited,
    section,
    target_of,
)
from seawall.agent.operations.snapshot import grace_seconds_of, identity_of, snapshot_of
from seawall.operations.container_spec import limits_of
from seawall.operations.secrets import HIDDEN

READ_BACK_SECONDS = 3.0
"""How long an Engine that has just done what it should may take to say how things stand."""


async def resolve(docker: Docker, name: str, timeout_seconds: float) -> Target:
    """The container that this name, id or beginning of an id means now, as it is now."""
    record = await docker.container_inspect(name, timeout_seconds=timeout_seconds)
    return Target(*identity_of(record, name), record)


async def container_list(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_LIST`."""
    stopped = argument(execution.arguments, "all", bool)
    given = {"name": "name", "label": "label", "status": "status", "image": "ancestor"}
    filters = {
        theirs: argument(execution.arguments, ours, list[str])
        for ours, theirs in given.items()
        if execution.arguments.get(ours)
    }
    records = await execution.docker.container_list(
        stopped=stopped, filters=filters, timeout_seconds=execution.timeout_seconds
    )
    return limited(
        [_summary(record) for record in records],
        "list only what runs with all=false, or remove containers that nobody needs",
    )


async def container_inspect(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_INSPECT`."""
    record = await execution.docker.container_inspect(
        argument(execution.arguments, "container", str), timeout_seconds=execution.timeout_seconds
    )
    if not execution.arguments.get("show_env"):
        record = without_environment(record)
    return limited(record, "container_list tells the container's state in less")


def without_environment(record: dict[str, object]) -> dict[str, object]:
    """Inspect's record, with the names of environment variables alone: the answer is kept, and viewers read it."""
    config = section(record, "Config")
    variables = config.get("Env")
    if not isinstance(variables, list):
        return record
    names = [f"{str(variable).partition('=')[0]}={HIDDEN}" for variable in variables]
    return {**record, "Config": {**config, "Env": names}}


async def container_logs(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_LOGS`."""
    name, tail = argument(execution.arguments, "container", str), argument(execution.arguments, "tail", int)
    timestamps = argument(execution.arguments, "timestamps", bool)
    record = await execution.docker.container_inspect(name, timeout_seconds=execution.timeout_seconds)
    terminal = section(record, "Config").get("Tty") is True
    log = await execution.docker.container_logs(
        identity_of(record, name)[0],
        tail=tail,
        timestamps=timestamps,
        terminal=terminal,
        timeout_seconds=execution.timeout_seconds,
    )
    lines, truncated = lines_of(log, tail=tail, timestamps=timestamps, terminal=terminal)
    response = {"lines": msgspec.to_builtins(lines), "truncated": truncated}
    return limited(response, "ask for fewer lines with a smaller tail")


async def container_start(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_START`."""
    target = target_of(execution)
    await execution.docker.container_start(target.object_id, timeout_seconds=execution.timeout_seconds)
    return await read_back(execution, target)


async def container_stop(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_STOP`."""
    target = target_of(execution)
    await execution.docker.container_stop(
        target.object_id,
        grace_seconds=grace_of(execution.arguments, target),
        timeout_seconds=execution.timeout_seconds,
    )
    return await read_back(execution, target)


async def container_restart(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_RESTART`."""
    target = target_of(execution)
    await execution.docker.container_restart(
        target.object_id,
        grace_seconds=grace_of(execution.arguments, target),
        timeout_seconds=execution.timeout_seconds,
    )
    return await read_back(execution, target)


async def container_kill(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_KILL`."""
    target = target_of(execution)
    await execution.docker.container_kill(
        target.object_id,
        signal=argument(execution.arguments, "signal", str),
        timeout_seconds=execution.timeout_seconds,
    )
    return await read_back(execution, target)


async def container_rename(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_RENAME`."""
    target, name = target_of(execution), argument(execution.arguments, "name", str)
    if name != target.name:  # Docker refuses to give a container the name that it has
        await execution.docker.container_rename(
            target.object_id, name=name, timeout_seconds=execution.timeout_seconds
        )
    return {**await read_back(execution, target), "name": name}


async def container_pause(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_PAUSE`."""
    target = target_of(execution)
    if not snapshot_of(target.record).paused:  # Docker refuses to do it twice
        await execution.docker.container_pause(target.object_id, timeout_seconds=execution.timeout_seconds)
    return await read_back(execution, target)


async def container_unpause(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_UNPAUSE`."""
    target = target_of(execution)
    if not snapshot_of(target.record).up:  # Docker refuses to do it twice
        await execution.docker.container_unpause(target.object_id, timeout_seconds=execution.timeout_seconds)
    return await read_back(execution, target)


async def container_set_limits(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_SET_LIMITS`."""
    target = target_of(execution)
    await execution.docker.container_configure(
        target.object_id,
        changes=limits_of(execution.arguments),
        timeout_seconds=execution.timeout_seconds,
    )
    return await read_back(execution, target)


async def container_remove(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_REMOVE`."""
    target = target_of(execution)
    # It was there a moment ago, and ids are never given twice: whoever removed it, it is gone.
    await if_there(
        execution.docker.container_remove(
            target.object_id,
            force=argument(execution.arguments, "force", bool),
            volumes=argument(execution.arguments, "volumes", bool),
            timeout_seconds=execution.timeout_seconds,
        )
    )
    return {"container": target.name, "id": target.object_id}


def grace_of(arguments: Arguments, target: Target) -> int:
    """What the container is given to stop: what the command says, else its own setting."""
    if arguments.get("grace_seconds") is None:
        return grace_seconds_of(target.record)
    return argument(arguments, "grace_seconds", int)


async def read_back(execution: Execution, target: Target) -> dict[str, object]:
    """The response to a change that is done: how the container stands, as far as Docker says it soon enough."""
    response: dict[str, object] = {"container": target.name, "id": target.object_id, "state": None}
    try:
        record = await execution.docker.container_inspect(
            target.object_id, timeout_seconds=min(execution.timeout_seconds, READ_BACK_SECONDS)
        )
    except DockerFailure:
        # The change is done, that is what was asked. The container may have removed itself at its end, or the Engine
        # has died since: how things stand isn't known.
        return response
    return {**response, "state": snapshot_of(record).state}


def _summary(record: Mapping[str, object]) -> dict[str, object]:
    created = record.get("Created")
    return {
        "id": record.get("Id"),
        "name": _own_name(record.get("Names")),
        "image": record.get("Image"),
        "state": record.get("State"),
        "status": record.get("Status"),
        "labels": record.get("Labels") or {},
        "created": datetime.fromtimestamp(created, UTC).isoformat() if isinstance(created, int) else None,
    }


def _own_name(names: object) -> str | None:
    """Its own name; a container that others link to goes by names such as `/other/alias` as well."""
    texts = (
        [name.removeprefix("/") for name in names if isinstance(name, str)] if isinstance(names, list) else []
    )
    return min(texts, key=lambda name: name.count("/"), default=None)


async def resolve_container(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The container that a change names."""
    return await resolve(docker, argument(arguments, "container", str), timeout_seconds)


RUNNERS: dict[str, Runner] = {
    "container_list": container_list,
    "container_inspect": container_inspect,
    "container_logs": container_logs,
    "container_start": container_start,
    "container_stop": container_stop,
    "container_restart": container_restart,
    "container_kill": container_kill,
    "container_rename": container_rename,
    "container_remove": container_remove,
    "container_pause": container_pause,
    "container_unpause": container_unpause,
    "container_set_limits": container_set_limits,
}
RESOLVERS: dict[str, Resolver] = {
    "container_start": resolve_container,
    "container_stop": resolve_container,
    "container_restart": resolve_container,
    "container_kill": resolve_container,
    "container_rename": resolve_container,
    "container_remove": resolve_container,
    "container_pause": resolve_container,
    "container_unpause": resolve_container,
    "container_set_limits": resolve_container,
}
