"""What a Docker Engine shows after each step of a sequence, and where two Engines differ.

Ids, times and addresses of Docker's own choice are left out of a projection; everything else that the steps can bring
about is in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.registry import RESOLVERS, RUNNERS
from seawall.agent.operations.runner import Execution, section
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.docker import FakeDocker
from tests.testing.sequences import Names, Step, sequence_of

SECONDS = 60.0

_LATE_SECONDS, _AGAIN_SECONDS = 5.0, 0.02

Projection = dict[str, object]


async def perform(docker: Docker, step: Step, command_id: str) -> object:
    """Do it as the agent does; what came of it, without ids and times: how it was refused, or what was answered."""
    declared = OPERATIONS[step.operation]
    given = step.arguments
    try:
        if step.operation == "network_prune":
            given = {"ids": await _planned(docker, str(given["ids"]))}
        arguments = check_arguments(declared, given)
        resolver = RESOLVERS.get(step.operation)
        target = await resolver(docker, arguments, SECONDS) if resolver is not None else None
        response = await RUNNERS[step.operation](
            Execution(docker, command_id, arguments, SECONDS, _quiet, target)
        )
    except InvalidArguments:
        return "invalid"
    except DockerFailure as failure:
        return [failure.code.value, failure.circumstance.value, failure.status]
    return _answered(response)


async def projection(docker: Docker, names: Names) -> Projection:
    """What the Engine shows of what the names stand for."""
    containers: dict[str, object] = {}
    for listed in await docker.container_list(stopped=True, timeout_seconds=SECONDS):
        own = [name for name in _texts(listed.get("Names")) if name.startswith(f"/{names.prefix}")]
        if not own:
            continue
        try:
            record = await docker.container_inspect(str(listed["Id"]), timeout_seconds=SECONDS)
        except DockerFailure:
            continue  # it has removed itself since
        containers[own[0].removeprefix("/")] = _container_projection(record)
    networks: dict[str, object] = {}
    for listed in await docker.network_list(timeout_seconds=SECONDS):
        name = str(listed.get("Name"))
        if name.startswith(names.prefix):
            record = await docker.network_inspect(str(listed["Id"]), timeout_seconds=SECONDS)
            networks[name] = _network_projection(record)
    volumes = {
        str(record.get("Name")): [record.get("Driver"), _labels(record.get("Labels")), record.get("Options")]
        for record in await docker.volume_list(unused=False, timeout_seconds=SECONDS)
        if str(record.get("Name")).startswith(names.prefix)
    }
    tags = [
        tag
        for image in await docker.image_list(intermediate=False, filters={}, timeout_seconds=SECONDS)
        for tag in _texts(image.get("RepoTags"))
        if tag.startswith(names.prefix)
    ]
    return {"containers": containers, "networks": networks, "volumes": volumes, "tags": sorted(tags)}


async def differences(fake: FakeDocker, real: Docker, seed: int) -> str | None:
    """Run a seed's steps on both; the first difference with all that led to it, None if there is none."""
    names, told = Names(seed), [f"seed {seed}:"]
    for number, step in enumerate(sequence_of(seed)):
        command_id = f"{names.prefix}{number}"
        told.append(f"  {step}")
        expected = await perform(fake, step, command_id)
        found = await perform(real, step, command_id)
        for container in [*fake.containers, *(real.containers if isinstance(real, FakeDocker) else [])]:
            container.ignores_term = True  # `sleep`, as process 1
        if expected != found:
            return "\n".join([*told, f"    fake answers {expected}", f"    real answers {found}"])
        shown = await projection(fake, names)
        # Docker removes some things after its answer.
        last_moment = time.monotonic() + (0.0 if isinstance(real, FakeDocker) else _LATE_SECONDS)
        while (seen := await projection(real, names)) != shown:
            if time.monotonic() > last_moment:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        if seen != shown:
            return "\n".join([*told, *_unlike(shown, seen)])
    return None


async def clean_up(docker: Docker, seed: int) -> None:
    """Remove what a seed's steps have left."""
    names = Names(seed)
    for container in names.containers:
        await _anyhow(docker.container_remove(container, force=True, volumes=False, timeout_seconds=SECONDS))
    for network in names.networks:
        await _anyhow(docker.network_remove(network, timeout_seconds=SECONDS))
    for volume in names.volumes:
        await _anyhow(docker.volume_remove(volume, force=True, timeout_seconds=SECONDS))
    for image in names.images:
        await _anyhow(docker.image_remove(image, force=False, prune=True, timeout_seconds=SECONDS))


