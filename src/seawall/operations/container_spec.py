"""From the arguments of container_create and container_run to the body that Docker creates a container of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from seawall.operations import container_grammar as grammar
from seawall.operations.container_grammar import Endpoint, GrammarError
from seawall.operations.image_reference import InvalidReference, image_id, parse_reference

COMMAND_LABEL = "seawall.command_id"
"""The label that says which command created a container."""
OWN_LABELS = "seawall."
"""What labels begin with that only Seawall gives."""
MOST_LABEL_BYTES = 256 * 1024
"""Of all labels together: Docker keeps them in memory, and tells them in every list."""
MOST_ENVIRONMENT_BYTES = 256 * 1024

_NANOSECONDS = 1_000_000_000
_NANO_CPUS = 1_000_000_000

Value = TypeVar("Value")


class Specification(Struct, frozen=True):
    """What is to be created. `body` joins the first network only, as older Engines want it, `further` are the rest."""

    body: dict[str, object]
    further: list[Endpoint]


class InvalidSpecification(ValueError):
    """The arguments describe no container; `problems` has a sentence for each that doesn't fit."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def problems_of(arguments: Mapping[str, object]) -> list[str]:
    """What is wrong with arguments that fit one by one."""
    try:
        _ = specification(arguments, "")
    except InvalidSpecification as error:
        return error.problems
    return []


def specification(arguments: Mapping[str, object], command_id: str) -> Specification:
    """What is to be created for a command. Raises InvalidSpecification."""
    return _Reader(arguments).read(command_id)


def limits_of(arguments: Mapping[str, object]) -> dict[str, object]:
    """Docker's names for the limits among the arguments. Raises InvalidSpecification."""
    reader = _Reader(arguments)
    limits = reader.limits()
    reader.finish()
    return limits


def limit_problems(arguments: Mapping[str, object]) -> list[str]:
    """What is wrong with the limits among the arguments, and whether there are any."""
    try:
        limits = limits_of(arguments)
    except InvalidSpecification as error:
        return error.problems
    return [] if limits else ["name at least one limit, such as memory"]


