"""Which container a process runs in, by what the kernel says of it."""

from __future__ import annotations

import pytest

from seawall.agent.own_container import Traces, own_traces, traces_in

ID, OTHER = "ab12" * 16, "cd34" * 16
HOST_MOUNTS = f"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 0:50 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw
91 22 0:51 / /var/lib/docker/overlay2/aa/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
"""
CONTAINER_MOUNTS = f"""\
100 50 0:60 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/bb/diff,workdir=/w
120 100 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "hostname", "own"),
    [
        (HOST_MOUNTS, "0::/init.scope\n", "host-1", False),
        (CONTAINER_MOUNTS, "0::/\n", "web", True),
        ("", f"5:cpu:/docker/{ID}\n", "web", True),
        ("", f"0::/system.slice/docker-{ID}.scope\n", "web", True),
        ("", "0::/\n", ID[:12], True),
        ("", "0::/\n", OTHER[:12], False),
        ("", "", "", False),
    ],
)
def test_a_process_knows_its_container(mountinfo: str, cgroup: str, hostname: str, own: bool) -> None:
    assert traces_in(mountinfo, cgroup, hostname).fit({"Id": ID}) is own


def test_in_another_containers_network_the_root_layer_tells() -> None:
    traces = traces_in(CONTAINER_MOUNTS, "0::/\n", "web")
    layer = {"GraphDriver": {"Data": {"UpperDir": "/var/lib/docker/overlay2/bb/diff"}}}
    assert traces.fit({"Id": OTHER, **layer})
    assert traces.fit({"Id": ID}), "without that network the agent would be cut off"
    assert not traces.fit({"Id": OTHER, "GraphDriver": {"Data": None}})


def test_a_record_without_an_id_is_nobodys() -> None:
    assert not Traces(frozenset({""})).fit({})


def test_this_process_can_be_looked_at() -> None:
    assert isinstance(own_traces(), Traces)
