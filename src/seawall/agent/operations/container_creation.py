"""New containers, created step by step: each step is known to the ledger before the next begins."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy_spec import judge_spec
from seawall.agent.operations.containers import read_back, resolve
from seawall.agent.operations.runner import (
    Execution,
    Runner,
    Target,
    if_there,
    permit,
    section,
    target_of,
)
from seawall.agent.operations.snapshot import snapshot_of
from seawall.core.errors import Circumstance, CommandErrorCode, verdict
from seawall.operations.container_grammar import Endpoint
from seawall.operations.container_spec import COMMAND_LABEL, Specification, specification

CREATED, STARTED, REMOVING = "created ", "started ", "removing "
"""What the steps in the ledger begin with; the container's id follows."""

_CONFLICT = 409
_OWN_NETWORKS = (None, "default", "bridge", "host", "none")


async def container_create(execution: Execution) -> object:
    """See `operations.container_creation.CONTAINER_CREATE`."""
    return await _create(execution, starts=False)


async def container_run(execution: Execution) -> object:
    """See `operations.container_creation.CONTAINER_RUN`."""
    return await _create(execution, starts=True)


async def finish_create(execution: Execution) -> object:
    """Do what a container lacks that a container_create made."""
    return await _finish(execution, target_of(execution), starts=False)


async def finish_run(execution: Execution) -> object:
    """Do what a container lacks that a container_run made."""
    return await _finish(execution, target_of(execution), starts=True)


async def find_created(
    docker: Docker, command_id: str, step: str | None, timeout_seconds: float
) -> Target | None:
    """The container that a command has created, if it is there: by its id in the ledger, else by its label."""
    container_id = step.partition(" ")[2] if step is not None else None
    if container_id is None:
        filters = {"label": [f"{COMMAND_LABEL}={command_id}"]}
        found = await docker.container_list(stopped=True, filters=filters, timeout_seconds=timeout_seconds)
        if not found:
            return None
        container_id = str(found[0]["Id"])
    return await if_there(resolve(docker, container_id, timeout_seconds))


def missing_endpoints(arguments: Mapping[str, object], record: Mapping[str, object]) -> list[Endpoint]:
    """The networks that a container was to join and has not joined."""
    joined = section(section(record, "NetworkSettings"), "Networks")
    return [each for each in specification(arguments, "").further if each.network not in joined]


async def _create(execution: Execution, *, starts: bool) -> object:
    wanted = await _with_real_networks(execution, specification(execution.arguments, execution.command_id))
    # Judged as one that joins all of its networks.
    ends = {**_endpoints(wanted.body), **{each.network: each.body for each in wanted.further}}
    permit(judge_spec(execution.policy, {**wanted.body, "NetworkingConfig": {"EndpointsConfig": ends}}))
    name = execution.arguments.get("name")
    try:
        container_id = await execution.docker.container_create(
            name=str(name) if name is not None else None,
            spec=wanted.body,
            timeout_seconds=execution.timeout_seconds,
        )
    except DockerFailure as failure:
        if failure.status != _CONFLICT:
            raise
        # The name is taken: by this very command, if an earlier answer of Docker's was lost.
        ours = await find_created(execution.docker, execution.command_id, None, execution.timeout_seconds)
        if ours is None:
            raise
        container_id = ours.object_id
    await _record(execution, CREATED, container_id)
    try:
        target = await resolve(execution.docker, container_id, execution.timeout_seconds)
    except DockerFailure as failure:
        raise _after_an_effect(failure) from failure
    return await _finish(execution, target, starts=starts)


async def _finish(execution: Execution, target: Target, *, starts: bool) -> object:
    """Join the further networks and start, as far as that isn't done."""
    try:
        for each in missing_endpoints(execution.arguments, target.record):
            await execution.docker.network_connect(
                each.network,
                container=target.object_id,
                endpoint=each.body,
                timeout_seconds=execution.timeout_seconds,
            )
        if starts and snapshot_of(target.record).started_at is None:
            await execution.docker.container_start(
                target.object_id, timeout_seconds=execution.timeout_seconds
            )
            await _record(execution, STARTED, target.object_id)
    except DockerFailure as failure:
        if failure.status is None:
            raise _after_an_effect(failure) from failure
        await _remove_again(execution, target, failure)
    return await read_back(execution, target)


async def _remove_again(execution: Execution, target: Target, failure: DockerFailure) -> None:
    """Leave nothing behind of what can't be finished. Raises DockerFailure."""
    await _record(execution, REMOVING, target.object_id)
    removal = execution.docker.container_remove(
        target.object_id, force=False, volumes=True, timeout_seconds=execution.timeout_seconds
    )
    try:
        await if_there(removal)
    except DockerFailure as problem:
        raise _after_an_effect(failure) from problem
    raise DockerFailure(
        failure.code,
        Circumstance.DOCKER_REFUSED,
        f"{failure.message}. The container that had been created for it is removed again",
        failure.status,
    ) from failure


async def _with_real_networks(execution: Execution, wanted: Specification) -> Specification:
    """The networks by their real names: an id can stand for the host's own, and the policy must see that."""
    if execution.policy.rules is None:
        return wanted
    host = section(wanted.body, "HostConfig")
    mode = host.get("NetworkMode")
    names: dict[str, str] = {}
    for name in {*_endpoints(wanted.body), *(each.network for each in wanted.further), mode}:
        if isinstance(name, str) and name not in _OWN_NETWORKS and ":" not in name:
            names[name] = await _real_name(execution, name)
    if all(name == real for name, real in names.items()):
        return wanted
    body = dict(wanted.body)
    if isinstance(mode, str):
        body["HostConfig"] = {**host, "NetworkMode": names.get(mode, mode)}
    ends = {names.get(name, name): end for name, end in _endpoints(wanted.body).items()}
    if ends:
        body["NetworkingConfig"] = {"EndpointsConfig": ends}
    further = [Endpoint(names.get(each.network, each.network), each.body) for each in wanted.further]
    return Specification(body, further)


async def _real_name(execution: Execution, name: str) -> str:
    record = await if_there(execution.docker.network_inspect(name, timeout_seconds=execution.timeout_seconds))
    if record is None:
        return name  # Docker says so, in its own words
    return "host" if record.get("Driver") == "host" else str(record.get("Name") or name)


def _endpoints(body: Mapping[str, object]) -> Mapping[str, object]:
    return section(section(body, "NetworkingConfig"), "EndpointsConfig")


async def _record(execution: Execution, step: str, container_id: str) -> None:
    if execution.journal is not None:
        await execution.journal.record(f"{step}{container_id}")


def _after_an_effect(failure: DockerFailure) -> DockerFailure:
    """The same failure, where the steps before it have had their effect: it must not be taken for none at all."""
    ruling = verdict(failure.code, failure.circumstance)
    if ruling.may_have_run:
        return failure
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED, failure.message, failure.status
    )


RUNNERS: dict[str, Runner] = {"container_create": container_create, "container_run": container_run}