class _Reader:
    def __init__(self, arguments: Mapping[str, object]) -> None:
        self._arguments = arguments
        self._problems: list[str] = []

    def finish(self) -> None:
        if self._problems:
            raise InvalidSpecification(self._problems)

    def read(self, command_id: str) -> Specification:
        ports, exposed = self._ports()
        mode, endpoints = self._networks()
        binds, anonymous = self._volumes()
        config: dict[str, object] = {
            "Image": self._image(),
            "Cmd": self._list("command"),
            "Entrypoint": self._list("entrypoint"),
            "Env": self._environment(),
            "Labels": {**self._labels(), COMMAND_LABEL: command_id},
            "Volumes": {path: {} for path in anonymous},
            "ExposedPorts": {port: {} for port in exposed},
            "Hostname": self._given("hostname", str),
            "User": self._given("user", str),
            "WorkingDir": self._parsed("working_dir", self._directory),
            "Tty": self._given("tty", bool),
            "OpenStdin": self._given("stdin", bool),
            "StopSignal": self._given("stop_signal", str),
            "StopTimeout": self._given("stop_timeout_seconds", int),
            "Healthcheck": self._health(),
        }
        host = {**self._host(), "Binds": binds, "PortBindings": ports, "NetworkMode": mode}
        first = endpoints[:1]
        body = _filled(config) | {"HostConfig": _filled(host)}
        if first:
            ends = {endpoint.network: endpoint.body for endpoint in first}
            body["NetworkingConfig"] = {"EndpointsConfig": ends}
        self.finish()
        return Specification(body, endpoints[1:])

    def limits(self) -> dict[str, object]:
        memory, swap = self._parsed("memory", grammar.parse_size), self._parsed("memory_swap", self._swap)
        reservation = self._parsed("memory_reservation", grammar.parse_size)
        cpus, pids = self._given("cpus", float), self._given("pids", int)
        if memory is not None and memory < _LEAST_MEMORY:
            self._problems.append(f"argument 'memory' is at least 6m, not {memory} bytes")
        if memory is not None and swap is not None and -1 < swap < memory:
            self._problems.append(
                "argument 'memory_swap' is memory and swap together: it can't be below 'memory'"
            )
        return _filled(
            {
                "Memory": memory,
                # Docker's own choice at creation; at a later change it would keep the old one, which may be too small.
                "MemorySwap": swap if swap is not None or memory is None else 2 * memory,
                "MemoryReservation": reservation,
                "NanoCpus": round(cpus * _NANO_CPUS) if cpus is not None else None,
                "CpuShares": self._given("cpu_shares", int),
                "CpusetCpus": self._given("cpuset", str),
                "PidsLimit": pids,
                "RestartPolicy": self._parsed("restart", grammar.parse_restart_policy),
            }
        )

    def _host(self) -> dict[str, object]:
        restart, removes = self._given("restart", str), self._given("auto_remove", bool)
        if removes and restart not in (None, "no"):
            self._problems.append(
                "argument 'auto_remove' doesn't go with a restart policy: it would restart nothing"
            )
        log = _filled({"Type": self._given("log_driver", str), "Config": self._texts("log_options")})
        return {
            **self.limits(),
            "AutoRemove": removes,
            "Mounts": self._each("mounts", grammar.parse_mount),
            "Tmpfs": dict(self._each("tmpfs", grammar.parse_tmpfs)),
            "VolumesFrom": self._list("volumes_from"),
            "Privileged": self._given("privileged", bool),
            "CapAdd": self._list("cap_add"),
            "CapDrop": self._list("cap_drop"),
            "Devices": self._each("devices", grammar.parse_device),
            "PidMode": self._mode("pid_mode", "host", "container"),
            "IpcMode": self._mode("ipc_mode", "none", "private", "shareable", "host", "container"),
            "UTSMode": self._mode("uts_mode", "host"),
            "UsernsMode": self._mode("userns_mode", "host"),
            "CgroupnsMode": self._mode("cgroupns_mode", "private", "host"),
            "CgroupParent": self._given("cgroup_parent", str),
            "ReadonlyRootfs": self._given("read_only", bool),
            "Init": self._given("init", bool) or None,
            "ExtraHosts": self._each("extra_hosts", grammar.parse_extra_host),
            "Dns": self._each("dns", grammar.parse_address),
            "DnsSearch": self._list("dns_search"),
            "DnsOptions": self._list("dns_options"),
            "Sysctls": self._texts("sysctls"),
            "Ulimits": self._each("ulimits", grammar.parse_ulimit),
            "SecurityOpt": self._list("security_opt"),
            "ShmSize": self._parsed("shm_size", grammar.parse_size),
            "GroupAdd": self._list("group_add"),
            "Runtime": self._given("runtime", str),
            "PublishAllPorts": self._given("publish_all", bool),
            "LogConfig": {"Config": {}, **log} if log else None,
        }

    def _image(self) -> str:
        """With its tag, so that Docker never takes a name for the beginning of an id."""
        text = self._given("image", str) or ""
        if image_id(text) is not None:
            return text
        try:
            return parse_reference(text).familiar
        except InvalidReference as error:
            self._problems.append(f"argument 'image': {error}")
            return ""

    def _environment(self) -> list[str]:
        variables = self._texts("env")
        size = sum(len(f"{key}={value}".encode()) for key, value in variables.items())
        if size > MOST_ENVIRONMENT_BYTES:
            self._problems.append(
                f"argument 'env' has {size} bytes, at most {MOST_ENVIRONMENT_BYTES} are allowed"
            )
        return [f"{key}={value}" for key, value in variables.items()]

    def _labels(self) -> dict[str, str]:
        labels = self._texts("labels")
        size = sum(len(f"{key}{value}".encode()) for key, value in labels.items())
        if size > MOST_LABEL_BYTES:
            self._problems.append(
                f"argument 'labels' has {size} bytes, at most {MOST_LABEL_BYTES} are allowed"
            )
        for key in labels:
            if key.startswith(OWN_LABELS):
                self._problems.append(f"argument 'labels': {key[:64]!r} is one of Seawall's own labels")
        return labels

    def _ports(self) -> tuple[dict[str, object], list[str]]:
        published = [port for ports in self._each("ports", grammar.parse_published) for port in ports]
        exposed = [port for ports in self._each("expose", grammar.parse_exposed) for port in ports]
        if len(published) + len(exposed) > grammar.MOST_PORTS:
            self._problems.append(f"argument 'ports': a container has at most {grammar.MOST_PORTS} ports")
        bindings: dict[str, list[dict[str, str]]] = {}
        for each in published:
            binding = {"HostIp": each.host_address, "HostPort": each.host_port}
            bindings.setdefault(each.port, []).append(binding)
        return dict(bindings), sorted({*exposed, *bindings})

    def _networks(self) -> tuple[str | None, list[Endpoint]]:
        endpoints = self._each("networks", grammar.parse_endpoint)
        mode = self._given("network_mode", str)
        names = [endpoint.network for endpoint in endpoints]
        if len(set(names)) < len(names):
            self._problems.append("argument 'networks' names a network twice")
        if mode is not None and endpoints:
            self._problems.append("argument 'network_mode' doesn't go with 'networks': name one of them")
        if any(name in ("host", "none") for name in names):
            self._problems.append(
                "argument 'networks': 'host' and 'none' are modes: give them as 'network_mode'"
            )
        if mode is not None and ":" in mode:
            mode = self._mode("network_mode", "container")
        return (mode if mode is not None else names[0] if names else None), endpoints

    def _volumes(self) -> tuple[list[str], list[str]]:
        texts = self._each("volumes", grammar.parse_volume)
        return [text for text in texts if ":" in text], [text for text in texts if ":" not in text]

    def _health(self) -> dict[str, object] | None:
        command, off = self._given("health_command", str), self._given("no_health_check", bool)
        timings = {
            "Interval": self._duration("health_interval_seconds"),
            "Timeout": self._duration("health_timeout_seconds"),
            "StartPeriod": self._duration("health_start_seconds"),
            "Retries": self._given("health_retries", int),
        }
        check = _filled({"Test": ["CMD-SHELL", command] if command else None, **timings})
        if off and check:
            self._problems.append("argument 'no_health_check' doesn't go with the settings of a health check")
        return {"Test": ["NONE"]} if off else check or None

    # How arguments are read

    def _given(self, name: str, kind: type[Value]) -> Value | None:
        value = self._arguments.get(name)
        return msgspec.convert(value, kind) if value is not None else None

    def _list(self, name: str) -> list[str]:
        return self._given(name, list[str]) or []

    def _texts(self, name: str) -> dict[str, str]:
        return self._given(name, dict[str, str]) or {}

    def _parsed(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        text = self._given(name, str)
        if text is None:
            return None
        try:
            return parse(text)
        except GrammarError as error:
            self._problems.append(f"argument {name!r}: {error}")
            return None

    def _each(self, name: str, parse: Callable[[str], Value]) -> list[Value]:
        made: list[Value] = []
        for text in self._list(name):
            try:
                made.append(parse(text))
            except GrammarError as error:
                self._problems.append(f"argument {name!r}: {error}")
        return made

    def _mode(self, name: str, *kinds: str) -> str | None:
        return self._parsed(name, lambda text: grammar.parse_mode(text, kinds))

    def _duration(self, name: str) -> int | None:
        seconds = self._given(name, float)
        return round(seconds * _NANOSECONDS) if seconds is not None else None

    @staticmethod
    def _directory(text: str) -> str:
        if not text.startswith("/") or ".." in text.split("/"):
            raise GrammarError(f"{text[:128]!r} is no absolute path without '..'")
        return text

    @staticmethod
    def _swap(text: str) -> int:
        return -1 if text == "-1" else grammar.parse_size(text)


_LEAST_MEMORY = 6 * 1024**2  # Docker's own limit


def _filled(fields: Mapping[str, object]) -> dict[str, object]:
    """Without what says nothing."""
    return {
        key: value
        for key, value in fields.items()
        if value is not None and value is not False and value not in ("", [], {})
    }
