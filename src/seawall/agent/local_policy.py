"""What a controller may have this host's agent do, as the host's owner has decided: pure decisions.

A level says which operations run at all, `exec` whether processes may be run in containers, and at the level manage
the rules say what containers, images, volumes and networks may be like. An empty list permits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from seawall.operations.host_level import Level, lacks
from seawall.operations.image_reference import DEFAULT_REGISTRY, InvalidReference, image_id, parse_reference
from seawall.operations.operation import Operation

FILE_NAME = "policy.toml"
"""Where it is written, beside the agent's identity."""


class Rules(Struct, frozen=True):
    """What may be made at the level manage.

    `images` are patterns of image names. `local_images`: images may also be built, loaded and tagged here, so that a
    name says nothing about where the content comes from. `binds` and `devices` are paths of the host, with "/**" at
    the end also everything below; a bind that holds the Docker Engine's socket needs the socket's own path among them.
    `host_namespaces` are of network, pid, ipc, uts, userns and cgroup. In the other lists "*" stands for all.
    """

    images: tuple[str, ...] = ()
    local_images: bool = False
    privileged: bool = False
    host_namespaces: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    device_requests: bool = False
    binds: tuple[str, ...] = ()
    volumes_from: bool = False
    volume_drivers: tuple[str, ...] = ()
    network_drivers: tuple[str, ...] = ()
    log_drivers: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    cgroup_parents: tuple[str, ...] = ()


class LocalPolicy(Struct, frozen=True):
    """A host's whole policy. `rules` is None where nothing is forbidden, which no file can say."""

    level: Level = Level.READ_ONLY
    exec: bool = False
    rules: Rules | None = Rules()
    source: str = "the host's policy"
    """Where it stands, for the words of a refusal."""


class Refusal(Struct, frozen=True):
    """Why something isn't done. `rule` is the key in the policy file that forbids it."""

    rule: str
    message: str


READ_ONLY = LocalPolicy()
UNRESTRICTED = LocalPolicy(Level.MANAGE, exec=True, rules=None)
"""For programs that embed the agent, and decide by themselves."""

NETWORK_DRIVERS = ("", "default", "bridge", "overlay")
"""What networks may always be made of: nothing of the host's own network is in them."""

_LOCAL_IMAGES = frozenset({"image_build", "image_load", "image_import", "image_tag", "container_commit"})
_TMPFS_OPTION = re.compile(
    r"(size|nr_blocks|nr_inodes|mode|uid|gid)=[0-9]+[kmg%]?|ro|rw|no(exec|suid|dev|atime)", re.I
)


def judge_operation(policy: LocalPolicy, operation: Operation) -> Refusal | None:
    """Whether an operation may run here at all."""
    lacking = lacks(operation, policy.level, may_exec=policy.exec)
    if lacking is not None:
        return refusal(policy, *lacking)
    if operation.name in _LOCAL_IMAGES and policy.rules is not None and not policy.rules.local_images:
        return refusal(policy, "rules.local_images", f"{operation.name} needs local_images = true")
    return None


def judge_image(policy: LocalPolicy, image: str) -> Refusal | None:
    """Whether an image may be pulled, pushed, or made a container of: a reference, or a whole id."""
    if policy.rules is None or _image_permitted(policy.rules.images, image):
        return None
    return refusal(policy, "rules.images", f"no pattern in images permits the image {image[:128]!r}")


def judge_volume(policy: LocalPolicy, body: Mapping[str, object]) -> Refusal | None:
    """Whether a volume may be made of this body of Docker's (Driver, DriverOpts)."""
    rules = policy.rules
    if rules is None:
        return None
    fields = {key.lower(): value for key, value in body.items()}
    driver, options = str(fields.get("driver") or "local"), fields.get("driveropts") or {}
    if len(fields) != len(body):
        return refusal(policy, "rules.volume_drivers", "a volume has the same setting twice")
    if driver != "local":
        if listed(rules.volume_drivers, driver):
            return None
        return refusal(policy, "rules.volume_drivers", f"volume_drivers doesn't list {driver!r}")
    return _local_volume(policy, rules, options)


def judge_network(policy: LocalPolicy, body: Mapping[str, object]) -> Refusal | None:
    """Whether a network may be made of this body of Docker's (Driver)."""
    if policy.rules is None:
        return None
    drivers = [str(value or "") for key, value in body.items() if key.lower() == "driver"]
    for driver in drivers:
        if driver not in NETWORK_DRIVERS and not listed(policy.rules.network_drivers, driver):
            return refusal(policy, "rules.network_drivers", f"network_drivers doesn't list {driver!r}")
    return None


