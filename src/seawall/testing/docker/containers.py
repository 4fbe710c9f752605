"""The containers of a fake Docker Engine, and what can be done to them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from seawall.agent.docker import LogChunk, LogTail
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import NEVER, FakeContainer, sample_containers
from seawall.testing.docker.images import FakeImages
from seawall.testing.docker.networks import FakeNetworks
from seawall.testing.docker.volumes import FakeVolumes
from seawall.testing.effects import Work
from seawall.testing.faults import Latency

_KILLED, _ENDED, _LOST = 137, 143, 255
_NOT_FOUND, _CONFLICT, _BAD_REQUEST = 404, 409, 400
_SHORTEST_ID = 4

_Steps = Callable[[Work, FakeContainer], Awaitable[None]]


class FakeContainers(FakeImages, FakeNetworks, FakeVolumes):
    """`agent.docker.containers.Containers` in memory.

    With `live_restore` containers survive a restart of the daemon; without it (as Docker does unless told otherwise)
    the new daemon ends those that it finds running.
    """

    def __init__(
        self,
        clock: Clock,
        containers: list[FakeContainer] | None = None,
        *,
        hostname: str = "simulated",
        latency: Callable[[str], Latency] | None = None,
        live_restore: bool = True,
    ) -> None:
        super().__init__(clock, hostname=hostname, latency=latency)
        self._live_restore = live_restore
        self._containers: dict[str, FakeContainer] = {}
        for container in sample_containers() if containers is None else containers:
            self.add(container)

    # What a test does to it

    def add(self, container: FakeContainer) -> FakeContainer:
        """Put a container there, without an effect in the log."""
        if not container.container_id:
            seed = f"{self._hostname}/{container.name}/{len(self._containers)}"
            container.container_id = hashlib.sha256(seed.encode()).hexdigest()
        container.created = container.created or int(self._clock.wall().timestamp())
        if container.running and container.started_at == NEVER:
            container.started_at = self._moment()
        self._containers[container.container_id] = container
        return container

    def container(self, name: str) -> FakeContainer:
        """The container of this name; raises LookupError."""
        for container in self._containers.values():
            if container.name == name:
                return container
        raise LookupError(f"there is no container {name}")

    @property
    def containers(self) -> list[FakeContainer]:
        """All of them."""
        return list(self._containers.values())

    @property
    def effects(self) -> list[tuple[str, str]]:
        """The changes that were carried out to their end: (operation, container id) pairs."""
        return [
            (effect.operation, effect.container_id)
            for effect in self.history
            if (effect.operation, effect.step) != ("container_restart", "stop")
        ]

    def end(self, name: str, exit_code: int = 1) -> None:
        """A container's program ends by itself, and its restart policy does what it should."""
        found = self.container(name)
        self._end(found, exit_code)
        if found.comes_back:
            found.restarts += 1
            found.start(self._moment())

    def kill_daemon(self) -> None:
        """The daemon is gone at once, with all that it was doing; its containers live on."""
        self.alive = False
        for work in self._work:
            work.cancel()

    def start_daemon(self, *, containers_lost: bool = False) -> None:
        """A new daemon takes over. `containers_lost`: the host was down as well, and took the containers with it."""
        self.alive = True
        for found in self.containers:
            if found.running and containers_lost:
                self._end(found, _LOST)
            elif found.running and not self._live_restore:
                self._end(found, _KILLED if found.ignores_term else _ENDED)
            if found.state == "exited" and (found.comes_back or found.restart_policy == "always"):
                found.start(self._moment())

    # agent.docker.Containers

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Containers.container_list`."""
        return await self._look(
            "container_list",
            lambda: [found.listed() for found in self.containers if stopped or found.running],
            timeout_seconds,
        )

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Containers.container_inspect`."""
        return await self._look(
            "container_inspect", lambda: self._find(container).inspected(), timeout_seconds
        )

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """See `Containers.container_logs`."""

        def read() -> LogTail:
            time = f"{self._clock.wall().isoformat().replace('+00:00', 'Z')} " if timestamps else ""
            lines = self._find(container).log[-tail:]
            return LogTail(
                [LogChunk(stream, f"{time}{text}\n".encode()) for stream, text in lines], truncated=False
            )

        return await self._look("container_logs", read, timeout_seconds)

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_start`."""
        await self._change_one("container_start", container, self._start, timeout_seconds)

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Containers.container_stop`."""

        async def stop(work: Work, found: FakeContainer) -> None:
            await self._stop(work, found, grace_seconds)

        await self._change_one("container_stop", container, stop, grace_seconds + timeout_seconds)

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Containers.container_restart`."""

        async def restart(work: Work, found: FakeContainer) -> None:
            await self._stop(work, found, grace_seconds)
            await self._sleep(work.latency.effect)
            await self._start(work, found)

        await self._change_one("container_restart", container, restart, grace_seconds + timeout_seconds)

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """See `Containers.container_kill`."""

        async def kill(work: Work, found: FakeContainer) -> None:
            if not found.running:
                raise faults.refused(_CONFLICT, f"Container {found.container_id} is not running")
            found.stopped_by_hand = True
            kills = signal in ("SIGKILL", "KILL", "9")
            ends = kills or (signal in ("SIGTERM", "TERM", "15") and not found.ignores_term)
            if ends:
                self._end(found, _KILLED if kills else _ENDED)
            work.done("kill", found.container_id, changed=ends)

        await self._change_one("container_kill", container, kill, timeout_seconds)

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """See `Containers.container_rename`."""

        async def rename(work: Work, found: FakeContainer) -> None:
            if found.name == name:
                raise faults.refused(_BAD_REQUEST, "the new name is the current one")
            if any(other.name == name for other in self.containers):
                raise faults.refused(_CONFLICT, f"the container name {name} is already in use")
            found.name = name
            work.done("rename", found.container_id)

        await self._change_one("container_rename", container, rename, timeout_seconds)

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """See `Containers.container_remove`."""

        async def remove(work: Work, found: FakeContainer) -> None:
            if found.running and not force:
                raise faults.refused(
                    _CONFLICT, f"container {found.container_id} is running: stop it first, or use force"
                )
            del self._containers[found.container_id]
            work.done("remove", found.container_id)

        await self._change_one("container_remove", container, remove, timeout_seconds)

    # What the daemon does

    async def _start(self, work: Work, found: FakeContainer) -> None:
        if found.paused:
            raise faults.refused(_CONFLICT, "cannot start a paused container, try unpause instead")
        changed = not found.running
        if changed:
            found.restarts = 0
            found.start(self._moment())
        work.done("start", found.container_id, changed=changed)

    async def _stop(self, work: Work, found: FakeContainer, grace_seconds: int) -> None:
        running = found.running
        if running:
            life, found.stopped_by_hand = found.started_at, True
            if found.ignores_term and not found.restarting:
                await self._sleep(grace_seconds)
            running = found.running and found.started_at == life
        if running:
            self._end(found, _KILLED if found.ignores_term else _ENDED)
        work.done("stop", found.container_id, changed=running)

    def _end(self, found: FakeContainer, exit_code: int) -> None:
        found.end(self._moment(), exit_code)
        if found.removes_itself:
            self._containers.pop(found.container_id, None)

    def _find(self, container: str) -> FakeContainer:
        for found in self.containers:
            if container in (found.name, found.container_id):
                return found
        if len(container) >= _SHORTEST_ID:
            matches = [found for found in self.containers if found.container_id.startswith(container)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise faults.refused(_BAD_REQUEST, f"several containers have ids that begin with {container}")
        raise faults.refused(_NOT_FOUND, f"No such container: {container}")

    async def _change_one(
        self, operation: str, container: str, steps: _Steps, timeout_seconds: float
    ) -> None:
        async def work(work: Work) -> None:
            await steps(work, self._find(container))

        await self._change(operation, work, timeout_seconds)
