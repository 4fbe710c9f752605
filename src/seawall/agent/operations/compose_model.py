"""What a Compose project comes to: each service as the body with which Docker would be asked to create its container.

The agent's local policy judges such bodies. A Compose program makes them by itself, so everything that it may be told
has to be known here: what isn't, is refused. That goes for settings of later versions, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct

from seawall.agent.operations.compose_files import MOST_SERVICES
from seawall.agent.operations.compose_mounts import mounts_of, volume_of
from seawall.agent.operations.compose_networks import network_of, networks_of
from seawall.agent.operations.compose_values import (
    ModelRefused,
    a_table,
    a_whole_number,
    an_environment,
    seconds,
    size,
    table_or_list,
    texts,
    words,
)

Value = TypeVar("Value")
MOST_REPLICAS = 100


class Service(Struct, frozen=True):
    """One service: `body` is Docker's create body, `replicas` how many containers of it there will be."""

    name: str
    body: dict[str, object]
    replicas: int = 1


class Project(Struct, frozen=True):
    """What a Compose program made of the files: `content` for it to read again, and the rest to be judged.

    `volumes` and `networks` are, by their names in the files, bodies with which Docker is asked to create them.
    """

    content: dict[str, object]
    services: tuple[Service, ...]
    volumes: dict[str, dict[str, object]]
    networks: dict[str, dict[str, object]]


def project_of(content: object) -> Project:
    """The project that a Compose program's `config` has told. Raises ModelRefused for what isn't known here."""
    whole = a_table(content, "the project")
    plain = a_table(_unescaped(whole), "the project")
    kept = {key: value for key, value in whole.items() if not key.startswith("x-")}
    for key in kept:
        if key not in ("version", "name", "services", "networks", "volumes"):
            raise ModelRefused(f"`{key[:64]}` is nothing that the agent knows of a project")
    networks = a_table(plain.get("networks") or {}, "networks")
    volumes = a_table(plain.get("volumes") or {}, "volumes")
    services = a_table(plain.get("services") or {}, "services")
    if not services:
        raise ModelRefused("the project has no services")
    if len(services) > MOST_SERVICES:
        raise ModelRefused(f"the project has {len(services)} services, at most {MOST_SERVICES} are taken")
    project = _Names(frozenset(services), networks)
    return Project(
        kept,
        tuple(
            _service(name, a_table(settings, f"service {name}"), project)
            for name, settings in services.items()
        ),
        {name: volume_of(name, value) for name, value in volumes.items()},
        {name: network_of(name, value) for name, value in networks.items()},
    )


class _Names(Struct, frozen=True):
    services: frozenset[str]
    networks: Mapping[str, object]


def _service(name: str, settings: Mapping[str, object], project: _Names) -> Service:
    where = f"service {name[:64]}"
    config: dict[str, object] = {}
    host: dict[str, object] = {}
    for key, value in settings.items():
        if value is None or key in _IGNORED or key.startswith("x-"):
            continue
        try:
            if key in _CONFIG:
                target, convert = _CONFIG[key]
                config[target] = convert(value)
            elif key in _HOST:
                target, convert = _HOST[key]
                host[target] = convert(value)
            elif key in _NAMESPACES:
                host |= _namespace(_NAMESPACES[key], value, project)
        except ModelRefused as refusal:
            raise ModelRefused(f"{where}: `{key[:64]}`: {refusal}") from refusal
        if key not in _KNOWN:
            raise ModelRefused(
                f"{where}: the agent doesn't know `{key[:64]}`, and so can't tell what it does"
            )
    if "Image" not in config:
        raise ModelRefused(f"{where} has no `image`, and the agent builds none: name one")
    replicas = _deploy(where, settings, host)
    mounts = mounts_of(settings, where)
    if mounts:
        host["Mounts"] = mounts
    more_config, more_host, networking = networks_of(settings, project.networks, where)
    body: dict[str, object] = {**config, **more_config, "HostConfig": {**host, **more_host}}
    if networking:
        body["NetworkingConfig"] = networking
    return Service(name, body, replicas)


