"""Look at networks, make and remove them, put containers into them.

Made from `operations/networks.py` by `make generate`: change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.operations.group import Group
from seawall.client.results import Results


class Networks(Group):
    """Look at networks, make and remove them, put containers into them."""

    async def list(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """List the host's networks."""
        return await self._perform("network_list", on, {}, delivery)

    async def inspect(self, network: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Everything that Docker knows about a network, and the running containers in it.

        - `network`: the network's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("network_inspect", on, {"network": network}, delivery)

    async def create(
        self,
        name: str,
        *,
        on: On = None,
        driver: str = "bridge",
        internal: bool = False,
        attachable: bool = False,
        enable_ipv6: bool = False,
        subnet: str | None = None,
        gateway: str | None = None,
        ip_range: str | None = None,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Create a network.

        - `name`: the new network's name: letters, digits, '_', '.' and '-', the first a letter or a digit
        - `driver`: the driver that makes it, such as bridge or macvlan
        - `internal`: no way out of it: its containers reach each other only
        - `attachable`: containers may join it by hand (of a swarm's network)
        - `enable_ipv6`: give IPv6 addresses as well
        - `subnet`: its addresses, such as 10.1.0.0/24; Docker chooses some if it isn't given
        - `gateway`: the address in the subnet that leads out of it, such as 10.1.0.1
        - `ip_range`: the part of the subnet that containers are given, such as 10.1.0.128/25
        - `options`: options of the driver, such as com.docker.network.driver.mtu=1400
        - `labels`: its labels: names of letters, digits, '.', '_', '/' and '-', not beginning with 'seawall.'
        """
        return await self._perform(
            "network_create",
            on,
            {
                "name": name,
                "driver": driver,
                "internal": internal,
                "attachable": attachable,
                "enable_ipv6": enable_ipv6,
                "subnet": subnet,
                "gateway": gateway,
                "ip_range": ip_range,
                "options": options,
                "labels": labels,
            },
            delivery,
        )

    async def remove(self, network: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Remove a network that no running container is in.

        - `network`: the network's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("network_remove", on, {"network": network}, delivery)

    async def connect(
        self,
        network: str,
        container: str,
        *,
        on: On = None,
        aliases: Sequence[str] | None = None,
        address: str | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Connect a container to a network.

        - `network`: the network's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `aliases`: further names that the container has in this network
        - `address`: the IPv4 address that it is to have there; only in a network that was created with a
          subnet
        """
        return await self._perform(
            "network_connect",
            on,
            {"network": network, "container": container, "aliases": aliases, "address": address},
            delivery,
        )

    async def disconnect(
        self, network: str, container: str, *, on: On = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Disconnect a container from a network; fine if it isn't connected.

        - `network`: the network's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform(
            "network_disconnect", on, {"network": network, "container": container}, delivery
        )

    async def prune_plan(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """The networks that no container is in, running or not: what network_prune would remove."""
        return await self._perform("network_prune_plan", on, {}, delivery)

    async def prune(self, *, ids: Sequence[str], on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Remove unused networks: those of a plan, by their ids. One that is used by now is kept.

        - `ids`: the whole ids of the networks, as network_prune_plan tells them
        """
        return await self._perform("network_prune", on, {"ids": ids}, delivery)