async def _planned(docker: Docker, prefix: str) -> list[str]:
    """The ids of the unused networks of a sequence."""
    plan = await RUNNERS["network_prune_plan"](Execution(docker, "", {}, SECONDS, _quiet))
    unused = plan["networks"] if isinstance(plan, dict) else []
    return [str(network["id"]) for network in unused if network["name"].startswith(prefix)]


async def _anyhow(removal: Awaitable[object]) -> None:
    with suppress(DockerFailure):
        await removal


def _quiet(text: str, detail: Mapping[str, object] | None = None) -> None:
    """Nobody watches."""


def _answered(response: object) -> object:
    """What is the same in the answers of two Engines: the names of its parts, and whether there was anything to do."""
    if not isinstance(response, dict):
        return type(response).__name__
    told = {key: response[key] for key in ("changed", "name") if key in response}
    pruned = {key: response[key] for key in ("removed", "kept") if isinstance(response.get(key), list)}
    told |= {key: len(ids) for key, ids in pruned.items()}
    return [sorted(response), told]


_KILLED, _KILLED_EARLY = 137, 2
"""A container that is stopped before its own program has begun: process 1 is still the runtime's, which is written in
Go and ends with 2 where a signal can't kill it. No program of the sequences does."""


def _container_projection(record: Mapping[str, object]) -> Projection:
    state, host, config = section(record, "State"), section(record, "HostConfig"), section(record, "Config")
    networks = section(section(record, "NetworkSettings"), "Networks")
    short_id = str(record.get("Id"))[:12]
    return {
        "state": [
            *(state.get(key) for key in ("Status", "Running", "Paused", "Restarting")),
            _KILLED if state.get("ExitCode") == _KILLED_EARLY else state.get("ExitCode"),
        ],
        "image": config.get("Image"),
        "labels": _labels(config.get("Labels")),
        "auto_remove": host.get("AutoRemove"),
        "restart": dict(section(host, "RestartPolicy")),
        "limits": {
            key: host.get(key) or 0
            for key in ("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "PidsLimit")
        },
        "mode": host.get("NetworkMode"),
        "mounts": sorted(
            [str(mount.get(key)) for key in ("Type", "Name", "Destination", "RW")]
            for mount in _records(record.get("Mounts"))
        ),
        "networks": {
            name: _endpoint_projection(
                section(networks, name), short_id, running=state.get("Running") is True
            )
            for name in networks
        },
    }


def _endpoint_projection(endpoint: Mapping[str, object], short_id: str, *, running: bool) -> list[object]:
    aliases = sorted(alias for alias in _texts(endpoint.get("Aliases")) if alias != short_id)
    address = section(endpoint, "IPAMConfig").get("IPv4Address")
    return [
        bool(endpoint.get("EndpointID")),
        aliases,
        address,
        bool(endpoint.get("IPAddress")),
        address is not None and endpoint.get("IPAddress") == address,
    ]


def _network_projection(record: Mapping[str, object]) -> Projection:
    connected = section(record, "Containers")
    return {
        "what": [record.get(key) for key in ("Driver", "Internal", "Attachable", "EnableIPv6", "Options")],
        "labels": _labels(record.get("Labels")),
        "pools": section(record, "IPAM").get("Config"),
        "containers": sorted(str(section(connected, each).get("Name")) for each in connected),
    }


def _labels(labels: object) -> dict[str, object]:
    """Without those that are of Docker's tools."""
    return dict(labels) if isinstance(labels, Mapping) else {}


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _records(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _unlike(shown: object, seen: object, path: str = "") -> list[str]:
    """Where two projections differ."""
    if isinstance(shown, dict) and isinstance(seen, dict):
        return [
            line
            for key in sorted({*shown, *seen})
            for line in _unlike(shown.get(key, "nothing"), seen.get(key, "nothing"), f"{path}/{key}")
        ]
    return [] if shown == seen else [f"    {path}: fake {shown}", f"    {path}: real {seen}"]
