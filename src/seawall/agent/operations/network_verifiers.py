"""How each change of networks is read off the host afterwards.

A network that a command has created carries the command's id as a label, and ids are never given twice. Who connected
or disconnected a container leaves no trace: `attributed` is "seawall" where it was otherwise before.
"""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.docker import Docker
from seawall.agent.operations.container_verifiers import container_by_id
from seawall.agent.operations.endpoints import endpoint_in, fits, summary_of
from seawall.agent.operations.networks import connection, created_response
from seawall.agent.operations.runner import Target, argument, if_there, section
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    at_once,
    nothing_before,
)
from seawall.operations.container_spec import COMMAND_LABEL


def pruned(doubt: Doubt, wanted: list[str], key: str) -> Finding:
    """What became of a prune: `doubt.now` tells what is `left` of the wanted ones."""
    left = argument(doubt.now or {}, "left", list[str])
    removed = [each for each in wanted if each not in left]
    if left and not doubt.settled:
        return doubt.once_settled(Verdict.UNDECIDED, f"{len(left)} of {len(wanted)} are still there")
    if wanted and not removed:
        return Finding(Verdict.NOT_APPLIED, "all of them are still there")
    kept = [{key: each, "reason": "it is still there"} for each in left]
    response: dict[str, object] = {"removed": removed, "kept": kept}
    return applied(f"{len(removed)} of {len(wanted)} are gone", response, satisfied=not left, ours=False)


def _create(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "there is no network of this command")
    return applied("it is there", created_response(doubt.now), satisfied=True, ours=True)


def _remove(doubt: Doubt) -> Finding:
    if doubt.now is not None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "it is still there")
    response = {"network": doubt.pre_image.get("name"), "id": doubt.pre_image.get("id")}
    return applied("it is gone", response, satisfied=True, ours=True)


def _connect(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return _gone(doubt)
    before, now = doubt.pre_image.get("connected") is True, _endpoint(doubt.now)
    if now is None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "it is not connected")
    if fits(now, doubt.arguments):
        reason = "it was connected already" if before else "it is connected"
        return applied(reason, _response(doubt, doubt.now), satisfied=True, ours=not before)
    if before:
        return doubt.once_settled(Verdict.NOT_APPLIED, "it is connected as it was before")
    return doubt.once_settled(
        Verdict.UNKNOWABLE,
        "it is connected with other aliases or another address: somebody else has connected it, and nothing tells "
        "what was before",
    )


def _disconnect(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return _gone(doubt)
    if _endpoint(doubt.now) is not None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "it is still connected")
    before = doubt.pre_image.get("connected") is True
    reason = "it is not connected any more" if before else "it was not connected"
    return applied(reason, _response(doubt, doubt.now), satisfied=True, ours=before)


def _prune(doubt: Doubt) -> Finding:
    return pruned(doubt, argument(doubt.arguments, "ids", list[str]), "id")


def _gone(doubt: Doubt) -> Finding:
    name = doubt.pre_image.get("container")
    return Finding(
        Verdict.UNKNOWABLE,
        f"container {name} has been removed since: nothing tells what happened before",
    )


def _response(doubt: Doubt, now: Record) -> dict[str, object]:
    before = doubt.pre_image
    return {
        "container": before.get("container"),
        "id": before.get("id"),
        "network": before.get("network"),
        "network_id": before.get("network_id"),
        "endpoint": summary_of(_endpoint(now)),
    }


def _endpoint(record: Record) -> Mapping[str, object] | None:
    return endpoint_in(section(record, "Container"), section(record, "Network"))


def _network_before(record: Record) -> PreImage:
    return {"id": record.get("Id"), "name": record.get("Name")}


def _connection_before(record: Record) -> PreImage:
    container, network = section(record, "Container"), section(record, "Network")
    return {
        "id": container.get("Id"),
        "container": str(container.get("Name") or "").removeprefix("/"),
        "network": network.get("Name"),
        "network_id": network.get("Id"),
        "connected": endpoint_in(container, network) is not None,
    }


async def _by_label(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """The network that a command has created."""
    for record in await docker.network_list(timeout_seconds=timeout_seconds):
        if section(record, "Labels").get(COMMAND_LABEL) == sought.command_id:
            return Target(str(record.get("Id")), str(record.get("Name")), record)
    return None


async def _by_id(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    network_id = argument(sought.pre_image, "id", str)
    record = await if_there(docker.network_inspect(network_id, timeout_seconds=timeout_seconds))
    if record is None:
        return None
    return Target(network_id, str(record.get("Name")), record)


async def _connection_by_id(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    container = await container_by_id(docker, sought, timeout_seconds)
    before = sought.pre_image
    network = {"Id": before.get("network_id"), "Name": before.get("network")}
    return connection(container, network) if container is not None else None


async def _left(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """Those of the networks of a prune that are still there."""
    wanted = argument(sought.arguments, "ids", list[str])
    there = {record.get("Id") for record in await docker.network_list(timeout_seconds=timeout_seconds)}
    return Target("", "", {"left": [each for each in wanted if each in there]})


VERIFIERS = {
    "network_create": Verifier(nothing_before, _create, at_once, _by_label),
    "network_remove": Verifier(_network_before, _remove, at_once, _by_id),
    "network_connect": Verifier(_connection_before, _connect, at_once, _connection_by_id),
    "network_disconnect": Verifier(_connection_before, _disconnect, at_once, _connection_by_id),
    "network_prune": Verifier(nothing_before, _prune, at_once, _left),
}
