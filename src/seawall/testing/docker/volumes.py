"""The volumes of a fake Docker Engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.container_record import mounts_of
from seawall.testing.docker.engine import FakeEngine
from seawall.testing.effects import Work
from seawall.testing.faults import Latency

_BAD_REQUEST, _NOT_FOUND, _CONFLICT = 400, 404, 409
_MANDATORY = ("device", "type")
_OPTIONS = (*_MANDATORY, "o", "size")


@dataclass
class FakeVolume:
    """A volume of a `FakeDocker`."""

    name: str
    created: str
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None

    def inspected(self) -> dict[str, object]:
        """What inspect says."""
        return {
            "CreatedAt": self.created,
            "Driver": "local",
            "Labels": self.labels,
            "Mountpoint": f"/var/lib/docker/volumes/{self.name}/_data",
            "Name": self.name,
            "Options": self.options,
            "Scope": "local",
        }


class FakeVolumes(FakeEngine):
    """`agent.docker.volumes.Volumes` in memory, as Docker 20.10 does it."""

    def __init__(
        self, clock: Clock, *, hostname: str = "simulated", latency: Callable[[str], Latency] | None = None
    ) -> None:
        super().__init__(clock, hostname=hostname, latency=latency)
        self._volumes: dict[str, FakeVolume] = {}

    @property
    def volumes(self) -> list[FakeVolume]:
        """All of them."""
        return list(self._volumes.values())

    # agent.docker.Volumes

    async def volume_list(self, *, unused: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Volumes.volume_list`."""

        def read() -> list[dict[str, object]]:
            return [
                volume.inspected() for volume in self.volumes if not (unused and self._users(volume.name))
            ]

        return await self._look("volume_list", read, timeout_seconds)

    async def volume_inspect(self, volume: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Volumes.volume_inspect`."""
        return await self._look(
            "volume_inspect", lambda: self._find_volume(volume).inspected(), timeout_seconds
        )

    async def volume_create(self, *, spec: Mapping[str, object], timeout_seconds: float) -> dict[str, object]:
        """See `Volumes.volume_create`."""

        async def create(work: Work) -> dict[str, object]:
            name, driver = str(spec.get("Name", "")), str(spec.get("Driver") or "local")
            if driver != "local":
                raise faults.refused(
                    _NOT_FOUND,
                    f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found',
                )
            there = name in self._volumes
            if not there:
                self._volumes[name] = self._new_volume(name, spec)
            work.done("create", name, changed=not there)
            return self._volumes[name].inspected()

        return await self._change("volume_create", create, timeout_seconds)

    async def volume_remove(self, volume: str, *, force: bool, timeout_seconds: float) -> None:
        """See `Volumes.volume_remove`."""

        async def remove(work: Work) -> None:
            if force and volume not in self._volumes:
                return
            found = self._find_volume(volume)
            users = self._users(volume)
            if users:
                raise faults.refused(_CONFLICT, f"remove {volume}: volume is in use - [{', '.join(users)}]")
            del self._volumes[found.name]
            work.done("remove", found.name)

        await self._change("volume_remove", remove, timeout_seconds)

    # What the daemon does

    def _ensure_volumes(self, spec: Mapping[str, object]) -> None:
        """Create the named volumes of a container that is created, unless they are there."""
        for name in _named(spec):
            if name not in self._volumes:
                self._volumes[name] = FakeVolume(name, self._moment())

    def _new_volume(self, name: str, spec: Mapping[str, object]) -> FakeVolume:
        labels, options = spec.get("Labels"), spec.get("DriverOpts")
        wanted = dict(options) if isinstance(options, Mapping) else None
        for option in wanted or {}:
            if option not in _OPTIONS:
                raise faults.refused(_BAD_REQUEST, f'create {name}: invalid option: "{option}"')
        missing = next((option for option in _MANDATORY if wanted and option not in wanted), None)
        if missing is not None:
            raise faults.refused(_BAD_REQUEST, f'create {name}: missing required option: "{missing}"')
        kept = dict(labels) if isinstance(labels, Mapping) else None
        return FakeVolume(name, self._moment(), kept, wanted)

    def _users(self, volume: str) -> list[str]:
        """The ids of the containers that name it, running or not."""
        return [container.container_id for container in self.containers if volume in _named(container.spec)]

    def _find_volume(self, volume: str) -> FakeVolume:
        if volume not in self._volumes:
            raise faults.refused(_NOT_FOUND, f"get {volume}: no such volume")
        return self._volumes[volume]


def _named(spec: Mapping[str, object]) -> Iterator[str]:
    """The named volumes of a create body."""
    for mount in mounts_of(spec):
        if mount["Type"] == "volume" and mount.get("Name"):
            yield str(mount["Name"])
