"""Whether a container may be created, judged by the very body that goes to the Docker Engine.

Docker reads the names of fields without regard to case, and what it doesn't know today it may obey tomorrow. So names
are folded, a name that comes twice is refused, and so is a field that isn't known here, unless it is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seawall.agent.local_policy import (
    LocalPolicy,
    Refusal,
    Rules,
    judge_host_path,
    judge_image,
    judge_volume,
    listed,
    normal_path,
    path_permitted,
    refusal,
)
from seawall.operations.host_level import Level

_NAMESPACES = {
    "networkmode": "network",
    "pidmode": "pid",
    "ipcmode": "ipc",
    "utsmode": "uts",
    "usernsmode": "userns",
    "cgroupnsmode": "cgroup",
}
_CONFIG_FIELDS = """
hostname domainname user attachstdin attachstdout attachstderr exposedports tty openstdin stdinonce env cmd
healthcheck argsescaped volumes workingdir entrypoint networkdisabled macaddress onbuild labels stopsignal
stoptimeout shell
"""
_HARMLESS_CONFIG = frozenset(_CONFIG_FIELDS.split())
_HOST_FIELDS = """
portbindings restartpolicy autoremove capdrop dns dnsoptions dnssearch extrahosts groupadd links oomscoreadj
publishallports readonlyrootfs storageopt tmpfs shmsize consolesize isolation cpushares memory nanocpus
blkioweight blkioweightdevice blkiodevicereadbps blkiodevicewritebps blkiodevicereadiops blkiodevicewriteiops
cpuperiod cpuquota cpurealtimeperiod cpurealtimeruntime cpusetcpus cpusetmems kernelmemory kernelmemorytcp
memoryreservation memoryswap memoryswappiness oomkilldisable pidslimit ulimits cpucount cpupercent
iomaximumiops iomaximumbandwidth init
"""
_HARMLESS_HOST = frozenset(_HOST_FIELDS.split())
_LOG_DRIVERS = ("", "json-file", "local", "journald", "none")
_RUNTIMES = ("", "runc", "io.containerd.runc.v2")
_QUIET_SECURITY = ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
_MASKED = frozenset(
    {
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
    }
)
_READ_ONLY = frozenset({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
_UNMASKED = "systempaths=unconfined"


class _Ambiguous(Exception):
    """A body can be read in two ways."""


def judge_spec(policy: LocalPolicy, body: Mapping[str, object]) -> Refusal | None:
    """Why a container must not be created of this body, HostConfig and NetworkingConfig included; None if it may."""
    if policy.level is not Level.MANAGE:
        return refusal(
            policy, "level", f'containers are created at level = "manage", not "{policy.level.value}"'
        )
    if policy.rules is None:
        return None
    try:
        return next(_Judgement(policy, policy.rules).refusals(body), None)
    except _Ambiguous as error:
        return refusal(policy, "rules", str(error))


class _Judgement:
    def __init__(self, policy: LocalPolicy, rules: Rules) -> None:
        self._policy = policy
        self._rules = rules
        self._quiet = set(_QUIET_SECURITY)

    def refusals(self, body: Mapping[str, object]) -> Iterator[Refusal]:
        config = _folded(body)
        host, networking = (
            _table(config.pop("hostconfig", None)),
            _table(config.pop("networkingconfig", None)),
        )
        image = judge_image(self._policy, str(config.pop("image", "") or ""))
        if image is not None:
            yield image
        yield from self._unknown(config, _HARMLESS_CONFIG)
        yield from self._namespaces(host)
        yield from self._endpoints(networking)
        yield from self._privileges(host)
        yield from self._devices(host)
        yield from self._mounts(host)
        yield from self._surroundings(host)
        yield from self._unknown(host, _HARMLESS_HOST)

    def _refused(self, rule: str, reason: str) -> Refusal:
        return refusal(self._policy, f"rules.{rule}", reason)

    def _unknown(self, fields: Mapping[str, object], harmless: frozenset[str]) -> Iterator[Refusal]:
        for name, value in fields.items():
            if name not in harmless and value:
                yield refusal(self._policy, "rules", f"no rule knows the setting {name[:64]!r}")

    def _namespaces(self, host: dict[str, object]) -> Iterator[Refusal]:
        for field, kind in _NAMESPACES.items():
            mode = _text(host.pop(field, None)).strip().lower()
            # Another container may itself be in the host's.
            if mode == "host" or mode.startswith("container:"):
                yield from self._namespace(kind, mode)
            if mode == "host" and kind in ("pid", "ipc"):
                self._quiet.add("label=disable")  # Docker adds it there by itself

    def _namespace(self, kind: str, mode: str) -> Iterator[Refusal]:
        if not listed(self._rules.host_namespaces, kind):
            yield self._refused(
                "host_namespaces", f"host_namespaces doesn't list {kind!r}, and its mode is {mode[:64]!r}"
            )

    def _endpoints(self, networking: dict[str, object]) -> Iterator[Refusal]:
        endpoints = networking.pop("endpointsconfig", None)
        for name, endpoint in endpoints.items() if isinstance(endpoints, Mapping) else ():
            if str(name).strip().lower() == "host":
                yield from self._namespace("network", "host")
            options = _table(endpoint).get("driveropts")
            for option in options if isinstance(options, Mapping) else ():
                if not listed(self._rules.sysctls, str(option)):
                    yield self._refused("sysctls", f"sysctls doesn't list the endpoint's option {option!r}")
        yield from self._unknown(networking, frozenset())

    def _privileges(self, host: dict[str, object]) -> Iterator[Refusal]:
        rules = self._rules
        if host.pop("privileged", None) and not rules.privileged:
            yield self._refused("privileged", "privileged is false")
        permitted = [_capability(each) for each in rules.capabilities]
        for given in _items(host.pop("capadd", None)):
            if not listed(permitted, _capability(_text(given))):
                yield self._refused("capabilities", f"capabilities doesn't list {given!r}")
        # Docker knew the whole set under this name for a while.
        for given in _items(host.pop("capabilities", None)):
            yield self._refused("capabilities", f"a set of capabilities with {given!r} replaces Docker's own")
        for given in _items(host.pop("securityopt", None)):
            option = _text(given)
            if option not in self._quiet and not listed(rules.security_options, option):
                yield self._refused("security_options", f"security_options doesn't list {option[:128]!r}")
        for field, needed in (("maskedpaths", _MASKED), ("readonlypaths", _READ_ONLY)):
            paths = host.pop(field, None)
            bare = paths is not None and not needed <= {_text(each) for each in _items(paths)}
            if bare and not listed(rules.security_options, _UNMASKED):
                yield self._refused("security_options", f"security_options doesn't list {_UNMASKED!r}")
        sysctls = host.pop("sysctls", None)
        for name in sysctls if isinstance(sysctls, Mapping) else _items(sysctls):
            if not listed(rules.sysctls, _text(name)):
                yield self._refused("sysctls", f"sysctls doesn't list {name!r}")

    def _devices(self, host: dict[str, object]) -> Iterator[Refusal]:
        rules = self._rules
        for device in _items(host.pop("devices", None)):
            given = _text(_table(device).get("pathonhost"))
            path = normal_path(given)
            if path is None or not path_permitted(rules.devices, path):
                yield self._refused("devices", f"devices doesn't list {given[:128]!r}")
        for rule in _items(host.pop("devicecgrouprules", None)):
            if _text(rule) not in rules.devices:
                yield self._refused("devices", f"devices doesn't list the rule {rule!r}")
        if host.pop("devicerequests", None) and not rules.device_requests:
            yield self._refused("device_requests", "device_requests is false")

    def _mounts(self, host: dict[str, object]) -> Iterator[Refusal]:
        for bind in _items(host.pop("binds", None)):
            source, colon, _ = _text(bind).partition(":")
            if colon:
                yield from self._source(source)
        for mount in _items(host.pop("mounts", None)):
            yield from self._mount(_table(mount))
        driver = host.pop("volumedriver", None)
        if driver:
            yield from _found(judge_volume(self._policy, {"Driver": driver}))
        if host.pop("volumesfrom", None) and not self._rules.volumes_from:
            yield self._refused("volumes_from", "volumes_from is false")

    def _mount(self, mount: dict[str, object]) -> Iterator[Refusal]:
        kind, source = mount.get("type"), _text(mount.get("source"))
        if kind == "bind":
            yield from _found(judge_host_path(self._policy, source))
        elif kind == "volume":
            if source:
                yield from self._source(source, volume=True)
            volume = _table(mount.get("volumeoptions"))
            driver = _table(volume.get("driverconfig"))
            body = {"Driver": driver.get("name"), "DriverOpts": driver.get("options")}
            yield from _found(judge_volume(self._policy, body))
        elif kind != "tmpfs":
            yield self._refused("binds", f"no rule knows mounts of the type {_text(kind)[:64]!r}")

    def _source(self, source: str, *, volume: bool = False) -> Iterator[Refusal]:
        """A path of the host, or the name of a volume."""
        if source.startswith("/") and not volume:
            yield from _found(judge_host_path(self._policy, source))
        elif not source or not all(each.isalnum() or each in "_.-" for each in source):
            yield self._refused("binds", f"{source[:128]!r} is neither an absolute path nor a volume's name")

    def _surroundings(self, host: dict[str, object]) -> Iterator[Refusal]:
        rules = self._rules
        runtime, parent = _text(host.pop("runtime", None)), _text(host.pop("cgroupparent", None))
        if runtime not in _RUNTIMES and not listed(rules.runtimes, runtime):
            yield self._refused("runtimes", f"runtimes doesn't list {runtime!r}")
        if parent and not listed(rules.cgroup_parents, parent):
            yield self._refused("cgroup_parents", f"cgroup_parents doesn't list {parent[:128]!r}")
        driver = _text(_table(host.pop("logconfig", None)).get("type"))
        if driver not in _LOG_DRIVERS and not listed(rules.log_drivers, driver):
            yield self._refused("log_drivers", f"log_drivers doesn't list {driver!r}")


def _found(refused: Refusal | None) -> Iterator[Refusal]:
    if refused is not None:
        yield refused


def _folded(fields: Mapping[str, object]) -> dict[str, object]:
    folded: dict[str, object] = {}
    for name, value in fields.items():
        key = name.lower()
        if key in folded:
            raise _Ambiguous(f"the setting {name[:64]!r} is there twice")
        folded[key] = value
    return folded


def _table(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Ambiguous(f"something that has to be a table is {str(value)[:64]!r}")
    return _folded(value)


def _items(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        # Docker takes a lone text for a list of one.
        return [value] if value else []
    return list(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _capability(name: str) -> str:
    name = name.upper()
    return "*" if name == "*" else name.removeprefix("CAP_")