def judge_process(policy: LocalPolicy, body: Mapping[str, object]) -> Refusal | None:
    """Whether a process may be run in a container by this body of Docker's (Cmd, Privileged)."""
    if not policy.exec:
        return refusal(policy, "exec", "running processes in containers needs exec = true")
    privileged = any(value for key, value in body.items() if key.lower() == "privileged")
    if privileged and policy.rules is not None and not policy.rules.privileged:
        return refusal(policy, "rules.privileged", "privileged is false")
    return None


def judge_host_path(policy: LocalPolicy, path: str) -> Refusal | None:
    """Whether a path of the host may be mounted."""
    rules = policy.rules
    if rules is None:
        return None
    real = normal_path(path)
    if real is None:
        return refusal(policy, "rules.binds", f"{path[:128]!r} is no absolute path")
    if not path_permitted(rules.binds, real):
        return refusal(policy, "rules.binds", f"binds doesn't list the host's path {real[:128]}")
    for socket in _SOCKETS:
        if _holds(real, socket) and socket not in rules.binds:
            return refusal(
                policy,
                "rules.binds",
                f"{real[:128]} holds {socket}, which makes its user root of the host, and binds doesn't list that "
                "socket itself",
            )
    return None


def refusal(policy: LocalPolicy, rule: str, reason: str) -> Refusal:
    """A refusal in the words that all of them have."""
    return Refusal(
        rule, f"the policy of this host forbids it ({rule}): {reason}. Nothing was done; see {policy.source}"
    )


# What lists permit


def listed(permitted: Iterable[str], value: str) -> bool:
    """Whether a list has a value, or "*"."""
    return any(entry in ("*", value) for entry in permitted)


def normal_path(path: str) -> str | None:
    """An absolute path as the kernel reads it; None for one that isn't absolute. ".." never leads above "/"."""
    if not path.startswith("/") or "\0" in path:
        return None
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def path_permitted(permitted: Iterable[str], path: str) -> bool:
    """Whether a list of paths has a normal path."""
    for entry in permitted:
        below = entry == "/**" or entry.endswith("/**")
        base = normal_path(entry.removesuffix("**") if below else entry)
        if base is not None and (path == base or (below and _holds(base, path))):
            return True
    return False


_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock",
)


def _holds(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _image_permitted(patterns: Iterable[str], image: str) -> bool:
    if image_id(image) is not None:
        return any(pattern in ("*", image) for pattern in patterns)
    try:
        reference = parse_reference(image)
    except InvalidReference:
        return False
    for pattern in patterns:
        if pattern == "*":
            return True
        if pattern.startswith("sha256:"):
            if pattern == reference.digest:
                return True
            continue
        name, colon, tag = pattern.rpartition(":")
        if not colon or "/" in tag:
            name, tag = pattern, "*"
        if _matches(_whole(name), reference.name) and _matches(tag, reference.tag or ""):
            return True
    return False


def _whole(name: str) -> str:
    """A pattern of names with what Docker fills in."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first in ("localhost", "*", "**")):
        return name
    return f"{DEFAULT_REGISTRY}/{name if slash else f'library/{name}'}"


def _matches(pattern: str, text: str) -> bool:
    """A "*" stands for any characters but "/", "**" for any at all."""
    pieces = re.split(r"(\*\*|\*)", pattern)
    made = "".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.fullmatch(made, text, re.DOTALL) is not None


def _local_volume(policy: LocalPolicy, rules: Rules, options: object) -> Refusal | None:
    if not isinstance(options, Mapping):
        return refusal(policy, "rules.volume_drivers", "a volume's options are no table")
    given = {str(key).lower(): str(value) for key, value in options.items()}
    if len(given) != len(options):
        return refusal(policy, "rules.volume_drivers", "a volume has the same option twice")
    if not given:
        return None
    flags = [flag.strip() for flag in given.get("o", "").split(",") if flag.strip()]
    if "bind" in flags or "rbind" in flags:
        return judge_host_path(policy, given.get("device", ""))
    quiet = all(_TMPFS_OPTION.fullmatch(flag) for flag in flags)
    if given.get("type") == "tmpfs" and set(given) <= {"type", "device", "o"} and quiet:
        return None
    if set(given) <= {"size"} or listed(rules.volume_drivers, "local"):
        return None
    return refusal(
        policy,
        "rules.volume_drivers",
        f"a volume of the driver local mounts {given.get('device', 'something')[:128]!r} of the host or its network, "
        'and volume_drivers doesn\'t list "local"',
    )
