"""Random sequences of operations, and what a Docker Engine shows after each step.

Ids, times and addresses of Docker's own choice are left out of a projection; everything else that the steps can bring
about is in it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.registry import RESOLVERS, RUNNERS
from seawall.agent.operations.runner import Execution, section
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.docker import FakeDocker

IMAGE = "busybox:latest"
SECONDS = 60.0

_LATE_SECONDS, _AGAIN_SECONDS = 5.0, 0.05
_FEWEST_STEPS, _MOST_STEPS = 6, 10
_BLOCK = 64  # how many sequences share the second byte of their subnets

Projection = dict[str, object]


@dataclass(frozen=True)
class Step:
    """An operation and its arguments."""

    operation: str
    arguments: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.operation} {json.dumps(self.arguments, sort_keys=True)}"


class Names:
    """The few names that the steps of one sequence are about."""

    def __init__(self, seed: int) -> None:
        self.prefix = f"s{seed}-"
        self.containers = [f"{self.prefix}one", f"{self.prefix}two"]
        self.networks = [f"{self.prefix}left", f"{self.prefix}right"]
        self.volumes = [f"{self.prefix}data", f"{self.prefix}logs"]
        self.images = [f"{self.prefix}app:1", f"{self.prefix}app:2"]
        base = f"10.{seed // _BLOCK % 250 + 1}"
        self.subnets = [f"{base}.{seed % _BLOCK * 4 + number}.0/24" for number in range(2)]


Maker = Callable[[random.Random, Names], Step]


def _container(operation: str, **arguments: object) -> Maker:
    return lambda dice, names: Step(operation, {"container": dice.choice(names.containers), **arguments})


def _create(operation: str) -> Maker:
    def make(dice: random.Random, names: Names) -> Step:
        arguments: dict[str, object] = {
            "image": names.images[0] if dice.random() < 0.9 else names.images[1],
            "name": dice.choice(names.containers),
            "command": ["sleep", "600"],
        }
        place = dice.choice(["none", "none", "host", "network", "two"])
        if place in ("none", "host"):
            arguments["network_mode"] = place
        else:
            count = 1 if place == "network" else 2
            arguments["networks"] = names.networks[:count] if dice.random() < 0.9 else names.networks[-1:]
        if dice.random() < 0.4:
            arguments["volumes"] = [f"{dice.choice(names.volumes)}:/data{dice.choice(['', ':ro'])}"]
        if dice.random() < 0.4:
            arguments["labels"] = {"tier": dice.choice(["front", "back"])}
        if dice.random() < 0.3:
            arguments["restart"] = dice.choice(["always", "unless-stopped", "on-failure:3", "no"])
        if dice.random() < 0.2:
            arguments["auto_remove"] = True
        if dice.random() < 0.3:
            arguments["memory"] = dice.choice(["32m", "64m"])
        return Step(operation, arguments)

    return make


def _rename(dice: random.Random, names: Names) -> Step:
    container = dice.choice(names.containers)
    return Step("container_rename", {"container": container, "name": dice.choice(names.containers)})


def _limits(dice: random.Random, names: Names) -> Step:
    wanted: list[dict[str, object]] = [
        {"memory": "48m"},
        {"cpus": 0.5},
        {"pids": 50},
        {"restart": "always"},
        {"restart": "no"},
        {"cpu_shares": 512},
    ]
    return Step("container_set_limits", {"container": dice.choice(names.containers), **dice.choice(wanted)})


def _network_create(dice: random.Random, names: Names) -> Step:
    arguments: dict[str, object] = {"name": dice.choice(names.networks)}
    subnet = dice.choice(names.subnets)
    # Docker has few subnets of its own to choose from, and all sequences share them.
    arguments["subnet"] = subnet
    if dice.random() < 0.3:
        arguments["gateway"] = subnet.replace(".0/24", dice.choice([".1", ".254"]))
    if dice.random() < 0.3:
        arguments["internal"] = True
    if dice.random() < 0.2:
        arguments["driver"] = "no-such-driver"
    if dice.random() < 0.3:
        arguments["labels"] = {"tier": "net"}
    return Step("network_create", arguments)


def _connect(dice: random.Random, names: Names) -> Step:
    arguments: dict[str, object] = {
        "container": dice.choice(names.containers),
        "network": dice.choice([*names.networks, *names.networks, "none", "host"]),
    }
    if dice.random() < 0.4:
        arguments["aliases"] = [dice.choice(["web", "db"])]
    if dice.random() < 0.4:
        arguments["address"] = dice.choice(names.subnets).replace(".0/24", f".{dice.choice([1, 77])}")
    return Step("network_connect", arguments)


def _disconnect(dice: random.Random, names: Names) -> Step:
    network = dice.choice([*names.networks, *names.networks, "none", "host"])
    return Step("network_disconnect", {"container": dice.choice(names.containers), "network": network})


def _network_remove(dice: random.Random, names: Names) -> Step:
    return Step("network_remove", {"network": dice.choice([*names.networks, *names.networks, "host"])})


def _volume_create(dice: random.Random, names: Names) -> Step:
    arguments: dict[str, object] = {"name": dice.choice(names.volumes)}
    if dice.random() < 0.3:
        arguments["options"] = dice.choice(
            [
                {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
                {"type": "tmpfs"},
                {"no-such-option": "1"},
            ]
        )
    if dice.random() < 0.1:
        arguments["driver"] = "no-such-driver"
    if dice.random() < 0.3:
        arguments["labels"] = {"tier": "disk"}
    return Step("volume_create", arguments)


def _volume_remove(dice: random.Random, names: Names) -> Step:
    return Step("volume_remove", {"volume": dice.choice(names.volumes)})


def _volume_prune(dice: random.Random, names: Names) -> Step:
    return Step("volume_prune", {"names": list(names.volumes)})


def _image_tag(dice: random.Random, names: Names) -> Step:
    source = dice.choice([IMAGE, IMAGE, names.images[0]])
    return Step("image_tag", {"image": source, "reference": dice.choice(names.images)})


def _image_remove(dice: random.Random, names: Names) -> Step:
    return Step("image_remove", {"image": dice.choice(names.images)})


_MAKERS: list[tuple[Maker, int]] = [
    (_create("container_create"), 5),
    (_create("container_run"), 5),
    (_container("container_start"), 6),
    (_container("container_stop", grace_seconds=0), 4),
    (_container("container_restart", grace_seconds=0), 2),
    (_container("container_kill"), 2),
    (_container("container_kill", signal="SIGTERM"), 1),
    (_container("container_pause"), 3),
    (_container("container_unpause"), 3),
    (_rename, 3),
    (_limits, 3),
    (_container("container_remove"), 3),
    (_container("container_remove", force=True), 2),
    (_image_tag, 3),
    (_image_remove, 3),
    (_network_create, 6),
    (_network_remove, 4),
    (_connect, 7),
    (_disconnect, 4),
    (_volume_create, 5),
    (_volume_remove, 4),
    (_volume_prune, 1),
]


def sequence_of(seed: int) -> list[Step]:
    """The steps of a seed: always the same ones."""
    dice, names = random.Random(seed), Names(seed)
    makers, weights = zip(*_MAKERS, strict=True)
    first = [Step("image_tag", {"image": IMAGE, "reference": names.images[0]})]
    if dice.random() < 0.5:
        first.append(Step("network_create", {"name": names.networks[0], "subnet": names.subnets[0]}))
    first.append(_create(dice.choice(["container_create", "container_run"]))(dice, names))
    count = dice.randint(_FEWEST_STEPS, _MOST_STEPS) - len(first)
    return first + [maker(dice, names) for maker in dice.choices(makers, weights, k=count)]


async def perform(docker: Docker, step: Step, command_id: str) -> object:
    """Do it as the agent does; what came of it, without ids and times: how it was refused, or what was answered."""
    declared = OPERATIONS[step.operation]
    try:
        arguments = check_arguments(declared, step.arguments)
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
        for container in fake.containers:
            container.ignores_term = True  # `sleep`, as process 1
        found = await perform(real, step, command_id)
        if expected != found:
            return "\n".join([*told, f"    fake answers {expected}", f"    real answers {found}"])
        shown = await projection(fake, names)
        last_moment = time.monotonic() + _LATE_SECONDS
        while (seen := await projection(real, names)) != shown:
            if time.monotonic() > last_moment:
                break
            await asyncio.sleep(_AGAIN_SECONDS)  # Docker removes some things after its answer
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
    return [sorted(response), told]


def _container_projection(record: Mapping[str, object]) -> Projection:
    state, host, config = section(record, "State"), section(record, "HostConfig"), section(record, "Config")
    networks = section(section(record, "NetworkSettings"), "Networks")
    short_id = str(record.get("Id"))[:12]
    return {
        "state": [state.get(key) for key in ("Status", "Running", "Paused", "Restarting", "ExitCode")],
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
