"""Volumes: look at them, create and remove them."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy import judge_volume
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Resolver,
    Runner,
    Target,
    argument,
    limited,
    permit,
    section,
    target_of,
    why_kept,
)
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.container_spec import COMMAND_LABEL

_CONFLICT = 409


async def volume_list(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_LIST`."""
    records = await execution.docker.volume_list(
        unused=argument(execution.arguments, "unused", bool), timeout_seconds=execution.timeout_seconds
    )
    return limited(
        [volume_summary(record) for record in records], "list only the unused ones, or remove some"
    )


async def volume_inspect(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_INSPECT`."""
    record = await execution.docker.volume_inspect(
        argument(execution.arguments, "volume", str), timeout_seconds=execution.timeout_seconds
    )
    return limited(record, "volume_list tells less")


async def volume_create(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_CREATE`."""
    spec = volume_spec(execution.command_id, execution.arguments)
    permit(judge_volume(execution.policy, spec))
    record = await execution.docker.volume_create(spec=spec, timeout_seconds=execution.timeout_seconds)
    ours = made_by(record, execution.command_id)
    if not ours and not made_as_asked(record, execution.arguments):
        name = spec["Name"]
        raise DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_REFUSED,
            f"there is a volume {name} already, and its driver or its options are others: nothing was done. Look at it "
            f"with 'seawall volume inspect {name}'",
            _CONFLICT,
        )
    return created_response(record, changed=ours)


async def volume_remove(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_REMOVE`."""
    target = target_of(execution)
    await execution.docker.volume_remove(
        target.object_id, force=False, timeout_seconds=execution.timeout_seconds
    )
    return {"volume": target.name}


async def volume_prune_plan(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_PRUNE_PLAN`."""
    records = await execution.docker.volume_list(unused=True, timeout_seconds=execution.timeout_seconds)
    return limited({"volumes": [volume_summary(record) for record in records]}, "remove some by hand first")


async def volume_prune(execution: Execution) -> object:
    """See `operations.volumes.VOLUME_PRUNE`."""
    removed: list[str] = []
    kept: list[dict[str, str]] = []
    for name in argument(execution.arguments, "names", list[str]):
        removal = execution.docker.volume_remove(name, force=False, timeout_seconds=execution.timeout_seconds)
        reason = await why_kept(removal)
        if reason is None:
            removed.append(name)
        else:
            kept.append({"name": name, "reason": reason})
        execution.progress(f"{len(removed)} removed, {len(kept)} kept")
    return {"removed": removed, "kept": kept}


def volume_spec(command_id: str, arguments: Arguments) -> dict[str, object]:
    """What goes to Docker for a volume_create, and is judged by the host's policy."""
    return {
        "Name": arguments["name"],
        "Driver": arguments["driver"],
        "DriverOpts": arguments.get("options") or {},
        "Labels": {**section(arguments, "labels"), COMMAND_LABEL: command_id},
    }


def volume_summary(record: Mapping[str, object]) -> dict[str, object]:
    """What a list says of a volume."""
    return {
        "name": record.get("Name"),
        "driver": record.get("Driver"),
        "scope": record.get("Scope"),
        "mountpoint": record.get("Mountpoint"),
        "options": record.get("Options") or {},
        "labels": record.get("Labels") or {},
        "created": record.get("CreatedAt"),
    }


def created_response(record: Mapping[str, object], *, changed: bool) -> dict[str, object]:
    """What is said of a volume that has been created; not `changed` if it was there already."""
    return {
        "volume": record.get("Name"),
        "driver": record.get("Driver"),
        "mountpoint": record.get("Mountpoint"),
        "changed": changed,
    }


def made_by(record: Mapping[str, object], command_id: str) -> bool:
    """Whether a volume is the one that this command has created."""
    return section(record, "Labels").get(COMMAND_LABEL) == command_id


def made_as_asked(record: Mapping[str, object], arguments: Arguments) -> bool:
    """Whether a volume has the driver and the options that a volume_create asks for."""
    same_driver = record.get("Driver") == arguments.get("driver")
    return same_driver and section(record, "Options") == (arguments.get("options") or {})


async def resolve_volume(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The volume that a change names. It has no id but its name."""
    name = argument(arguments, "volume", str)
    record = await docker.volume_inspect(name, timeout_seconds=timeout_seconds)
    return Target(name, name, record)


RUNNERS: dict[str, Runner] = {
    "volume_list": volume_list,
    "volume_inspect": volume_inspect,
    "volume_create": volume_create,
    "volume_remove": volume_remove,
    "volume_prune_plan": volume_prune_plan,
    "volume_prune": volume_prune,
}
RESOLVERS: dict[str, Resolver] = {"volume_remove": resolve_volume}
