"""Networks: look at them, create and remove them, connect containers to them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy import judge_network
from seawall.agent.operations.containers import READ_BACK_SECONDS, resolve
from seawall.agent.operations.endpoints import endpoint_in, fits, summary_of
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
from seawall.operations.networks import PREDEFINED

_CONFLICT = 409


async def network_list(execution: Execution) -> object:
    """See `operations.networks.NETWORK_LIST`."""
    records = await execution.docker.network_list(timeout_seconds=execution.timeout_seconds)
    return limited([network_summary(record) for record in records], "remove networks that nobody needs")


async def network_inspect(execution: Execution) -> object:
    """See `operations.networks.NETWORK_INSPECT`."""
    record = await execution.docker.network_inspect(
        argument(execution.arguments, "network", str), timeout_seconds=execution.timeout_seconds
    )
    return limited(record, "network_list tells less")


async def network_create(execution: Execution) -> object:
    """See `operations.networks.NETWORK_CREATE`."""
    spec = network_spec(execution.command_id, execution.arguments)
    permit(judge_network(execution.policy, spec))
    created = await execution.docker.network_create(spec=spec, timeout_seconds=execution.timeout_seconds)
    try:
        record = await execution.docker.network_inspect(
            created, timeout_seconds=min(execution.timeout_seconds, READ_BACK_SECONDS)
        )
    except DockerFailure:
        record = {"Id": created, "Name": spec["Name"]}
    return created_response(record)


async def network_remove(execution: Execution) -> object:
    """See `operations.networks.NETWORK_REMOVE`."""
    target = target_of(execution)
    await execution.docker.network_remove(target.object_id, timeout_seconds=execution.timeout_seconds)
    return {"network": target.name, "id": target.object_id}


async def network_connect(execution: Execution) -> object:
    """See `operations.networks.NETWORK_CONNECT`."""
    target, arguments = target_of(execution), execution.arguments
    container, network = section(target.record, "Container"), section(target.record, "Network")
    there = endpoint_in(container, network)
    if there is None:
        _check_address(network, arguments)
        await execution.docker.network_connect(
            argument(network, "Id", str),
            container=target.object_id,
            endpoint=endpoint_spec(arguments),
            timeout_seconds=execution.timeout_seconds,
        )
    elif not fits(there, arguments):
        raise _refused(
            f"container {target.name} is connected to network {network.get('Name')} already, with other aliases or "
            "another address: disconnect it first",
            _CONFLICT,
        )
    return await _connection(execution, target, changed=there is None)


async def network_disconnect(execution: Execution) -> object:
    """See `operations.networks.NETWORK_DISCONNECT`."""
    target = target_of(execution)
    network = section(target.record, "Network")
    connected = endpoint_in(section(target.record, "Container"), network) is not None
    if connected:
        await execution.docker.network_disconnect(
            argument(network, "Id", str),
            container=target.object_id,
            force=False,
            timeout_seconds=execution.timeout_seconds,
        )
    return await _connection(execution, target, changed=connected)


async def network_prune_plan(execution: Execution) -> object:
    """See `operations.networks.NETWORK_PRUNE_PLAN`."""
    records = await execution.docker.network_list(timeout_seconds=execution.timeout_seconds)
    used = await _used(execution)
    unused = [
        network_summary(record)
        for record in records
        if record.get("Name") not in PREDEFINED and not used & {record.get("Id"), record.get("Name")}
    ]
    return limited({"networks": unused}, "remove some by hand first")


async def network_prune(execution: Execution) -> object:
    """See `operations.networks.NETWORK_PRUNE`."""
    used = await _used(execution)
    records = await execution.docker.network_list(timeout_seconds=execution.timeout_seconds)
    names = {str(record.get("Id")): str(record.get("Name")) for record in records}
    removed: list[str] = []
    kept: list[dict[str, str]] = []
    for network_id in argument(execution.arguments, "ids", list[str]):
        if network_id not in names:
            kept.append({"id": network_id, "reason": "it was gone already"})
        elif used & {network_id, names[network_id]}:
            kept.append({"id": network_id, "reason": "a container is in it"})
        else:
            removal = execution.docker.network_remove(network_id, timeout_seconds=execution.timeout_seconds)
            reason = await why_kept(removal)
            if reason is None:
                removed.append(network_id)
            else:
                kept.append({"id": network_id, "reason": reason})
        execution.progress(f"{len(removed)} removed, {len(kept)} kept")
    return {"removed": removed, "kept": kept}


def network_spec(command_id: str, arguments: Arguments) -> dict[str, object]:
    """What goes to Docker for a network_create."""
    spec: dict[str, object] = {
        "Name": arguments["name"],
        "Driver": arguments["driver"],
        "Internal": arguments["internal"],
        "Attachable": arguments["attachable"],
        "EnableIPv6": arguments["enable_ipv6"],
        "Options": arguments.get("options") or {},
        "Labels": {**section(arguments, "labels"), COMMAND_LABEL: command_id},
    }
    pool = {
        key: arguments[name]
        for key, name in (("Subnet", "subnet"), ("Gateway", "gateway"), ("IPRange", "ip_range"))
        if arguments.get(name) is not None
    }
    if pool:
        spec["IPAM"] = {"Driver": "default", "Config": [pool]}
    return spec


def endpoint_spec(arguments: Arguments) -> dict[str, object]:
    """What goes to Docker for a network_connect."""
    spec: dict[str, object] = {}
    if arguments.get("aliases"):
        spec["Aliases"] = arguments["aliases"]
    if arguments.get("address") is not None:
        spec["IPAMConfig"] = {"IPv4Address": arguments["address"]}
    return spec


def network_summary(record: Mapping[str, object]) -> dict[str, object]:
    """What a list says of a network."""
    return {
        "id": record.get("Id"),
        "name": record.get("Name"),
        "driver": record.get("Driver"),
        "scope": record.get("Scope"),
        "internal": record.get("Internal"),
        "attachable": record.get("Attachable"),
        "ipv6": record.get("EnableIPv6"),
        "subnets": [str(pool["Subnet"]) for pool in _pools(record) if "Subnet" in pool],
        "labels": record.get("Labels") or {},
        "created": record.get("Created"),
    }


def created_response(record: Mapping[str, object]) -> dict[str, object]:
    """What is said of a network that has been created."""
    subnets = network_summary(record)["subnets"]
    return {
        "network": record.get("Name"),
        "id": record.get("Id"),
        "driver": record.get("Driver"),
        "subnets": subnets,
    }


def _pools(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    pools = section(record, "IPAM").get("Config")
    return [pool for pool in pools if isinstance(pool, dict)] if isinstance(pools, list) else []


def _check_address(network: Mapping[str, object], arguments: Arguments) -> None:
    """Docker finds out too late: the container keeps an endpoint without an address, and can't start again."""
    wanted = arguments.get("address")
    if wanted is None:
        return
    address = ipaddress.ip_address(str(wanted))
    subnets = [str(pool["Subnet"]) for pool in _pools(network) if "Subnet" in pool]
    if not any(address in ipaddress.ip_network(subnet, strict=False) for subnet in subnets):
        name = network.get("Name")
        raise _refused(
            f"the address {address} is in no subnet of network {name} ({', '.join(subnets) or 'it has none'}); nothing "
            f"was done. Look at it with 'seawall network inspect {name}'"
        )
    if any(str(pool.get("Gateway")) == str(address) for pool in _pools(network)):
        raise _refused(
            f"the address {address} is the gateway of network {network.get('Name')}; nothing was done"
        )


