"""Volumes, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from seawall.agent.docker.engine import AioEngine, a_list, an_object, understood


class Volumes(Protocol):
    """See `Docker`. A volume has no id: its name is all that tells it from others."""

    async def volume_list(self, *, unused: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """The volumes; with `unused` those that no container names, running or not."""

    async def volume_inspect(self, volume: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about one."""

    async def volume_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> dict[str, object]:
        """Create one as Docker's create body says, and tell of it.

        Docker gives the one that has the name already, whatever its labels and options are.
        """

    async def volume_remove(self, volume: str, *, force: bool, timeout_seconds: float) -> None:
        """Remove one with all that is in it; refused (409) while a container names it.

        With `force` it is fine if there is none.
        """


class AioVolumes(AioEngine):
    """`Volumes` over the Engine's HTTP API."""

    async def volume_list(self, *, unused: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Volumes.volume_list`."""

        def read(answer: object) -> list[dict[str, object]]:
            # An Engine without volumes says null.
            return a_list(an_object(answer).get("Volumes") or [])

        return await self.query(
            self.request("list the volumes"),
            "volumes",
            read,
            params={"filters": {"dangling": ["true"]} if unused else None},
            timeout_seconds=timeout_seconds,
        )

    async def volume_inspect(self, volume: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Volumes.volume_inspect`."""
        request = self.request(f"inspect volume {volume}", "volume", volume)
        return await self.query(request, f"volumes/{volume}", an_object, timeout_seconds=timeout_seconds)

    async def volume_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> dict[str, object]:
        """See `Volumes.volume_create`."""
        name = str(spec.get("Name"))
        request = self.request(f"create volume {name}", "volume", name, changes=True)
        answer = await self.change(
            request, "POST", "volumes/create", body=spec, timeout_seconds=timeout_seconds
        )
        return understood(request, answer, an_object)

    async def volume_remove(self, volume: str, *, force: bool, timeout_seconds: float) -> None:
        """See `Volumes.volume_remove`."""
        request = self.request(f"remove volume {volume}", "volume", volume, changes=True)
        await self.change(
            request,
            "DELETE",
            f"volumes/{volume}",
            params={"force": force},
            timeout_seconds=timeout_seconds,
        )
