"""What a fake Docker Engine tells of the inside of its containers."""

from __future__ import annotations

from seawall.testing import faults
from seawall.testing.containers import NEVER, FakeContainer
from seawall.testing.docker.engine import FakeEngine

_CONFLICT = 409


class FakeInsights(FakeEngine):
    """The part of `agent.docker.containers.Containers` that looks into containers."""

    async def container_top(
        self, container: str, *, columns: str, timeout_seconds: float
    ) -> dict[str, object]:
        """See `Containers.container_top`."""

        def read() -> dict[str, object]:
            found = self._running(container)
            return {"Titles": ["PID", "CMD"], "Processes": [["1", found.image]]}

        return await self._look("container_top", read, timeout_seconds)

    async def container_stats(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Containers.container_stats`."""

        def read() -> dict[str, object]:
            found = self._find(container)
            used = 1024**2 if found.running else 0
            return {
                "id": found.container_id,
                "name": f"/{found.name}",
                "read": self._moment() if found.running else NEVER,
                "cpu_stats": {
                    "cpu_usage": {"total_usage": 2_000_000},
                    "system_cpu_usage": 20_000_000,
                    "online_cpus": 2,
                },
                "precpu_stats": {"cpu_usage": {"total_usage": 1_000_000}, "system_cpu_usage": 10_000_000},
                "memory_stats": {"usage": used, "limit": 1024**3, "stats": {}} if used else {},
                "pids_stats": {"current": 1} if used else {},
                "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 20}} if used else {},
                "blkio_stats": {"io_service_bytes_recursive": None},
            }

        return await self._look("container_stats", read, timeout_seconds)

    async def container_changes(self, container: str, *, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Containers.container_changes`."""

        def read() -> list[dict[str, object]]:
            found = self._find(container)
            return [{"Path": "/tmp", "Kind": 0}] if found.started_at != NEVER else []  # noqa: S108 - a name

        return await self._look("container_changes", read, timeout_seconds)

    def _running(self, container: str) -> FakeContainer:
        found = self._find(container)
        if not found.running:
            raise faults.refused(_CONFLICT, f"Container {found.container_id} is not running")
        return found