def _deploy(where: str, settings: Mapping[str, object], host: dict[str, object]) -> int:
    deploy = a_table(settings.get("deploy") or {}, f"{where}: `deploy`")
    resources = a_table(deploy.get("resources") or {}, f"{where}: `deploy`")
    limits = a_table(resources.get("limits") or {}, f"{where}: `deploy`")
    reservations = a_table(resources.get("reservations") or {}, f"{where}: `deploy`")
    if "memory" in limits:
        host.setdefault("Memory", size(limits["memory"]))
    if "cpus" in limits:
        host.setdefault("NanoCpus", _nano(limits["cpus"]))
    devices = reservations.get("devices")
    if devices:
        host["DeviceRequests"] = devices
    replicas = settings.get("scale", deploy.get("replicas", 1))
    if not isinstance(replicas, int) or not 0 <= replicas <= MOST_REPLICAS:
        raise ModelRefused(f"{where}: {str(replicas)[:20]} containers are not from 0 to {MOST_REPLICAS}")
    return replicas


def _namespace(target: str, value: object, project: _Names) -> dict[str, object]:
    """Another container's namespace: that of a service of the same project is judged with that service."""
    mode = _text(value)
    if mode.partition(":")[0] == "service" and mode.partition(":")[2] in project.services:
        return {}
    return {target: mode}


