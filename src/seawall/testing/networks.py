"""The networks of a fake Docker Engine: what they are, and which addresses they give."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""Docker's own networks, by name, with their drivers."""

_SHORT_ID = 12
_POOLS = ipaddress.ip_network("172.16.0.0/12")
_POOL_PREFIX = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class FakeNetwork:
    """A network of a `FakeDocker`. `pools` are Docker's IPAM configurations; `configured`: somebody asked for them."""

    name: str
    network_id: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    pools: list[dict[str, str]] = field(default_factory=list)
    configured: bool = False
    created: str = ""

    @property
    def predefined(self) -> bool:
        """Whether it is Docker's own."""
        return self.name in PREDEFINED

    @property
    def subnets(self) -> list[Network]:
        """The subnets of its pools."""
        return [ipaddress.ip_network(pool["Subnet"], strict=False) for pool in self.pools]

    @property
    def gateways(self) -> list[str]:
        """The address in each subnet that no container is given: the first, unless told otherwise."""
        return [
            pool.get("Gateway") or str(subnet.network_address + 1)
            for pool, subnet in zip(self.pools, self.subnets, strict=True)
        ]

    def listed(self, endpoints: Mapping[str, dict[str, object]]) -> dict[str, object]:
        """What inspect says; `endpoints` are those of running containers, by container id."""
        return {
            "Name": self.name,
            "Id": self.network_id,
            "Created": self.created,
            "Scope": "local",
            "Driver": self.driver,
            "EnableIPv6": self.ipv6,
            "IPAM": {"Driver": "default", "Options": None, "Config": [dict(pool) for pool in self.pools]},
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": dict(endpoints),
            "Options": dict(self.options),
            "Labels": dict(self.labels),
        }

    def free_address(self, taken: Iterable[str]) -> tuple[str, int] | None:
        """The lowest free IPv4 address and the length of its prefix; None if it gives none."""
        used = {*taken, *self.gateways}
        for pool, subnet in zip(self.pools, self.subnets, strict=True):
            if not isinstance(subnet, ipaddress.IPv4Network):
                continue
            room = ipaddress.ip_network(pool["IPRange"], strict=False) if "IPRange" in pool else subnet
            for address in room.hosts():
                if str(address) not in used:
                    return str(address), subnet.prefixlen
        return None


def pools_of(spec: Mapping[str, object]) -> list[dict[str, str]]:
    """The IPAM configurations of a create body. Docker tells them as they were given."""
    ipam = spec.get("IPAM")
    configurations = ipam.get("Config") if isinstance(ipam, Mapping) else None
    return [dict(pool) for pool in configurations] if isinstance(configurations, list) else []


def next_pool(networks: Iterable[FakeNetwork]) -> dict[str, str] | None:
    """The first of Docker's default pools that no network overlaps; None if all are taken."""
    taken = [subnet for network in networks for subnet in network.subnets]
    for subnet in _POOLS.subnets(new_prefix=_POOL_PREFIX):
        if not overlapping(subnet, taken):
            return {"Subnet": str(subnet), "Gateway": str(subnet.network_address + 1)}
    return None


def overlapping(subnet: Network, others: Iterable[Network]) -> bool:
    """Whether a subnet shares an address with one of the others."""
    return any(_overlap(subnet, other) for other in others)


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.overlaps(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.overlaps(other)
    return False


def endpoint_of(given: Mapping[str, object], container_id: str, *, user_defined: bool) -> dict[str, object]:
    """What Docker keeps of an endpoint that somebody asks for; the container's short id becomes an alias."""
    aliases = given.get("Aliases")
    names = [str(alias) for alias in aliases] if isinstance(aliases, list) else []
    if user_defined and container_id[:_SHORT_ID] not in names:
        names.append(container_id[:_SHORT_ID])
    wanted = given.get("IPAMConfig")
    return detached(
        {"IPAMConfig": dict(wanted) if isinstance(wanted, Mapping) else None, "Aliases": names or None}
    )


def detached(endpoint: Mapping[str, object]) -> dict[str, object]:
    """An endpoint of a container that doesn't run: Docker remembers the network, and no address."""
    return {
        "IPAMConfig": endpoint.get("IPAMConfig"),
        "Links": endpoint.get("Links"),
        "Aliases": endpoint.get("Aliases"),
        "NetworkID": endpoint.get("NetworkID", ""),
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "",
        "DriverOpts": endpoint.get("DriverOpts"),
    }


def address_of(endpoint: Mapping[str, object]) -> str | None:
    """The IPv4 address that an endpoint is to have, if somebody asked for one."""
    wanted = endpoint.get("IPAMConfig")
    address = wanted.get("IPv4Address") if isinstance(wanted, Mapping) else None
    return address if isinstance(address, str) and address else None
