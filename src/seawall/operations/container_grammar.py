"""The small languages in which a container is described: ports, mounts, networks, sizes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from msgspec import Struct

MOST_PORTS = 1024
"""Of one container: each published port is a rule of the host's firewall."""

_LAST_PORT = 65535
_PROTOCOLS = ("tcp", "udp", "sctp")
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_HOST_NAME = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?")
_SIZE = re.compile(r"([0-9]+)([bkmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_MOUNT_FLAGS = frozenset("ro rw z Z nocopy shared rshared slave rslave private rprivate".split())  # noqa: SIM905 - words
_PROPAGATIONS = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
_ULIMITS = re.compile(
    r"core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack"
)
_POLICY = re.compile(r"no|always|unless-stopped|on-failure(?::([0-9]{1,6}))?")


class GrammarError(ValueError):
    """A text doesn't fit its grammar. The message quotes it and says what would."""


class Published(Struct, frozen=True):
    """A port of a container, and where the host offers it; no `host_port` leaves the choice to Docker."""

    port: str
    host_address: str = ""
    host_port: str = ""


class Endpoint(Struct, frozen=True):
    """A container's place in a network, with Docker's own body for it."""

    network: str
    body: dict[str, object]


def parse_published(text: str) -> list[Published]:
    """`[[address:]host port:]container port[/protocol]`, ports or ranges of them."""
    rest, slash, protocol = text.partition("/")
    if slash and protocol not in _PROTOCOLS:
        raise _error(text, "a port", f"the protocol is one of {', '.join(_PROTOCOLS)}")
    protocol = protocol or "tcp"
    address = ""
    if rest.startswith("["):
        address, bracket, rest = rest[1:].partition("]:")
        if not bracket:
            raise _error(text, "a port", "an IPv6 address stands in brackets: [::1]:8080:80")
    parts = rest.split(":")
    if len(parts) == 3 and not address:
        address = parts.pop(0)
    if len(parts) > 2 or (address and len(parts) != 2):
        raise _error(
            text, "a port", "write [[address:]host port:]container port, as in 127.0.0.1:8080:80/tcp"
        )
    if address and not _is_address(address):
        raise _error(text, "a port", f"{address!r} is no IP address")
    inside = _ports(text, parts[-1])
    outside = _ports(text, parts[0]) if len(parts) == 2 and parts[0] else []
    if outside and len(inside) not in (1, len(outside)):
        raise _error(text, "a port", "both ranges have to be of the same length")
    if len(inside) == 1 and len(outside) > 1:
        return [Published(f"{inside[0]}/{protocol}", address, f"{outside[0]}-{outside[-1]}")]
    return [
        Published(f"{port}/{protocol}", address, str(outside[index]) if outside else "")
        for index, port in enumerate(inside)
    ]


def parse_exposed(text: str) -> list[str]:
    """`port[/protocol]`, or a range of ports."""
    rest, slash, protocol = text.partition("/")
    if slash and protocol not in _PROTOCOLS:
        raise _error(text, "a port", f"the protocol is one of {', '.join(_PROTOCOLS)}")
    return [f"{port}/{protocol or 'tcp'}" for port in _ports(text, rest)]


def parse_volume(text: str) -> str:
    """`[source:]target[:options]` as Docker takes it: the source a volume's name, or a path of the host."""
    parts = text.split(":")
    if len(parts) > 3:
        raise _error(text, "a volume", "write source:target[:options], as in data:/var/lib/data:ro")
    if len(parts) == 1:
        return _inside(text, parts[0])
    source, target = parts[0], parts[1]
    if source.startswith("/"):
        source = _path(text, source)
    elif not _VOLUME_NAME.fullmatch(source):
        raise _error(text, "a volume", f"{source!r} is neither an absolute path nor a volume's name")
    kept = [source, _inside(text, target)]
    if len(parts) == 3:
        unknown = [flag for flag in parts[2].split(",") if flag not in _MOUNT_FLAGS]
        if unknown:
            raise _error(text, "a volume", f"{unknown[0]!r} is none of {', '.join(sorted(_MOUNT_FLAGS))}")
        kept.append(parts[2])
    return ":".join(kept)


def parse_tmpfs(text: str) -> tuple[str, str]:
    """`path[:options]`: a file system in memory, such as /run:size=64m,noexec."""
    path, _, options = text.partition(":")
    return _inside(text, path), options


def parse_mount(text: str) -> dict[str, object]:
    """`type=bind|volume|tmpfs,source=...,target=...[,readonly]`, as Docker's body."""
    fields, options = _fields(text, "a mount", repeated=("volume-opt",))
    for long, *others in (("source", "src"), ("target", "destination", "dst"), ("readonly", "ro")):
        for other in others:
            if other in fields:
                fields.setdefault(long, fields.pop(other))
    kind, source = fields.pop("type", "volume"), fields.pop("source", "")
    if kind not in ("bind", "volume", "tmpfs"):
        raise _error(text, "a mount", "its type is one of bind, volume and tmpfs")
    if "target" not in fields:
        raise _error(text, "a mount", "it needs a target")
    mount: dict[str, object] = {"Type": kind, "Target": _inside(text, fields.pop("target"))}
    if _flag(text, fields.pop("readonly", "false")):
        mount["ReadOnly"] = True
    if kind == "bind":
        mount["Source"] = _path(text, source)
        mount.update(_bind_options(text, fields))
    elif kind == "volume":
        if source and not _VOLUME_NAME.fullmatch(source):
            raise _error(
                text, "a mount", f"{source!r} is no volume's name; a path of the host needs type=bind"
            )
        mount["Source"] = source
        mount.update(_volume_options(text, fields, options))
    else:
        if source:
            raise _error(text, "a mount", "a tmpfs has no source")
        mount.update(_tmpfs_options(text, fields))
    if fields or (options and kind != "volume"):
        raise _error(
            text, "a mount", f"a mount of the type {kind} has no {next(iter(fields), 'volume-opt')!r}"
        )
    return mount


def parse_endpoint(text: str) -> Endpoint:
    """A network's name, or `name=...,alias=...,alias=...,ip=...,ip6=...`."""
    if "=" not in text:
        return Endpoint(_network(text, text), {})
    fields, aliases = _fields(text, "a network", repeated=("alias",))
    if "name" not in fields:
        raise _error(text, "a network", "it needs a name: name=backend,alias=db")
    name, body = _network(text, fields.pop("name")), dict[str, object]()
    addresses: dict[str, object] = {}
    for field, key, version in (("ip", "IPv4Address", 4), ("ip6", "IPv6Address", 6)):
        address = fields.pop(field, None)
        if address is None:
            continue
        if not _is_address(address, version):
            raise _error(text, "a network", f"{address!r} is no IPv{version} address")
        addresses[key] = address
    if fields:
        raise _error(text, "a network", f"{next(iter(fields))!r} is none of name, alias, ip and ip6")
    for alias in aliases:
        if not _HOST_NAME.fullmatch(alias):
            raise _error(text, "a network", f"the alias {alias!r} is no host's name")
    if addresses:
        body["IPAMConfig"] = addresses
    if aliases:
        body["Aliases"] = aliases
    return Endpoint(name, body)


def parse_device(text: str) -> dict[str, object]:
    """`host path[:path inside][:rwm]`, as Docker's body."""
    parts = text.split(":")
    permissions = parts.pop() if len(parts) > 1 and re.fullmatch("[rwm]{1,3}", parts[-1]) else "rwm"
    if len(parts) > 2:
        raise _error(text, "a device", "write path[:path inside][:permissions], as in /dev/fuse:/dev/fuse:rw")
    paths = [_path(text, part) for part in parts]
    return {"PathOnHost": paths[0], "PathInContainer": paths[-1], "CgroupPermissions": permissions}


def parse_ulimit(text: str) -> dict[str, object]:
    """`name=soft[:hard]`, as Docker's body; -1 is no limit."""
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    numbers = [soft, hard or soft]
    if not _ULIMITS.fullmatch(name) or not all(re.fullmatch("-1|[0-9]{1,18}", each) for each in numbers):
        raise _error(text, "a ulimit", "write name=soft[:hard], as in nofile=1024:4096")
    return {"Name": name, "Soft": int(numbers[0]), "Hard": int(numbers[1])}


def parse_restart_policy(text: str) -> dict[str, object]:
    """`no`, `always`, `unless-stopped` or `on-failure[:most retries]`, as Docker's body."""
    match = _POLICY.fullmatch(text)
    if match is None:
        raise _error(
            text, "a restart policy", "it is one of no, always, unless-stopped and on-failure[:retries]"
        )
    return {"Name": text.partition(":")[0], "MaximumRetryCount": int(match[1] or 0)}


def parse_size(text: str) -> int:
    """Bytes, or a number with k, m or g after it."""
    match = _SIZE.fullmatch(text)
    if match is None or len(match[1]) > 15:
        raise _error(text, "a size", "write a number of bytes, or one with k, m or g after it, such as 512m")
    return int(match[1]) * _UNITS[match[2].lower()]


def parse_extra_host(text: str) -> str:
    """`name:address`, the address also "host-gateway", as Docker takes it."""
    name, colon, address = text.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not colon or not _HOST_NAME.fullmatch(name) or not (address == "host-gateway" or _is_address(address)):
        raise _error(text, "a host", "write name:address, as in db.internal:10.0.0.7")
    return f"{name}:{address}"


def parse_address(text: str) -> str:
    """An IP address."""
    if not _is_address(text):
        raise _error(text, "an address", "write an IPv4 or IPv6 address")
    return text


def parse_mode(text: str, kinds: tuple[str, ...]) -> str:
    """A namespace's mode: one of these words, or `container:<name>` where "container" is one of them."""
    kind, colon, name = text.partition(":")
    joins = kind == "container" and "container" in kinds
    if (not colon and kind in kinds and not joins) or (joins and colon and _NETWORK_NAME.fullmatch(name)):
        return text
    words = ", ".join("container:<name>" if kind == "container" else kind for kind in kinds)
    raise _error(text, "a mode", f"it is one of {words}")


def _bind_options(text: str, fields: dict[str, str]) -> Iterator[tuple[str, object]]:
    propagation = fields.pop("bind-propagation", None)
    if propagation is not None:
        if propagation not in _PROPAGATIONS:
            raise _error(text, "a mount", f"its propagation is one of {', '.join(_PROPAGATIONS)}")
        yield "BindOptions", {"Propagation": propagation}


def _volume_options(text: str, fields: dict[str, str], options: list[str]) -> Iterator[tuple[str, object]]:
    driver, pairs = fields.pop("volume-driver", None), [option.partition("=") for option in options]
    if any(not equals or not key for key, equals, _ in pairs):
        raise _error(text, "a mount", "an option is volume-opt=key=value")
    made: dict[str, object] = {}
    if _flag(text, fields.pop("volume-nocopy", "false")):
        made["NoCopy"] = True
    if driver is not None or pairs:
        made["DriverConfig"] = {"Name": driver or "local", "Options": {key: value for key, _, value in pairs}}
    if made:
        yield "VolumeOptions", made


def _tmpfs_options(text: str, fields: dict[str, str]) -> Iterator[tuple[str, object]]:
    size, mode = fields.pop("tmpfs-size", None), fields.pop("tmpfs-mode", None)
    made: dict[str, object] = {}
    if size is not None:
        made["SizeBytes"] = parse_size(size)
    if mode is not None:
        if not re.fullmatch("[0-7]{3,4}", mode):
            raise _error(text, "a mount", "its mode is octal, such as 1777")
        made["Mode"] = int(mode, 8)
    if made:
        yield "TmpfsOptions", made


def _fields(text: str, what: str, *, repeated: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """The `key=value` fields of a text, and the values of those that may come several times."""
    fields: dict[str, str] = {}
    many: list[str] = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key in repeated:
            many.append(value)
        elif key in fields or not key:
            raise _error(text, what, f"{key!r} is there twice" if key else "it has an empty field")
        else:
            fields[key] = value if equals else "true"
    return fields, many


def _ports(text: str, part: str) -> range:
    first, dash, last = part.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(re.fullmatch("[0-9]{1,5}", number) for number in numbers):
        raise _error(text, "a port", f"{part!r} is no port and no range of ports")
    ports = range(int(numbers[0]), int(numbers[1]) + 1)
    if not ports or ports[0] < 1 or ports[-1] > _LAST_PORT:
        raise _error(text, "a port", f"ports are numbers from 1 to {_LAST_PORT}")
    if len(ports) > MOST_PORTS:
        raise _error(text, "a port", f"a range has at most {MOST_PORTS} ports")
    return ports


def _path(text: str, path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise _error(text, "a path", f"{path!r} doesn't begin with '/'")
    if ".." in path.split("/"):
        raise _error(text, "a path", f"{path!r} has '..' in it: write where it really is")
    return path


def _inside(text: str, path: str) -> str:
    if not _path(text, path).strip("/"):
        raise _error(text, "a path", "nothing is mounted over a container's '/'")
    return path


def _network(text: str, name: str) -> str:
    if not _NETWORK_NAME.fullmatch(name):
        raise _error(text, "a network", f"{name!r} is no network's name")
    return name


def _flag(text: str, value: str) -> bool:
    if value not in ("true", "false", "1", "0"):
        raise _error(text, "a mount", f"{value!r} is neither true nor false")
    return value in ("true", "1")


def _is_address(text: str, version: int | None = None) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and version in (None, address.version)


def _error(text: str, what: str, help_text: str) -> GrammarError:
    return GrammarError(f"{text[:128]!r} is not {what}: {help_text}")
