"""The host of a fake Docker Engine."""

from __future__ import annotations

from collections.abc import Callable

from seawall.clock import Clock
from seawall.testing.containers import FakeContainer, host_info
from seawall.testing.docker.executions import FakeExecutions
from seawall.testing.faults import Latency


class FakeSystem(FakeExecutions):
    """`agent.docker.system.System` in memory."""

    def __init__(
        self,
        clock: Clock,
        containers: list[FakeContainer] | None = None,
        *,
        hostname: str = "simulated",
        version: str = "20.10.24",
        latency: Callable[[str], Latency] | None = None,
        live_restore: bool = True,
    ) -> None:
        super().__init__(clock, containers, hostname=hostname, latency=latency, live_restore=live_restore)
        self._version = version

    async def ping(self, *, timeout_seconds: float) -> None:
        """See `System.ping`."""
        await self._look("ping", lambda: None, timeout_seconds)

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.version`."""
        versions = {"Version": self._version, "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        return await self._look("version", lambda: dict[str, object](versions), timeout_seconds)

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.info`."""
        return await self._look("info", lambda: host_info(self._hostname, self.containers), timeout_seconds)

    async def disk_usage(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `System.disk_usage`; containers and volumes take no space."""

        def read() -> dict[str, object]:
            images = [
                {
                    **image.listed(),
                    "Containers": sum(map(len, self._users_of(image))),
                    "SharedSize": 0,
                    "VirtualSize": image.size,
                }
                for image in self.images.values()
            ]
            return {
                "LayersSize": sum(image.size for image in self.images.values()),
                "Images": images,
                "Containers": [found.listed() for found in self.containers],
                "Volumes": [
                    {**found.inspected(), "UsageData": {"RefCount": len(self._users(found.name)), "Size": 0}}
                    for found in self.volumes
                ],
                "BuildCache": None,
            }

        return await self._look("disk_usage", read, timeout_seconds)
