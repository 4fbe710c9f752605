"""New containers: what they are made of."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.container_spec import problems_of
from seawall.operations.image_reference import LONGEST_REFERENCE
from seawall.operations.operation import Argument, Operation

CONTAINER_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
"""Of a new container: Docker wants two characters at least."""
SIZE_PATTERN = r"(?i)[0-9]{1,15}[bkmg]?b?"

_WORDS = r"[^\x00]*"
_NO_CONTROLS = r"[^\x00-\x1f]+"
_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_LONG_TEXT = 32 * 1024


def _list(
    name: str, summary: str, option: str, *, pattern: str = _NO_CONTROLS, length: int = 1024
) -> Argument:
    return Argument(name, list, summary, option=option, pattern=pattern, max_length=length)


LIMITS = (
    Argument("memory", str, "the most memory it may use, such as 512m", max_length=20, pattern=SIZE_PATTERN),
    Argument(
        "memory_swap",
        str,
        "the most memory and swap together, -1 for no limit; twice the memory unless told otherwise",
        max_length=20,
        pattern=rf"-1|{SIZE_PATTERN.removeprefix('(?i)')}",
    ),
    Argument(
        "memory_reservation",
        str,
        "the memory it is held to when the host runs short",
        max_length=20,
        pattern=SIZE_PATTERN,
    ),
    Argument("cpus", float, "the most CPUs it may use, such as 1.5", minimum=0.01, maximum=4096),
    Argument(
        "cpu_shares", int, "its weight against other containers, usually 1024", minimum=2, maximum=262144
    ),
    Argument(
        "cpuset", str, "the CPUs it may run on, such as 0-2,4", max_length=255, pattern=r"[0-9]+([-,][0-9]+)*"
    ),
    Argument("pids", int, "the most processes it may have, -1 for no limit", minimum=-1, maximum=4194304),
    Argument(
        "restart",
        str,
        "when Docker starts it again: no, always, unless-stopped or on-failure[:retries]",
        max_length=32,
        pattern=r"[a-z:0-9-]+",
    ),
)
"""What can be changed of a container later as well."""

_WHAT = (
    Argument(
        "image",
        str,
        "the image's reference, such as nginx:1.27",
        required=True,
        max_length=LONGEST_REFERENCE,
        positional=True,
    ),
    Argument(
        "name",
        str,
        "its name: at least two letters, digits, '_', '.' and '-', the first a letter or a digit; "
        "Docker makes one up unless told",
        max_length=128,
        pattern=CONTAINER_NAME,
    ),
    Argument(
        "command",
        list,
        "the command to run in place of the image's own",
        pattern=_WORDS,
        max_length=_LONG_TEXT,
        max_items=512,
        positional=True,
    ),
    Argument(
        "entrypoint",
        list,
        "the program to run in place of the image's own, and what goes before the command",
        pattern=_WORDS,
        max_length=_LONG_TEXT,
    ),
    Argument(
        "env",
        dict,
        "environment variables; kept sealed",
        key_pattern=r"[^=\x00-\x20]+",
        pattern=_WORDS,
        max_length=_LONG_TEXT,
        max_items=512,
        secret=True,
    ),
    Argument(
        "labels",
        dict,
        "labels",
        option="label",
        key_pattern=_NO_CONTROLS,
        pattern=_WORDS,
        max_length=4096,
        max_items=256,
    ),
    Argument("hostname", str, "its name for itself", max_length=253, pattern=_NAME),
    Argument(
        "user",
        str,
        "the user, or user:group, that its program runs as",
        max_length=128,
        pattern=r"[^\s\x00]+",
    ),
    Argument("working_dir", str, "the directory its program starts in", max_length=4096, option="workdir"),
    Argument("tty", bool, "give it a terminal", default=False),
    Argument("stdin", bool, "keep its input open", default=False, option="interactive"),
    Argument("init", bool, "run a small init as its first process, which reaps the others", default=False),
    Argument("auto_remove", bool, "remove it when it ends", default=False, option="rm"),
    Argument(
        "stop_signal", str, "the signal that asks it to end", max_length=12, pattern=r"(SIG)?[A-Z0-9+-]+"
    ),
    Argument(
        "stop_timeout_seconds",
        int,
        "how long it may take to end before it is killed",
        minimum=0,
        maximum=3600,
        option="stop-timeout",
    ),
)
_STORAGE = (
    _list("volumes", "volumes and host paths: source:target[:ro]", "volume", length=4096),
    _list("mounts", "mounts: type=bind|volume|tmpfs,source=...,target=...[,readonly]", "mount", length=4096),
    _list("tmpfs", "file systems in memory: path[:options]", "tmpfs", length=4096),
    _list(
        "volumes_from", "containers whose mounts it gets too", "volumes-from", pattern=rf"{_NAME}(:(ro|rw))?"
    ),
    Argument("read_only", bool, "its own files can't be changed", default=False),
    Argument("shm_size", str, "the size of /dev/shm, such as 64m", max_length=20, pattern=SIZE_PATTERN),
)
_NETWORK = (
    _list("ports", "published ports: [[address:]host port:]port[/protocol]", "publish"),
    _list("expose", "ports that are told, but not published: port[/protocol]", "expose"),
    Argument("publish_all", bool, "publish all exposed ports at ports of Docker's choice", default=False),
    _list("networks", "networks: a name, or name=...,alias=...,ip=...", "network"),
    Argument(
        "network_mode",
        str,
        "in place of networks: bridge, host, none or container:<name>",
        max_length=160,
        pattern=rf"{_NAME}(:{_NAME})?",
    ),
    _list("extra_hosts", "further names: name:address", "add-host"),
    _list("dns", "addresses of name servers", "dns"),
    _list(
        "dns_search", "domains that short names are looked for in", "dns-search", pattern=r"[a-zA-Z0-9_.-]+"
    ),
    _list("dns_options", "options of the resolver, such as ndots:2", "dns-option", pattern=r"[a-z0-9:_-]+"),
)
_PRIVILEGES = (
    Argument("privileged", bool, "give it the whole host", default=False),
    _list("cap_add", "capabilities to add, such as NET_ADMIN", "cap-add", pattern=r"[A-Za-z_]+", length=64),
    _list("cap_drop", "capabilities to take away, such as ALL", "cap-drop", pattern=r"[A-Za-z_]+", length=64),
    _list("devices", "devices of the host: path[:path inside][:rwm]", "device"),
    _list("security_opt", "security options, such as no-new-privileges", "security-opt", length=_LONG_TEXT),
    _list("group_add", "further groups of its user", "group-add", pattern=r"[a-zA-Z0-9_.-]+", length=64),
    Argument("pid_mode", str, "host, or container:<name>: see those processes", max_length=160),
    Argument(
        "ipc_mode",
        str,
        "none, private, shareable, host, or container:<name>: share that memory",
        max_length=160,
    ),
    Argument("uts_mode", str, "host: have the host's name", max_length=160),
    Argument("userns_mode", str, "host: don't map its users", max_length=160),
    Argument("cgroupns_mode", str, "private, or host: see the host's control groups", max_length=160),
    Argument(
        "cgroup_parent",
        str,
        "the control group that its own is in",
        max_length=255,
        pattern=r"[a-zA-Z0-9_./-]+",
    ),
    Argument(
        "sysctls",
        dict,
        "kernel parameters of its own",
        option="sysctl",
        key_pattern=r"[a-z0-9_./-]+",
        pattern=_WORDS,
    ),
    _list("ulimits", "limits of its processes: name=soft[:hard]", "ulimit"),
    Argument("runtime", str, "what runs it in place of runc", max_length=128, pattern=r"[a-zA-Z0-9_.-]+"),
)
_HEALTH = (
    Argument(
        "health_command", str, "a shell command that succeeds while it is healthy", max_length=_LONG_TEXT
    ),
    Argument("health_interval_seconds", float, "between two checks", minimum=0.001, maximum=86400),
    Argument("health_timeout_seconds", float, "how long a check may take", minimum=0.001, maximum=86400),
    Argument(
        "health_start_seconds", float, "how long it may take to get healthy", minimum=0.001, maximum=86400
    ),
    Argument("health_retries", int, "how many failures make it unhealthy", minimum=1, maximum=1000),
    Argument("no_health_check", bool, "don't check its health, even if the image says how", default=False),
)
_LOG = (
    Argument(
        "log_driver",
        str,
        "where its output goes, such as json-file",
        max_length=64,
        pattern=r"[a-z0-9/:._-]+",
    ),
    Argument(
        "log_options",
        dict,
        "the log driver's options, such as max-size=10m",
        option="log-opt",
        key_pattern=r"[a-zA-Z0-9._-]+",
        pattern=_WORDS,
        max_length=1024,
    ),
)
_ARGUMENTS = (*_WHAT, *_STORAGE, *_NETWORK, *LIMITS, *_PRIVILEGES, *_HEALTH, *_LOG)

CONTAINER_CREATE = Operation(
    "container_create",
    "Create a container without starting it.",
    SafetyClass.VERIFIABLE,
    _ARGUMENTS,
    timeout_seconds=60.0,
    check=problems_of,
)
CONTAINER_RUN = Operation(
    "container_run",
    "Create a container and start it.",
    SafetyClass.VERIFIABLE,
    _ARGUMENTS,
    timeout_seconds=60.0,
    check=problems_of,
)

OPERATIONS = (CONTAINER_CREATE, CONTAINER_RUN)
