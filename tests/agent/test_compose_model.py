"""What a Compose project comes to, and what a host's policy says to it."""

from __future__ import annotations

import pytest

from seawall.agent.docker import DockerFailure
from seawall.agent.local_policy import Level, LocalPolicy, Rules
from seawall.agent.operations.compose_model import Project, project_of
from seawall.agent.operations.compose_plan import permitted
from seawall.agent.operations.compose_values import ModelRefused
from seawall.agent.operations.compose_yaml import read_yaml
from seawall.core.errors import CommandErrorCode

MANAGE = LocalPolicy(Level.MANAGE, rules=Rules(images=("*",), binds=("/srv/data/**",)))
TOP = "volumes: {data: {}}\nnetworks: {back: {}, wan: {external: true, name: wan}}\n"


def project(settings: str, top: str = TOP) -> Project:
    return project_of(
        read_yaml(f"services: {{web: {{image: busybox, {settings}}}, db: {{image: busybox}}}}\n{top}", "it")
    )


PERMITTED = {
    "nothing more": "",
    "a command": "command: [sh, -c, 'echo $$HOME'], entrypoint: tini --",
    "an environment": "environment: {A: 1, B: , C: x}, labels: [a=b]",
    "ports": "ports: ['8080:80', '127.0.0.1:9:9/udp', {target: 80, published: 8081}, '[::1]:7:7', '90']",
    "a volume": "volumes: ['data:/data:ro', /anonymous, {type: volume, source: data, target: /x}]",
    "a permitted bind": "volumes: ['/srv/data/web:/data', {type: bind, source: /srv/data, target: /y}]",
    "memory of its own": "volumes: [{type: tmpfs, target: /t}], tmpfs: [/run], shm_size: 64m",
    "networks": "networks: [back, wan]",
    "networks with addresses": "networks: {back: {aliases: [a], ipv4_address: 10.0.0.9}}",
    "no network": "network_mode: none",
    "the network of another service": "network_mode: 'service:db'",
    "the processes of another service": "pid: 'service:db', ipc: private",
    "limits": "mem_limit: 64m, cpus: 0.5, pids_limit: 10, ulimits: {nofile: {soft: 1, hard: 2}, core: 0}",
    "limits of a deployment": "deploy: {replicas: 2, resources: {limits: {cpus: '0.5', memory: 64M}}}",
    "fewer capabilities": "cap_drop: [ALL], read_only: true, security_opt: ['no-new-privileges:true']",
    "a health check": "healthcheck: {test: [CMD, 'true'], interval: 3s}, restart: on-failure:3",
    "logs in files": "logging: {driver: json-file, options: {max-size: 1m}}",
    "a time to stop": "stop_grace_period: 1m30s, stop_signal: SIGINT, init: true, tty: true",
    "its own fields": "x-anything: {privileged: true}",
}


@pytest.mark.parametrize("settings", PERMITTED.values(), ids=PERMITTED)
def test_a_project_without_a_claim_on_the_host_is_permitted(settings: str) -> None:
    permitted(MANAGE, project(settings))


FORBIDDEN = {
    "privileged": "privileged: true",
    "the host's network": "network_mode: host",
    "the host's network as a network": "networks: [host]",
    "the host's processes": "pid: host",
    "the host's memory": "ipc: host",
    "the host's name": "uts: host",
    "the host's users": "userns_mode: host",
    "the host's control groups": "cgroup: host",
    "a control group of the host": "cgroup_parent: /system.slice",
    "another container's network": "network_mode: 'container:agent'",
    "another container's processes": "pid: 'container:agent'",
    "a capability": "cap_add: [SYS_ADMIN]",
    "a device": "devices: ['/dev/sda:/dev/sda']",
    "a device in the long form": "devices: [{source: /dev/sda, target: /dev/sda}]",
    "a rule for devices": "device_cgroup_rules: ['c 1:3 mr']",
    "a graphics card": "gpus: all",
    "a graphics card of a deployment": "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1}]}}}",
    "no protection": "security_opt: ['seccomp:unconfined']",
    "no protection, written otherwise": "security_opt: [apparmor=unconfined]",
    "a setting of the kernel": "sysctls: {kernel.shm_rmid_forced: 1}",
    "another runtime": "runtime: kata",
    "logs sent elsewhere": "logging: {driver: syslog, options: {syslog-address: 'tcp://x'}}",
    "the Docker socket": "volumes: ['/var/run/docker.sock:/var/run/docker.sock']",
    "the Docker socket's folder": "volumes: ['/run:/host-run:ro']",
    "a bind that isn't listed": "volumes: ['/etc:/etc']",
    "a bind in the long form": "volumes: [{type: bind, source: /etc, target: /etc}]",
    "a bind that climbs": "volumes: ['/srv/data/../../etc:/etc']",
    "a bind called a volume": "volumes: [{type: volume, source: /etc, target: /etc}]",
    "a bind of a home": "volumes: ['~/.ssh:/ssh']",
    "a bind relative to the files": "volumes: ['./data:/data']",
    "a choice of the host's network cards": "networks: {back: {driver_opts: {com.example.card: eth0}}}",
    "a bind that is no path": "volumes: [{type: bind, target: /etc}]",
    "a dollar that hides a bind": "volumes: ['/srv/data/$$x/../../../etc:/e']",
}