def _refused(message: str, status: int | None = None) -> DockerFailure:
    return DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, message, status)


async def _connection(execution: Execution, target: Target, *, changed: bool) -> dict[str, object]:
    """How a container and a network stand to each other after a change."""
    network = section(target.record, "Network")
    response: dict[str, object] = {
        "container": target.name,
        "id": target.object_id,
        "network": network.get("Name"),
        "network_id": network.get("Id"),
        "changed": changed,
    }
    try:
        record = await execution.docker.container_inspect(
            target.object_id, timeout_seconds=min(execution.timeout_seconds, READ_BACK_SECONDS)
        )
    except DockerFailure:
        return {**response, "endpoint": None}
    return {**response, "endpoint": summary_of(endpoint_in(record, network))}


async def _used(execution: Execution) -> set[object]:
    """The ids and names of the networks that containers are in, running or not."""
    records = await execution.docker.container_list(stopped=True, timeout_seconds=execution.timeout_seconds)
    used: set[object] = set()
    for record in records:
        networks = section(section(record, "NetworkSettings"), "Networks")
        used.update(networks)
        used.update(section(networks, name).get("NetworkID") for name in networks)
    return used


async def resolve_network(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The network that a change names."""
    name = argument(arguments, "network", str)
    record = await docker.network_inspect(name, timeout_seconds=timeout_seconds)
    return Target(str(record.get("Id") or name), str(record.get("Name") or name), record)


async def resolve_connection(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The container that a change names, with the network."""
    network = await resolve_network(docker, arguments, timeout_seconds)
    container = await resolve(docker, argument(arguments, "container", str), timeout_seconds)
    return connection(container, network.record)


def connection(container: Target, network: Mapping[str, object]) -> Target:
    """A container as the target of a change that is about its place in a network."""
    return Target(
        container.object_id, container.name, {"Container": container.record, "Network": dict(network)}
    )


RUNNERS: dict[str, Runner] = {
    "network_list": network_list,
    "network_inspect": network_inspect,
    "network_create": network_create,
    "network_remove": network_remove,
    "network_connect": network_connect,
    "network_disconnect": network_disconnect,
    "network_prune_plan": network_prune_plan,
    "network_prune": network_prune,
}
RESOLVERS: dict[str, Resolver] = {
    "network_remove": resolve_network,
    "network_connect": resolve_connection,
    "network_disconnect": resolve_connection,
}
