"""The networks of a fake Docker Engine, and who is connected to them."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Mapping

from seawall.agent.failure import DockerFailure
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import FakeContainer
from seawall.testing.docker.engine import FakeEngine
from seawall.testing.effects import Work
from seawall.testing.faults import Latency
from seawall.testing.networks import (
    PREDEFINED,
    FakeNetwork,
    address_of,
    detached,
    endpoint_of,
    next_pool,
    overlapping,
    pools_of,
)

_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _ERROR = 400, 403, 404, 409, 500
_DRIVERS = ("bridge", "host", "null", "macvlan", "ipvlan", "overlay")
_PRIVATE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_HOST = "container cannot be disconnected from host network or connected to host network"


class FakeNetworks(FakeEngine):
    """`agent.docker.networks.Networks` in memory, as Docker 20.10 does it."""

    def __init__(
        self, clock: Clock, *, hostname: str = "simulated", latency: Callable[[str], Latency] | None = None
    ) -> None:
        super().__init__(clock, hostname=hostname, latency=latency)
        self._networks: dict[str, FakeNetwork] = {}
        self._endpoints = 0
        for name, driver in PREDEFINED.items():
            network = FakeNetwork(name, self._network_id(name), driver, created=self._moment())
            if driver == "bridge":
                network.pools = [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]
            self._networks[network.network_id] = network

    @property
    def networks(self) -> list[FakeNetwork]:
        """All of them."""
        return list(self._networks.values())

    # agent.docker.Networks

    async def network_list(self, *, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Networks.network_list`."""
        return await self._look(
            "network_list", lambda: [network.listed({}) for network in self.networks], timeout_seconds
        )

    async def network_inspect(self, network: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Networks.network_inspect`."""

        def read() -> dict[str, object]:
            found = self._find_network(network)
            return found.listed(
                {
                    container.container_id: {
                        "Name": container.name,
                        "EndpointID": end["EndpointID"],
                        "MacAddress": end["MacAddress"],
                        "IPv4Address": f"{end['IPAddress']}/{end['IPPrefixLen']}" if end["IPAddress"] else "",
                        "IPv6Address": "",
                    }
                    for container, end in self._connected(found)
                }
            )

        return await self._look("network_inspect", read, timeout_seconds)

    async def network_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """See `Networks.network_create`."""

        async def create(work: Work) -> str:
            network = self._new_network(spec)
            self._networks[network.network_id] = network
            work.done("create", network.network_id)
            return network.network_id

        return await self._change("network_create", create, timeout_seconds)

    async def network_remove(self, network: str, *, timeout_seconds: float) -> None:
        """See `Networks.network_remove`."""

        async def remove(work: Work) -> None:
            found = self._find_network(network)
            if found.predefined:
                raise faults.refused(
                    _FORBIDDEN, f"{found.name} is a pre-defined network and cannot be removed"
                )
            if self._connected(found):
                raise faults.refused(
                    _FORBIDDEN, f"network {found.name} id {found.network_id} has active endpoints"
                )
            del self._networks[found.network_id]
            work.done("remove", found.network_id)

        await self._change("network_remove", remove, timeout_seconds)

    async def network_connect(
        self, network: str, *, container: str, endpoint: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """See `Networks.network_connect`."""

        async def connect(work: Work) -> None:
            found = self._find(container)
            try:
                wanted = self._find_network(network)
            except DockerFailure:
                if found.running:
                    raise
                # Docker believes that it will be there when the container starts.
                found.networks[network] = endpoint_of(endpoint, found.container_id, user_defined=False)
                return
            self._connect(found, wanted, endpoint)
            work.done("connect", found.container_id)

        await self._change("network_connect", connect, timeout_seconds)

    async def network_disconnect(
        self, network: str, *, container: str, force: bool, timeout_seconds: float
    ) -> None:
        """See `Networks.network_disconnect`."""

        async def disconnect(work: Work) -> None:
            found, name = self._find(container), network
            try:
                wanted = self._find_network(network)
                name = wanted.name
                if found.running and wanted.driver == "host":
                    raise faults.refused(_BAD_REQUEST, _HOST)
            except DockerFailure as failure:
                if failure.status != _NOT_FOUND or (found.running and not force):
                    raise
            end = found.networks.get(name)
            if end is None or (found.running and not end.get("EndpointID") and not force):
                raise faults.refused_with_doubt(
                    _ERROR, f"container {found.container_id} is not connected to network {name}"
                )
            del found.networks[name]
            work.done("disconnect", found.container_id)

        await self._change("network_disconnect", disconnect, timeout_seconds)

    # What the daemon does

    def _join_networks(self, container: FakeContainer) -> None:
        """Give a container that starts an address in each of its networks; raises DockerFailure."""
        joined = [(name, self._network_for(name), end) for name, end in container.networks.items()]
        for name, network, end in joined:
            container.networks[name] = self._joined(container, network, end)

    def _leave_networks(self, container: FakeContainer) -> None:
        """A container has ended."""
        for name, end in container.networks.items():
            container.networks[name] = detached(end)

    def _network_for(self, name: str) -> FakeNetwork:
        return self._find_network("bridge" if name == "default" else name)

    def _connect(
        self, container: FakeContainer, network: FakeNetwork, endpoint: Mapping[str, object]
    ) -> None:
        if address_of(endpoint) is not None and not network.configured:
            raise faults.refused(
                _BAD_REQUEST,
                "user specified IP address is supported only when connecting to networks with user configured "
                "subnets",
            )
        if network.predefined and endpoint.get("Aliases"):
            raise faults.refused(
                _BAD_REQUEST, "network-scoped alias is supported only for containers in user defined networks"
            )
        if "host" in container.networks:
            raise faults.refused(_BAD_REQUEST, _SHARED)
        if network.driver == "host":
            raise faults.refused(_BAD_REQUEST, _HOST)
        there = network.name in container.networks
        others = [name for name in container.networks if self._is_network(name)]
        if not there and others and "none" in (network.name, *others):
            raise faults.refused(_BAD_REQUEST, _PRIVATE)
        if there and container.running and container.networks[network.name].get("EndpointID"):
            raise faults.refused(
                _FORBIDDEN, f"endpoint with name {container.name} already exists in network {network.name}"
            )
        if there and not container.running:
            return
        end = endpoint_of(endpoint, container.container_id, user_defined=not network.predefined)
        container.networks[network.name] = end
        if container.running:
            # An address that it can't have leaves the endpoint without one, and the container can't start again.
            container.networks[network.name] = self._joined(container, network, end)

    def _joined(
        self, container: FakeContainer, network: FakeNetwork, end: Mapping[str, object]
    ) -> dict[str, object]:
        """The endpoint with its address; raises DockerFailure."""
        taken = [
            str(other["IPAddress"]) for whose, other in self._connected(network) if whose is not container
        ]
        address = self._address(network, address_of(end), taken)
        self._endpoints += 1
        seed = f"{self._hostname}/endpoint/{self._endpoints}"
        joined = detached(end)
        joined["NetworkID"] = network.network_id
        joined["EndpointID"] = hashlib.sha256(seed.encode()).hexdigest()
        if address is not None:
            text, prefix = address
            octets = ipaddress.IPv4Address(text).packed
            joined["IPAddress"], joined["IPPrefixLen"] = text, prefix
            joined["Gateway"] = "" if network.internal else network.gateways[0]
            joined["MacAddress"] = ":".join(f"{octet:02x}" for octet in (2, 0x42, *octets))
        return joined

    @staticmethod
    def _address(network: FakeNetwork, wanted: str | None, taken: list[str]) -> tuple[str, int] | None:
        if wanted is None:
            return network.free_address(taken)
        address = ipaddress.ip_address(wanted)
        subnet = next((subnet for subnet in network.subnets if address in subnet), None)
        if subnet is None:
            raise faults.refused_with_doubt(
                _ERROR, f"Invalid address {wanted}: It does not belong to any of this network's subnets"
            )
        if wanted in taken or wanted in network.gateways:
            raise faults.refused(_FORBIDDEN, "Address already in use")
        return wanted, subnet.prefixlen

    def _new_network(self, spec: Mapping[str, object]) -> FakeNetwork:
        """The network that a create body makes; raises DockerFailure."""
        name, driver = str(spec.get("Name", "")), str(spec.get("Driver") or "bridge")
        if name in PREDEFINED:
            raise faults.refused(_FORBIDDEN, f"operation is not permitted on predefined {name} network")
        if self._is_network(name):
            raise faults.refused(_CONFLICT, f"network with name {name} already exists")
        if driver not in _DRIVERS:
            raise faults.refused(_NOT_FOUND, f'plugin "{driver}" not found')
        if driver in ("host", "null"):
            raise faults.refused(_FORBIDDEN, f'only one instance of "{driver}" network is allowed')
        labels, options = spec.get("Labels"), spec.get("Options")
        network = FakeNetwork(
            name,
            self._network_id(name),
            driver,
            internal=spec.get("Internal") is True,
            attachable=spec.get("Attachable") is True,
            ipv6=spec.get("EnableIPv6") is True,
            labels=dict(labels) if isinstance(labels, Mapping) else {},
            options=dict(options) if isinstance(options, Mapping) else {},
            pools=pools_of(spec),
            created=self._moment(),
        )
        network.configured = bool(network.pools)
        taken = [subnet for other in self.networks for subnet in other.subnets]
        if any(overlapping(subnet, taken) for subnet in network.subnets):
            raise faults.refused(_FORBIDDEN, "Pool overlaps with other one on this address space")
        if not any(isinstance(subnet, ipaddress.IPv4Network) for subnet in network.subnets):
            pool = next_pool(self.networks)
            if pool is None:
                raise faults.refused(
                    _NOT_FOUND, "could not find an available, non-overlapping IPv4 address pool"
                )
            network.pools.insert(0, pool)
        return network

    def _network_id(self, name: str) -> str:
        self._endpoints += 1
        return hashlib.sha256(f"{self._hostname}/network/{name}/{self._endpoints}".encode()).hexdigest()

    def _connected(self, network: FakeNetwork) -> list[tuple[FakeContainer, dict[str, object]]]:
        """The running containers that have an endpoint in it, with that endpoint."""
        return [
            (container, end)
            for container in self.containers
            for end in container.networks.values()
            if container.running and end.get("EndpointID") and end.get("NetworkID") == network.network_id
        ]

    def _is_network(self, name: str) -> bool:
        return any(network.name == name for network in self.networks)

    def _find_network(self, network: str) -> FakeNetwork:
        if network in self._networks:
            return self._networks[network]
        for matches in (
            [found for found in self.networks if found.name == network],
            [found for found in self.networks if network and found.network_id.startswith(network)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise faults.refused(
                    _BAD_REQUEST, f"network {network} is ambiguous ({len(matches)} matches found)"
                )
        raise faults.refused(_NOT_FOUND, f"network {network} not found")
