"""What inspect tells of a container that was created with a given body, as Docker fills it in."""

from __future__ import annotations

from collections.abc import Mapping

_HOST_DEFAULTS: dict[str, object] = {
    "Binds": None,
    "LogConfig": {"Type": "json-file", "Config": {}},
    "NetworkMode": "default",
    "PortBindings": {},
    "VolumesFrom": None,
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "private",
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": None,
    "IpcMode": "private",
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 64 * 1024**2,
    "Runtime": "runc",
    "CpuShares": 0,
    "Memory": 0,
    "MemorySwap": 0,
    "NanoCpus": 0,
    "PidsLimit": None,
    "Devices": [],
    "DeviceRequests": None,
    "Ulimits": None,
}
_CONFIG_DEFAULTS: dict[str, object] = {
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["sh"],
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
}
_ENDPOINT_DEFAULTS: dict[str, object] = {"IPAMConfig": None, "Links": None, "Aliases": None}
_SHORT_ID = 12


def section(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object inside one of Docker's objects; empty if it was left out."""
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def config_of(spec: Mapping[str, object], container_id: str) -> dict[str, object]:
    """Its `Config`."""
    given = {key: value for key, value in spec.items() if key not in ("HostConfig", "NetworkingConfig")}
    return {"Hostname": container_id[:_SHORT_ID], **_CONFIG_DEFAULTS, **given}


def host_config_of(spec: Mapping[str, object]) -> dict[str, object]:
    """Its `HostConfig`. Swap is twice the memory unless told otherwise."""
    given = section(spec, "HostConfig")
    memory, swap = given.get("Memory"), given.get("MemorySwap")
    doubled = {"MemorySwap": 2 * memory} if isinstance(memory, int) and memory > 0 and not swap else {}
    return {**_HOST_DEFAULTS, **given, **doubled}


def networks_of(spec: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Its endpoints: those that were asked for, else the one of its network mode."""
    ends = section(section(spec, "NetworkingConfig"), "EndpointsConfig")
    if not ends:
        mode = str(section(spec, "HostConfig").get("NetworkMode") or "default")
        if mode.startswith("container:"):
            return {}
        ends = {"bridge" if mode == "default" else mode: {}}
    return {name: {**_ENDPOINT_DEFAULTS, **section(ends, name)} for name in ends}


def mounts_of(spec: Mapping[str, object]) -> list[dict[str, object]]:
    """Its `Mounts`, made of binds, of mounts, and of anonymous volumes."""
    host = section(spec, "HostConfig")
    binds, mounts = host.get("Binds"), host.get("Mounts")
    found = [_bound(str(bind)) for bind in binds] if isinstance(binds, list) else []
    for mount in mounts if isinstance(mounts, list) else []:
        kind, source, target = mount.get("Type"), mount.get("Source", ""), mount.get("Target")
        found.append(_mount(str(kind), str(source), str(target), writable=mount.get("ReadOnly") is not True))
    taken = {mount["Destination"] for mount in found}
    found += [_mount("volume", "", target) for target in section(spec, "Volumes") if target not in taken]
    return found


def _bound(bind: str) -> dict[str, object]:
    source, _, rest = bind.partition(":")
    target, _, mode = rest.partition(":")
    kind = "bind" if source.startswith("/") else "volume"
    return _mount(kind, source, target, writable="ro" not in mode.split(","))


def _mount(kind: str, source: str, target: str, *, writable: bool = True) -> dict[str, object]:
    mount: dict[str, object] = {"Type": kind, "Source": source, "Destination": target, "RW": writable}
    if kind == "volume":
        mount |= {"Name": source, "Driver": "local"}
    return mount
