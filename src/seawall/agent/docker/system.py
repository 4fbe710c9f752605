"""The host and its Engine, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from typing import Protocol

import aiodocker

from seawall.agent.docker.engine import AioEngine, an_object


class System(Protocol):
    """See `Docker`."""

    async def ping(self, *, timeout_seconds: float) -> None:
        """Return if the Engine answers."""

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """The Engine's versions, as it writes them."""

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """What the Engine says of itself and its host."""

    async def disk_usage(self, *, timeout_seconds: float) -> dict[str, object]:
        """What takes the disk's space, object by object. It may take long: Docker adds up files."""


class AioSystem(AioEngine):
    """`System` over the Engine's HTTP API."""

    async def ping(self, *, timeout_seconds: float) -> None:
        """See `System.ping`."""

        async def work(client: aiodocker.Docker) -> None:
            async with client._query("_ping", versioned_api=False) as response:
                await response.read()

        # An Engine that answers is there, whatever version it speaks.
        await self.call(self.request("answer a ping"), work, timeout_seconds, negotiated=False)

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.version`."""
        request = self.request("tell its version")
        return await self.query(request, "version", an_object, timeout_seconds=timeout_seconds)

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.info`."""
        request = self.request("describe itself")
        return await self.query(request, "info", an_object, timeout_seconds=timeout_seconds)

    async def disk_usage(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.disk_usage`."""
        request = self.request("tell what takes the disk's space")
        return await self.query(request, "system/df", an_object, timeout_seconds=timeout_seconds)