def _unescaped(value: object) -> object:
    """The texts as they are meant, where a Compose program has doubled their dollars."""
    if isinstance(value, dict):
        return {key: _unescaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unescaped(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "$" in value.replace("$$", ""):
        raise ModelRefused("a text with a variable is left after all variables have been filled in")
    return value.replace("$$", "$")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ModelRefused(f"{str(value)[:64]!r} is no text")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ModelRefused(f"{str(value)[:64]!r} is neither true nor false")
    return value


def _nano(value: object) -> int:
    try:
        return int(float(str(value)) * 1_000_000_000)
    except (ValueError, OverflowError):
        raise ModelRefused(f"{str(value)[:64]!r} is no number") from None


def _devices(value: object) -> list[dict[str, object]]:
    devices: list[dict[str, object]] = []
    for device in value if isinstance(value, list) else [value]:
        if isinstance(device, dict):
            parts = [str(device.get("source")), str(device.get("target") or device.get("source"))]
            parts.append(str(device.get("permissions") or "rwm"))
        else:
            parts = _text(device).split(":")
        source = parts[0]
        devices.append(
            {
                "PathOnHost": source,
                "PathInContainer": parts[1] if len(parts) > 1 else source,
                "CgroupPermissions": parts[2] if len(parts) > 2 else "rwm",
            }
        )
    return devices


def _gpus(value: object) -> list[object]:
    return value if isinstance(value, list) else [{"Driver": str(value)[:64]}]


def _limits(value: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name, limit in a_table(value, "ulimits").items():
        soft, hard = (limit.get("soft"), limit.get("hard")) if isinstance(limit, dict) else (limit, limit)
        found.append({"Name": name, "Soft": a_whole_number(soft), "Hard": a_whole_number(hard)})
    return found


def _restart(value: object) -> dict[str, object]:
    name, _, count = _text(value).partition(":")
    return {"Name": name, **({"MaximumRetryCount": a_whole_number(count)} if count else {})}


def _logging(value: object) -> dict[str, object]:
    logging = a_table(value, "logging")
    return {"Type": logging.get("driver") or "", "Config": table_or_list(logging.get("options") or {})}


def _health(value: object) -> dict[str, object]:
    health = a_table(value, "healthcheck")
    if health.get("disable"):
        return {"Test": ["NONE"]}
    test = health.get("test")
    return {"Test": ["CMD-SHELL", test] if isinstance(test, str) else texts(test or [])}


def _tmpfs(value: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in texts([value] if isinstance(value, str) else value):
        path, _, options = entry.partition(":")
        found[path] = options
    return found


Row = tuple[str, Callable[[object], object]]

_CONFIG: dict[str, Row] = {
    "image": ("Image", _text),
    "command": ("Cmd", words),
    "entrypoint": ("Entrypoint", words),
    "environment": ("Env", an_environment),
    "labels": ("Labels", table_or_list),
    "working_dir": ("WorkingDir", _text),
    "user": ("User", str),
    "hostname": ("Hostname", _text),
    "domainname": ("Domainname", _text),
    "stop_signal": ("StopSignal", _text),
    "stop_grace_period": ("StopTimeout", seconds),
    "tty": ("Tty", _truth),
    "stdin_open": ("OpenStdin", _truth),
    "healthcheck": ("Healthcheck", _health),
}
_HOST: dict[str, Row] = {
    "privileged": ("Privileged", _truth),
    "cap_add": ("CapAdd", texts),
    "cap_drop": ("CapDrop", texts),
    "cgroup_parent": ("CgroupParent", _text),
    "cgroup": ("CgroupnsMode", _text),
    "cpu_count": ("CpuCount", a_whole_number),
    "cpu_period": ("CpuPeriod", str),
    "cpu_quota": ("CpuQuota", str),
    "cpu_rt_period": ("CpuRealtimePeriod", str),
    "cpu_rt_runtime": ("CpuRealtimeRuntime", str),
    "cpu_shares": ("CpuShares", a_whole_number),
    "cpus": ("NanoCpus", _nano),
    "cpuset": ("CpusetCpus", str),
    "device_cgroup_rules": ("DeviceCgroupRules", texts),
    "devices": ("Devices", _devices),
    "dns": ("Dns", lambda value: texts([value] if isinstance(value, str) else value)),
    "dns_opt": ("DnsOptions", texts),
    "dns_search": ("DnsSearch", lambda value: texts([value] if isinstance(value, str) else value)),
    "extra_hosts": ("ExtraHosts", lambda value: value),
    "gpus": ("DeviceRequests", _gpus),
    "group_add": ("GroupAdd", lambda value: value),
    "init": ("Init", _truth),
    "isolation": ("Isolation", _text),
    "logging": ("LogConfig", _logging),
    "mem_limit": ("Memory", size),
    "mem_reservation": ("MemoryReservation", size),
    "mem_swappiness": ("MemorySwappiness", a_whole_number),
    "memswap_limit": ("MemorySwap", size),
    "oom_kill_disable": ("OomKillDisable", _truth),
    "oom_score_adj": ("OomScoreAdj", a_whole_number),
    "pids_limit": ("PidsLimit", a_whole_number),
    "read_only": ("ReadonlyRootfs", _truth),
    "restart": ("RestartPolicy", _restart),
    "runtime": ("Runtime", _text),
    "security_opt": ("SecurityOpt", texts),
    "shm_size": ("ShmSize", size),
    "storage_opt": ("StorageOpt", table_or_list),
    "sysctls": ("Sysctls", table_or_list),
    "tmpfs": ("Tmpfs", _tmpfs),
    "ulimits": ("Ulimits", _limits),
    "uts": ("UTSMode", _text),
    "userns_mode": ("UsernsMode", _text),
}
_NAMESPACES = {"pid": "PidMode", "ipc": "IpcMode", "network_mode": "NetworkMode"}
_IGNORED = frozenset(
    {
        "annotations",
        "attach",
        "container_name",
        "depends_on",
        "expose",
        "links",
        "platform",
        "profiles",
        "pull_policy",
        "scale",
    }
)
"""What says nothing about the host: order, names, and how images are chosen, which has an argument of its own."""
_APART = frozenset({"deploy", "mac_address", "networks", "ports", "volumes"})
"""What is translated on its own, because it needs more than its own value."""
_KNOWN = _APART | _CONFIG.keys() | _HOST.keys() | _NAMESPACES.keys()
