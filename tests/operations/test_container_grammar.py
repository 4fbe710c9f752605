"""The texts that describe a container are taken apart once, and what doesn't fit is told before anything runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seawall.operations import container_grammar as grammar
from seawall.operations.container_grammar import Endpoint, GrammarError, Published


@pytest.mark.parametrize(
    ("parse", "text", "made"),
    [
        (grammar.parse_published, "80", [Published("80/tcp")]),
        (grammar.parse_published, "8080:80/udp", [Published("80/udp", "", "8080")]),
        (grammar.parse_published, "127.0.0.1::80", [Published("80/tcp", "127.0.0.1", "")]),
        (grammar.parse_published, "[::1]:8080:80", [Published("80/tcp", "::1", "8080")]),
        (
            grammar.parse_published,
            "8000-8001:80-81",
            [Published("80/tcp", "", "8000"), Published("81/tcp", "", "8001")],
        ),
        (grammar.parse_published, "8000-8010:80", [Published("80/tcp", "", "8000-8010")]),
        (grammar.parse_exposed, "9000-9001/udp", ["9000/udp", "9001/udp"]),
        (grammar.parse_volume, "data:/data:ro", "data:/data:ro"),
        (grammar.parse_volume, "/data", "/data"),
        (grammar.parse_tmpfs, "/run:size=64m,noexec", ("/run", "size=64m,noexec")),
        (
            grammar.parse_mount,
            "type=bind,src=/srv,dst=/data,ro,bind-propagation=rslave",
            {
                "Type": "bind",
                "Source": "/srv",
                "Target": "/data",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave"},
            },
        ),
        (
            grammar.parse_mount,
            "source=data,target=/d,volume-opt=type=nfs,volume-opt=o=addr=10.0.0.1",
            {
                "Type": "volume",
                "Source": "data",
                "Target": "/d",
                "VolumeOptions": {
                    "DriverConfig": {"Name": "local", "Options": {"type": "nfs", "o": "addr=10.0.0.1"}}
                },
            },
        ),
        (grammar.parse_endpoint, "back", Endpoint("back", {})),
        (
            grammar.parse_endpoint,
            "name=back,alias=db,alias=sql,ip=10.0.0.5,ip6=fd00::5",
            Endpoint(
                "back",
                {
                    "IPAMConfig": {"IPv4Address": "10.0.0.5", "IPv6Address": "fd00::5"},
                    "Aliases": ["db", "sql"],
                },
            ),
        ),
        (
            grammar.parse_device,
            "/dev/fuse:/dev/f:rw",
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/f", "CgroupPermissions": "rw"},
        ),
        (grammar.parse_ulimit, "nofile=1024:-1", {"Name": "nofile", "Soft": 1024, "Hard": -1}),
        (grammar.parse_restart_policy, "on-failure:3", {"Name": "on-failure", "MaximumRetryCount": 3}),
        (grammar.parse_size, "512m", 512 * 1024**2),
        (grammar.parse_size, "1Gb", 1024**3),
        (grammar.parse_extra_host, "db:[fd00::1]", "db:fd00::1"),
        (grammar.parse_extra_host, "host.docker.internal:host-gateway", "host.docker.internal:host-gateway"),
    ],
)
def test_a_text_is_taken_apart(parse: Callable[[str], object], text: str, made: object) -> None:
    assert parse(text) == made


@pytest.mark.parametrize(
    ("parse", "text", "problem"),
    [
        (grammar.parse_published, "0:80", "from 1 to 65535"),
        (grammar.parse_published, "80:65536", "from 1 to 65535"),
        (grammar.parse_published, "80/icmp", "the protocol is one of"),
        (grammar.parse_published, "1-2:80-82", "same length"),
        (grammar.parse_published, "1-60000", "at most 1024"),
        (grammar.parse_published, "host:80:80", "no IP address"),
        (grammar.parse_published, "1:2:3:4", "write"),
        (grammar.parse_published, "9-8", "from 1 to"),
        (grammar.parse_published, "$(id):80", "no port"),
        (grammar.parse_volume, "../etc:/mnt", "neither an absolute path nor a volume's name"),
        (grammar.parse_volume, "/srv/../etc:/mnt", "has '..' in it"),
        (grammar.parse_volume, "data:/mnt/../..", "has '..' in it"),
        (grammar.parse_volume, "data:/", "over a container's '/'"),
        (grammar.parse_volume, "data:/mnt:rx", "none of"),
        (grammar.parse_volume, "--rm:/mnt", "neither"),
        (grammar.parse_mount, "type=bind,target=/mnt", "doesn't begin with '/'"),
        (grammar.parse_mount, "type=npipe,target=/mnt", "its type is one of"),
        (grammar.parse_mount, "source=/etc,target=/mnt", "needs type=bind"),
        (grammar.parse_mount, "type=volume", "needs a target"),
        (grammar.parse_mount, "target=/mnt,target=/tmp", "there twice"),
        (grammar.parse_mount, "target=/mnt,colour=red", "has no 'colour'"),
        (grammar.parse_endpoint, "name=back,ip=10.0.0", "no IPv4 address"),
        (grammar.parse_endpoint, "name=back;rm", "no network's name"),
        (grammar.parse_endpoint, "alias=db", "needs a name"),
        (grammar.parse_device, "dev/sda", "doesn't begin with '/'"),
        (grammar.parse_ulimit, "nofile", "write name=soft"),
        (grammar.parse_restart_policy, "sometimes", "it is one of"),
        (grammar.parse_restart_policy, "always:3", "it is one of"),
        (grammar.parse_size, "-1", "a number of bytes"),
        (grammar.parse_size, "9" * 16, "a number of bytes"),
        (grammar.parse_extra_host, "db", "write name:address"),
        (grammar.parse_address, "fe80::1%eth0", "an IPv4 or IPv6 address"),
    ],
)
def test_what_does_not_fit_is_told_why(parse: Callable[[str], object], text: str, problem: str) -> None:
    with pytest.raises(GrammarError, match=problem):
        parse(text)
