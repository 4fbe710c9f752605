"""Networks, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from seawall.agent.docker.engine import AioEngine, a_list, an_id, an_object, understood


class Networks(Protocol):
    """See `Docker`. A network is named by its name, its id, or the unambiguous beginning of its id."""

    async def network_list(self, *, timeout_seconds: float) -> list[dict[str, object]]:
        """The networks, without what is connected to them."""

    async def network_inspect(self, network: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about one, with the endpoints of the containers that run."""

    async def network_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """Create one as Docker's create body says; its id. Refused if there is one of that name (409)."""

    async def network_remove(self, network: str, *, timeout_seconds: float) -> None:
        """Remove one. Refused (403) for Docker's own, and while a running container is connected."""

    async def network_connect(
        self, network: str, *, container: str, endpoint: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """Connect a container; `endpoint` is Docker's EndpointConfig.

        Docker refuses (403) a second endpoint of a running container. For one that is stopped it checks nothing, and
        keeps the endpoint that is there already.
        """

    async def network_disconnect(
        self, network: str, *, container: str, force: bool, timeout_seconds: float
    ) -> None:
        """Disconnect a container; 500 if it isn't connected."""


class AioNetworks(AioEngine):
    """`Networks` over the Engine's HTTP API."""

    async def network_list(self, *, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Networks.network_list`."""
        request = self.request("list the networks")
        return await self.query(request, "networks", a_list, timeout_seconds=timeout_seconds)

    async def network_inspect(self, network: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Networks.network_inspect`."""
        request = self.request(f"inspect network {network}", "network", network)
        return await self.query(request, f"networks/{network}", an_object, timeout_seconds=timeout_seconds)

    async def network_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """See `Networks.network_create`."""
        name = str(spec.get("Name"))
        request = self.request(f"create network {name}", "network", name, changes=True)
        answer = await self.change(
            request,
            "POST",
            "networks/create",
            body={**spec, "CheckDuplicate": True},
            timeout_seconds=timeout_seconds,
        )
        return understood(request, answer, an_id)

    async def network_remove(self, network: str, *, timeout_seconds: float) -> None:
        """See `Networks.network_remove`."""
        request = self.request(f"remove network {network}", "network", network, changes=True)
        await self.change(request, "DELETE", f"networks/{network}", timeout_seconds=timeout_seconds)

    async def network_connect(
        self, network: str, *, container: str, endpoint: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """See `Networks.network_connect`."""
        request = self.request(
            f"connect container {container} to network {network}", "network", network, changes=True
        )
        await self.change(
            request,
            "POST",
            f"networks/{network}/connect",
            body={"Container": container, "EndpointConfig": dict(endpoint)},
            timeout_seconds=timeout_seconds,
        )

    async def network_disconnect(
        self, network: str, *, container: str, force: bool, timeout_seconds: float
    ) -> None:
        """See `Networks.network_disconnect`."""
        request = self.request(
            f"disconnect container {container} from network {network}", "network", network, changes=True
        )
        await self.change(
            request,
            "POST",
            f"networks/{network}/disconnect",
            body={"Container": container, "Force": force},
            timeout_seconds=timeout_seconds,
        )
