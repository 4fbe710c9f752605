"""Container specifications of which it is known by construction whether this policy forbids them.

Nothing of the product decides that: each piece is written down as what it is, next to what the policy lists.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random

from seawall.agent.local_policy import Level, LocalPolicy, Rules

POLICY = LocalPolicy(
    Level.MANAGE,
    exec=False,
    rules=Rules(
        images=("busybox", "nginx:1.*", "ghcr.io/acme/**"),
        host_namespaces=("uts",),
        capabilities=("NET_BIND_SERVICE",),
        devices=("/dev/null",),
        binds=("/srv/data", "/srv/shared/**"),
        security_options=("label=disable",),
        sysctls=("net.core.somaxconn",),
    ),
)

Piece = dict[str, object]
Make = Callable[[Random], Piece]


def _one(*choices: Piece) -> Make:
    return lambda dice: deepcopy(dice.choice(choices))


HOST_PATHS = (
    "/",
    "/etc",
    "/srv",
    "/srv/data2",
    "/srv/data/below",
    "/srv/sharedx",
    "/srv/shared/../../etc",
    "/srv/data/../../root",
    "//etc",
    "/./etc/.",
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run",
    "/run",
    "/var/run/../run/docker.sock",
    "/proc/1/root",
)
"""None of them is listed, however it is written."""
LISTED_PATHS = ("/srv/data", "/srv/data/", "/srv//data", "/srv/./data", "/srv/shared/a/b", "/srv/x/../data")

# What container_create and container_run are given.

FORBIDDEN_ARGUMENTS: tuple[Make, ...] = (
    _one(
        {"image": "alpine"},
        {"image": "nginx:2.0"},
        {"image": "nginx"},
        {"image": "docker.io/evil/busybox"},
        {"image": "evil.io/library/busybox"},
        {"image": "ghcr.io/acmex/tool"},
        {"image": f"sha256:{'a' * 64}"},
    ),
    _one({"privileged": True}),
    _one({"network_mode": "host"}, {"network_mode": "container:web"}),
    _one({"pid_mode": "host"}, {"pid_mode": "container:web"}),
    _one({"ipc_mode": "host"}, {"ipc_mode": "container:web"}),
    _one({"userns_mode": "host"}, {"cgroupns_mode": "host"}),
    _one(
        *({"cap_add": [name]} for name in ("SYS_ADMIN", "cap_net_admin", "ALL", "all", "NET_BIND_SERVICES"))
    ),
    _one(*({"devices": [name]} for name in ("/dev/sda", "/dev/mem:/dev/null", "/dev", "/dev/nullx"))),
    lambda dice: {"volumes": [f"{_clean(dice)}:/mnt"]},
    lambda dice: {"mounts": [f"type=bind,source={_clean(dice)},target=/mnt,readonly"]},
    lambda dice: {
        "mounts": [f"target=/mnt,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={_clean(dice)}"]
    },
    _one(
        {"mounts": ["target=/mnt,volume-opt=type=ext4,volume-opt=device=/dev/sda1"]},
        {"mounts": ["target=/mnt,volume-opt=type=nfs,volume-opt=o=addr=10.0.0.1,volume-opt=device=:/"]},
        {"mounts": ["source=data,target=/mnt,volume-driver=sshfs"]},
    ),
    _one(
        *(
            {"security_opt": [text]}
            for text in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
        )
    ),
    _one(
        {"sysctls": {"kernel.shmmax": "1"}},
        {"sysctls": {"net.core.somaxconn": "9", "net.ipv4.ip_forward": "1"}},
    ),
    _one({"volumes_from": ["web"]}),
    _one({"runtime": "kata"}),
    _one({"cgroup_parent": "/"}, {"cgroup_parent": "system.slice"}),
    _one({"log_driver": "syslog"}),
)
PERMITTED_ARGUMENTS: tuple[Make, ...] = (
    _one({"image": "busybox"}, {"image": "docker.io/library/busybox:latest"}, {"image": "nginx:1.27"}),
    _one({"uts_mode": "host"}),
    _one({"cap_add": ["net_bind_service"]}, {"cap_add": ["CAP_NET_BIND_SERVICE"]}, {"cap_drop": ["ALL"]}),
    _one({"devices": ["/dev/null:/dev/zero:r"]}),
    lambda dice: {"volumes": [f"{dice.choice([p for p in LISTED_PATHS if '..' not in p])}:/data:ro"]},
    _one(
        {"mounts": ["type=bind,source=/srv/data,target=/d"]},
        {"mounts": ["type=tmpfs,target=/t,tmpfs-size=1m"]},
    ),
    _one({"mounts": ["target=/mnt,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=1m"]}),
    _one({"volumes": ["data:/d"]}, {"volumes": ["/anonymous"]}),
    _one({"security_opt": ["no-new-privileges"]}, {"security_opt": ["label=disable"]}),
    _one({"sysctls": {"net.core.somaxconn": "1024"}}),
    _one(
        {"ipc_mode": "private"}, {"memory": "64m", "cpus": 0.5}, {"restart": "always"}, {"ports": ["8080:80"]}
    ),
    _one(
        {"network_mode": "none"}, {"network_mode": "bridge"}, {"log_driver": "json-file"}, {"read_only": True}
    ),
)

# What goes to Docker, also where no argument of ours could make it so.


def _driven(options: dict[str, str]) -> Piece:
    return {
        "Type": "volume",
        "Source": "data",
        "Target": "/mnt",
        "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}},
    }


def _host(**fields: object) -> Piece:
    return {"HostConfig": fields}


FORBIDDEN_BODIES: tuple[Make, ...] = (
    _one({"Image": "alpine"}, {"Image": ""}, {"Image": "deadbeef"}, {"image": "busybox"}),
    _one(_host(Privileged=True), _host(privileged=True), _host(PRIVILEGED=1), {"Privileged": True}),
    _one({"hostconfig": {"Privileged": True}}, {"hostConfig": {}}),
    _one(
        *(
            _host(**{key: mode})
            for key in ("NetworkMode", "PidMode", "IpcMode")
            for mode in ("host", "container:x")
        )
    ),
    _one(_host(CgroupnsMode="host"), _host(UsernsMode="host"), _host(pidmode="host")),
    _one({"NetworkingConfig": {"EndpointsConfig": {"host": {}}}}),
    _one({"NetworkingConfig": {"EndpointsConfig": {"back": {"DriverOpts": {"sysctls": "net.ipv4.x=1"}}}}}),
    _one(_host(CapAdd=["SYS_ADMIN"]), _host(CapAdd=["CAP_ALL"]), _host(Capabilities=["CAP_CHOWN"])),
    _one(_host(Devices=[{"PathOnHost": "/dev/sda"}]), _host(Devices=[{"pathonhost": "/dev/null/../kmem"}])),
    _one(_host(DeviceCgroupRules=["a *:* rwm"]), _host(DeviceRequests=[{"Count": -1}])),
    lambda dice: _host(Binds=[f"{dice.choice(HOST_PATHS)}:/mnt:ro"]),
    lambda dice: _host(Mounts=[{"Type": "bind", "Source": dice.choice(HOST_PATHS), "Target": "/mnt"}]),
    lambda dice: _host(Mounts=[{"type": "bind", "source": dice.choice(HOST_PATHS), "target": "/mnt"}]),
    lambda dice: _host(Mounts=[_driven({"type": "none", "o": "ro,bind", "device": dice.choice(HOST_PATHS)})]),
    lambda dice: _host(Mounts=[_driven({"type": "tmpfs", "o": "rbind", "device": dice.choice(HOST_PATHS)})]),
    _one(
        _host(Mounts=[_driven({"type": "tmpfs", "o": "remount"})]),
        _host(Mounts=[_driven({"type": "overlay", "o": "lowerdir=/,upperdir=/a", "device": "overlay"})]),
        _host(Mounts=[{"Type": "volume", "Source": "/etc", "Target": "/mnt"}]),
        _host(Mounts=[{"Type": "npipe", "Source": "x", "Target": "/mnt"}]),
        _host(Mounts=[{"Type": "image", "Source": "alpine", "Target": "/mnt"}]),
        _host(VolumeDriver="sshfs"),
        _host(Binds=["../etc:/mnt"]),
    ),
    _one(
        _host(SecurityOpt=["seccomp:unconfined"]), _host(MaskedPaths=[]), _host(ReadonlyPaths=["/proc/bus"])
    ),
    _one(
        _host(Sysctls={"kernel.msgmax": "1"}),
        _host(VolumesFrom=["x"]),
        _host(Runtime="x"),
        _host(CgroupParent="/"),
    ),
    _one(_host(Cgroup="container:x"), _host(SomethingNew=True), {"SomethingNew": {"a": 1}}, {"Cpuset": "0"}),
)
PERMITTED_BODIES: tuple[Make, ...] = (
    _one({"Image": "ghcr.io/acme/deep/tool:1"}, {"Image": "nginx:1.27"}),
    _one(_host(UTSMode="host"), _host(PidMode="", IpcMode="shareable"), _host(Privileged=False, CapAdd=None)),
    _one(_host(CapAdd=["NET_BIND_SERVICE"], CapDrop=["ALL"]), _host(Devices=[{"PathOnHost": "/dev/null"}])),
    lambda dice: _host(Binds=[f"{dice.choice(LISTED_PATHS)}:/mnt:ro"]),
    lambda dice: _host(Mounts=[{"Type": "bind", "Source": dice.choice(LISTED_PATHS), "Target": "/mnt"}]),
    lambda dice: _host(Mounts=[_driven({"type": "none", "o": "bind", "device": dice.choice(LISTED_PATHS)})]),
    _one(_host(SecurityOpt=["no-new-privileges"], MaskedPaths=None), _host(Runtime="runc", VolumesFrom=[])),
    _one({"Env": ["A=1"], "Labels": {"a": "b"}}, _host(Memory=1, Ulimits=[], RestartPolicy={"Name": "no"})),
    _one({"NetworkingConfig": {"EndpointsConfig": {"back": {"Aliases": ["db"]}}}}, _host(NetworkMode="back")),
)


def specification(
    dice: Random, base: Piece, forbidden: tuple[Make, ...], permitted: tuple[Make, ...]
) -> tuple[Piece, bool]:
    """A specification, and whether the policy forbids it: it does if, and only if, a forbidden piece went into it."""
    spec = deepcopy(base)
    for make in dice.sample(permitted, dice.randrange(4)):
        _put(spec, make(dice), keep=False)
    bad = dice.random() < 0.7
    for make in dice.sample(forbidden, dice.randint(1, 2)) if bad else ():
        _put(spec, make(dice), keep=True)
    return spec, bad


def _put(spec: Piece, piece: Piece, *, keep: bool) -> None:
    """Put a piece in; what is forbidden stands beside what there is, in lists as well."""
    for key, value in piece.items():
        there = spec.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            _put(there, value, keep=keep)
        elif isinstance(there, list) and isinstance(value, list):
            spec[key] = there + value
        else:
            spec[key] = value


def _clean(dice: Random) -> str:
    """A path that our own grammar lets through: the policy has to refuse it."""
    return dice.choice([path for path in HOST_PATHS if ".." not in path])
