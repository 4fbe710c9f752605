"""Random sequences of operations over a few names."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

IMAGE = "busybox:latest"

_FEWEST_STEPS, _MOST_STEPS = 6, 10
_SENSIBLE = 0.85
_BLOCK = 64  # how many sequences share the second byte of their subnets


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
        base = f"10.{seed // _BLOCK % 100 + 101}"
        self.subnets = [f"{base}.{seed % _BLOCK * 4 + number}.0/24" for number in range(2)]

    def container(self, dice: random.Random) -> str:
        """Mostly the first one, so that steps meet what earlier ones have made."""
        return dice.choices(self.containers, (4, 1))[0]

    def network(self, dice: random.Random) -> str:
        """One of ours, or of Docker's own."""
        return dice.choices([*self.networks, "none", "host"], (8, 8, 1, 1))[0]

    def subnet(self, dice: random.Random, network: str) -> str:
        """Mostly the one that is meant for the network."""
        own = self.networks.index(network) if network in self.networks else 0
        return self.subnets[own if dice.random() < _SENSIBLE else 1 - own]


Maker = Callable[[random.Random, Names], Step]


def _container(operation: str, **arguments: object) -> Maker:
    return lambda dice, names: Step(operation, {"container": names.container(dice), **arguments})


def _create(operation: str) -> Maker:
    def make(dice: random.Random, names: Names) -> Step:
        arguments: dict[str, object] = {
            "image": names.images[0] if dice.random() < 0.95 else names.images[1],
            "name": names.container(dice),
            "command": ["sleep", "600"],
        }
        place = dice.choices(["none", "host", "one", "other", "both"], (2, 1, 12, 1, 2))[0]
        if place in ("none", "host"):
            arguments["network_mode"] = place
        else:
            arguments["networks"] = {
                "one": names.networks[:1],
                "other": names.networks[1:],
                "both": names.networks,
            }[place]
        if dice.random() < 0.4:
            arguments["volumes"] = [f"{dice.choice(names.volumes)}:/data{dice.choice(['', ':ro'])}"]
        if dice.random() < 0.4:
            arguments["labels"] = {"tier": dice.choice(["front", "back"])}
        if dice.random() < 0.3:
            arguments["restart"] = dice.choice(["always", "unless-stopped", "on-failure:3", "no"])
        if dice.random() < 0.2 and arguments.get("restart", "no") != "no":
            # Refused. Where it isn't, Docker's removal races with the next step, and either may win.
            arguments["auto_remove"] = True
        if dice.random() < 0.3:
            arguments["memory"] = dice.choice(["32m", "64m"])
        return Step(operation, arguments)

    return make


def _rename(dice: random.Random, names: Names) -> Step:
    container = names.container(dice)
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
    return Step("container_set_limits", {"container": names.container(dice), **dice.choice(wanted)})


def _network_create(dice: random.Random, names: Names) -> Step:
    name = dice.choice(names.networks)
    # Docker has few subnets of its own to choose from, and all sequences share them.
    subnet = names.subnet(dice, name)
    arguments: dict[str, object] = {"name": name, "subnet": subnet}
    if dice.random() < 0.3:
        arguments["gateway"] = subnet.replace(".0/24", dice.choice([".1", ".254"]))
    if dice.random() < 0.3:
        arguments["internal"] = True
    if dice.random() < 0.1:
        arguments["driver"] = "no-such-driver"
    if dice.random() < 0.3:
        arguments["labels"] = {"tier": "net"}
    return Step("network_create", arguments)


def _connect(dice: random.Random, names: Names) -> Step:
    network = names.network(dice)
    arguments: dict[str, object] = {"container": names.container(dice), "network": network}
    if dice.random() < 0.3:
        arguments["aliases"] = [dice.choice(["web", "db"])]
    if dice.random() < 0.3:
        last = dice.choices([77, 1], (4, 1))[0]
        arguments["address"] = names.subnet(dice, network).replace(".0/24", f".{last}")
    return Step("network_connect", arguments)


def _disconnect(dice: random.Random, names: Names) -> Step:
    network = names.network(dice)
    return Step("network_disconnect", {"container": names.container(dice), "network": network})


def _network_remove(dice: random.Random, names: Names) -> Step:
    return Step("network_remove", {"network": dice.choice([*names.networks, *names.networks, "host"])})


def _network_prune(dice: random.Random, names: Names) -> Step:
    # The ids are Docker's: `perform` takes them from a plan.
    return Step("network_prune", {"ids": names.prefix})


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
    (_create("container_create"), 3),
    (_create("container_run"), 3),
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
    (_network_create, 3),
    (_network_remove, 4),
    (_network_prune, 1),
    (_connect, 8),
    (_disconnect, 5),
    (_volume_create, 5),
    (_volume_remove, 4),
    (_volume_prune, 1),
]


def sequence_of(seed: int) -> list[Step]:
    """The steps of a seed: always the same ones."""
    dice, names = random.Random(seed), Names(seed)
    makers, weights = zip(*_MAKERS, strict=True)
    first = [Step("image_tag", {"image": IMAGE, "reference": names.images[0]})]
    for number in range(dice.choices([0, 1, 2], (1, 4, 6))[0]):
        subnet = {"name": names.networks[number], "subnet": names.subnets[number]}
        first.append(Step("network_create", subnet))
    first.append(_create(dice.choice(["container_create", "container_run", "container_run"]))(dice, names))
    count = dice.randint(_FEWEST_STEPS, _MOST_STEPS) - len(first)
    return first + [maker(dice, names) for maker in dice.choices(makers, weights, k=count)]