@pytest.mark.parametrize("settings", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_claim_on_the_host_is_forbidden_by_the_policy(settings: str) -> None:
    found = project(settings)
    with pytest.raises(DockerFailure, match="service web: the policy of this host forbids it") as caught:
        permitted(MANAGE, found)
    assert caught.value.code is CommandErrorCode.PERMISSION_DENIED


FORBIDDEN_TOP = {
    "a volume that is a path": "volumes: {data: {driver_opts: {type: none, o: bind, device: /etc}}}",
    "a volume of another driver": "volumes: {data: {driver: sshfs}}",
    "a network of the host's cards": "networks: {back: {driver: macvlan}}",
    "the host's network": "networks: {back: {driver: host}}",
}


@pytest.mark.parametrize("top", FORBIDDEN_TOP.values(), ids=FORBIDDEN_TOP)
def test_a_volume_or_a_network_with_a_claim_on_the_host_is_forbidden(top: str) -> None:
    found = project("", top)
    with pytest.raises(DockerFailure, match="the policy of this host forbids it"):
        permitted(MANAGE, found)


REFUSED = {
    "a setting of tomorrow": ("mount_the_host: true", TOP),
    "volumes of other containers": ("volumes_from: ['container:agent']", TOP),
    "links to other containers": ("external_links: [agent]", TOP),
    "programs that run apart": ("post_start: [{command: x, privileged: true}]", TOP),
    "a mount of another kind": ("volumes: [{type: npipe, source: x, target: /x}]", TOP),
    "a mount with something unknown": ("volumes: [{type: volume, target: /x, driver: sshfs}]", TOP),
    "a volume with something unknown": ("volumes: [{type: volume, target: /x, volume: {driver: y}}]", TOP),
    "two kinds of networks": ("network_mode: none, networks: [back]", TOP),
    "a mount that is cut in four": ("volumes: ['/a:/b:ro:z']", TOP),
    "a mount of an unknown name": ("volumes: ['a b:/x']", "volumes: {'a b': {}}"),
    "a truth that is none": ("privileged: 'yes'", TOP),
    "more containers than there are": ("scale: 100000", TOP),
    "fewer than none": ("deploy: {replicas: -1}", TOP),
    "a network called as the host's": ("", "networks: {back: {name: host}}"),
    "an external network called as the host's": ("", "networks: {host: {external: true}}"),
    "an old way to call it so": ("", "networks: {back: {external: {name: host}}}"),
    "a bridge of the host": ("", "networks: {back: {driver_opts: {com.docker.network.bridge.name: br0}}}"),
    "a volume's name that is a path": ("", "volumes: {data: {name: /etc}}"),
    "something of a volume": ("", "volumes: {data: {cluster: {}}}"),
    "a variable that is left": ("command: $HOME", TOP),
    "something of a project": ("", "secrets: {x: {file: /etc/shadow}}"),
}


@pytest.mark.parametrize(("settings", "top"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_known_or_not_clear_is_refused_whatever_the_policy(settings: str, top: str) -> None:
    with pytest.raises(ModelRefused):
        project(settings, top)


def test_a_service_without_an_image_is_refused() -> None:
    with pytest.raises(ModelRefused, match="no `image`"):
        project_of({"services": {"web": {"command": "x"}}})
    with pytest.raises(ModelRefused, match="no services"):
        project_of({"services": {}})


def test_images_that_the_policy_does_not_list_are_forbidden() -> None:
    policy = LocalPolicy(Level.MANAGE, rules=Rules(images=("registry.example/shop/*",)))
    found = project_of({"services": {"web": {"image": "registry.example/shop/web:1"}}})
    permitted(policy, found)
    with pytest.raises(DockerFailure, match="service web"):
        permitted(policy, project_of({"services": {"web": {"image": "busybox"}}}))


def test_a_host_that_lets_nothing_be_made_lets_no_project_up() -> None:
    with pytest.raises(DockerFailure):
        permitted(LocalPolicy(Level.OPERATE), project(""))


def test_a_service_is_told_as_docker_is_asked() -> None:
    web = project(
        "command: echo 'a b' $$HOME, environment: {A: 1}, ports: ['127.0.0.1:8080:80'], volumes: ['data:/d:ro'], "
        "networks: [wan], mem_limit: 1k, stop_grace_period: 1m30s, deploy: {replicas: 3}"
    ).services[0]
    assert (web.name, web.replicas) == ("web", 3)
    assert web.body == {
        "Image": "busybox",
        "Cmd": ["echo", "a b", "$HOME"],
        "Env": ["A=1"],
        "StopTimeout": 90,
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {
            "Memory": 1024,
            "Mounts": [{"Type": "volume", "Source": "data", "Target": "/d", "ReadOnly": True}],
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "NetworkMode": "wan",
        },
        "NetworkingConfig": {"EndpointsConfig": {"wan": {}}},
    }


def test_what_runs_is_what_was_judged() -> None:
    content = {
        "version": "3.9",
        "services": {"web": {"image": "busybox", "command": "$$x"}},
        "x-more": {"a": 1},
    }
    assert project_of(content).content == {
        "version": "3.9",
        "services": {"web": {"image": "busybox", "command": "$$x"}},
    }
