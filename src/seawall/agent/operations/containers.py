"""Containers: look at them, start and stop them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.logs import lines_of
from seawall.agent.operations.runner import Arguments, argument, limited, section

READ_BACK_SECONDS = 3.0
"""How long an Engine that has just done what it should may take to say how things stand."""

TARGET = "target"
"""Under this key the worker hands on the container that it has resolved already. No argument is named so."""

_DEFAULT_GRACE_SECONDS = 10
_LONGEST_GRACE_SECONDS = 3600
_NOT_FOUND = 404
_NEVER = "0001-01-01T00:00:00Z"  # how Docker writes that something has not happened


class Target(Struct, frozen=True):
    """The container that a name stood for. `grace_seconds` is what it is given to stop, unless told otherwise."""

    container_id: str
    name: str
    grace_seconds: int


async def resolve(docker: Docker, name: str, timeout_seconds: float) -> Target:
    """The container that this name, id or beginning of an id means now."""
    record = await docker.container_inspect(name, timeout_seconds=timeout_seconds)
    grace = section(record, "Config").get("StopTimeout")
    if not isinstance(grace, int):
        grace = _DEFAULT_GRACE_SECONDS
    elif grace < 0:
        grace = _LONGEST_GRACE_SECONDS  # "wait for ever" isn't to be had
    return Target(_id_of(record, name), _name_of(record, name), grace)


async def container_list(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_LIST`."""
    stopped = argument(arguments, "all", bool)
    records = await docker.container_list(stopped=stopped, timeout_seconds=timeout_seconds)
    return limited(
        [_summary(record) for record in records],
        "list only what runs with all=false, or remove containers that nobody needs",
    )


async def container_inspect(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_INSPECT`."""
    record = await docker.container_inspect(
        argument(arguments, "container", str), timeout_seconds=timeout_seconds
    )
    return limited(record, "container_list tells the container's state in less")


async def container_logs(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_LOGS`."""
    name, tail = argument(arguments, "container", str), argument(arguments, "tail", int)
    timestamps = argument(arguments, "timestamps", bool)
    record = await docker.container_inspect(name, timeout_seconds=timeout_seconds)
    terminal = section(record, "Config").get("Tty") is True
    log = await docker.container_logs(
        _id_of(record, name),
        tail=tail,
        timestamps=timestamps,
        terminal=terminal,
        timeout_seconds=timeout_seconds,
    )
    lines, truncated = lines_of(log, tail=tail, timestamps=timestamps, terminal=terminal)
    response = {"lines": msgspec.to_builtins(lines), "truncated": truncated}
    return limited(response, "ask for fewer lines with a smaller tail")


async def container_start(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_START`."""
    target = await _target(docker, arguments, timeout_seconds)
    await docker.container_start(target.container_id, timeout_seconds=timeout_seconds)
    return await _read_back(docker, target, timeout_seconds)


async def container_stop(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_STOP`."""
    target = await _target(docker, arguments, timeout_seconds)
    await docker.container_stop(
        target.container_id, grace_seconds=grace_of(arguments, target), timeout_seconds=timeout_seconds
    )
    return await _read_back(docker, target, timeout_seconds)


async def container_restart(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_RESTART`."""
    target = await _target(docker, arguments, timeout_seconds)
    await docker.container_restart(
        target.container_id, grace_seconds=grace_of(arguments, target), timeout_seconds=timeout_seconds
    )
    return await _read_back(docker, target, timeout_seconds)


async def container_kill(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_KILL`."""
    target = await _target(docker, arguments, timeout_seconds)
    await docker.container_kill(
        target.container_id, signal=argument(arguments, "signal", str), timeout_seconds=timeout_seconds
    )
    return await _read_back(docker, target, timeout_seconds)


async def container_rename(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_RENAME`."""
    target, name = await _target(docker, arguments, timeout_seconds), argument(arguments, "name", str)
    if name != target.name:  # Docker refuses to give a container the name that it has
        await docker.container_rename(target.container_id, name=name, timeout_seconds=timeout_seconds)
    return {**await _read_back(docker, target, timeout_seconds), "name": name}


async def container_remove(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """See `operations.containers.CONTAINER_REMOVE`."""
    target = await _target(docker, arguments, timeout_seconds)
    try:
        await docker.container_remove(
            target.container_id,
            force=argument(arguments, "force", bool),
            volumes=argument(arguments, "volumes", bool),
            timeout_seconds=timeout_seconds,
        )
    except DockerFailure as failure:
        # It was there a moment ago, and ids are never given twice: whoever removed it, it is gone.
        if failure.status != _NOT_FOUND:
            raise
    return {"container": target.name, "id": target.container_id}


def grace_of(arguments: Arguments, target: Target) -> int:
    """What the container is given to stop: what the command says, else its own setting."""
    if arguments.get("grace_seconds") is None:
        return target.grace_seconds
    return argument(arguments, "grace_seconds", int)


async def _target(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    resolved = arguments.get(TARGET)
    if isinstance(resolved, Target):
        return resolved
    return await resolve(docker, argument(arguments, "container", str), timeout_seconds)


async def _read_back(docker: Docker, target: Target, timeout_seconds: float) -> dict[str, object]:
    response: dict[str, object] = {"container": target.name, "id": target.container_id, "state": None}
    try:
        record = await docker.container_inspect(
            target.container_id, timeout_seconds=min(timeout_seconds, READ_BACK_SECONDS)
        )
    except DockerFailure:
        # The change is done, that is what was asked. The container may have removed itself at its end, or the Engine
        # has died since: how things stand isn't known.
        return response
    state = section(record, "State")
    response["state"] = {
        "running": state.get("Running"),
        "status": state.get("Status"),
        "started_at": _moment(state.get("StartedAt")),
        "finished_at": _moment(state.get("FinishedAt")),
        "exit_code": state.get("ExitCode"),
    }
    return response


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


def _id_of(record: Mapping[str, object], asked: str) -> str:
    container_id = record.get("Id")
    return container_id if isinstance(container_id, str) else asked


def _name_of(record: Mapping[str, object], asked: str) -> str:
    name = record.get("Name")
    return name.removeprefix("/") if isinstance(name, str) else asked


def _moment(value: object) -> object:
    return None if value in ("", _NEVER) else value
