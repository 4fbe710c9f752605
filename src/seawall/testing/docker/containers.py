"""The containers of a fake Docker Engine, and what can be done to them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from seawall.agent.docker import DockerFailure, LogChunk, LogTail
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import NEVER, FakeContainer, sample_containers
from seawall.testing.docker.images import FakeImage, FakeImages
from seawall.testing.docker.insights import FakeInsights
from seawall.testing.docker.networks import FakeNetworks
from seawall.testing.docker.volumes import FakeVolumes
from seawall.testing.effects import Work
from seawall.testing.faults import Latency

_NOT_STARTED, _KILLED, _ENDED, _LOST = 128, 137, 143, 255
_NOT_FOUND, _CONFLICT, _BAD_REQUEST, _ERROR = 404, 409, 400, 500

_Steps = Callable[[Work, FakeContainer], Awaitable[None]]


class FakeContainers(FakeInsights, FakeImages, FakeNetworks, FakeVolumes):
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
        self._changed = asyncio.Event()
        self._names = 0
        for container in sample_containers() if containers is None else containers:
            self.add(container)

    # What a test does to it

    def add(self, container: FakeContainer) -> FakeContainer:
        """Put a container there, without an effect in the log."""
        if not container.container_id:
            seed = f"{self._hostname}/{container.name}/{len(self._containers)}"
            container.container_id = hashlib.sha256(seed.encode()).hexdigest()
        with suppress(DockerFailure):  # an image that nobody has told of is made up by the container
            container.made_of = container.made_of or self.find_image(container.image).image_id
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
            self._begin(found)

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
                # Without its networks it stays as it is.
                with suppress(DockerFailure):
                    self._begin(found)

    # agent.docker.Containers

    async def container_list(
        self,
        *,
        stopped: bool,
        filters: Mapping[str, list[str]] | None = None,
        timeout_seconds: float,
    ) -> list[dict[str, object]]:
        """See `Containers.container_list`."""

        def read() -> list[dict[str, object]]:
            wanted = filters or {}
            everything = stopped or "status" in wanted
            found = [each for each in self.containers if (everything or each.running) and each.fits(wanted)]
            return [each.listed() for each in found]

        return await self._look("container_list", read, timeout_seconds)

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
            # In between it stays, even if it removes itself otherwise.
            removes_itself, found.removes_itself = found.removes_itself, False
            try:
                await self._stop(work, found, grace_seconds)
                await self._sleep(work.latency.effect)
                await self._start(work, found)
            except DockerFailure as failure:
                raise faults.refused_with_doubt(
                    _ERROR, f"Cannot restart container {container}: {failure.message}"
                ) from failure
            finally:
                found.removes_itself = removes_itself

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
            found.paused = False  # Docker lets the signal in
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
            self._tell()
            work.done("remove", found.container_id)

        await self._change_one("container_remove", container, remove, timeout_seconds)

    async def container_create(
        self, *, name: str | None, spec: Mapping[str, object], timeout_seconds: float
    ) -> str:
        """See `Containers.container_create`."""

        async def create(work: Work) -> str:
            self._names += 1
            wanted = name if name is not None else f"nameless_{self._names}"
            _ = self.find_image(str(spec.get("Image", "")))
            if any(other.name == wanted for other in self.containers):
                raise faults.refused(_CONFLICT, f"the container name {wanted} is already in use")
            found = FakeContainer.created_by(wanted, spec)
            if found.removes_itself and found.restart_policy not in ("", "no"):
                raise faults.refused(_BAD_REQUEST, "can't create 'AutoRemove' container with restart policy")
            found.container_id = hashlib.sha256(
                f"{self._hostname}/{wanted}/created/{self._names}".encode()
            ).hexdigest()
            self._ensure_volumes(spec)
            self.add(found)
            work.done("create", found.container_id)
            return found.container_id

        return await self._change("container_create", create, timeout_seconds)

    async def container_configure(
        self, container: str, *, changes: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """See `Containers.container_configure`."""

        async def configure(work: Work, found: FakeContainer) -> None:
            policy = changes.get("RestartPolicy")
            if isinstance(policy, Mapping) and found.removes_itself and policy.get("Name") not in ("", "no"):
                raise faults.refused(
                    _CONFLICT, "Restart policy cannot be updated because AutoRemove is enabled"
                )
            found.configure(changes)
            work.done("configure", found.container_id)

        await self._change_one("container_configure", container, configure, timeout_seconds)

    async def container_pause(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_pause`."""

        async def pause(work: Work, found: FakeContainer) -> None:
            if not found.running or found.restarting or found.paused:
                how = "already paused" if found.paused else f"not running ({found.state})"
                raise faults.refused(_CONFLICT, f"Container {found.container_id} is {how}")
            found.paused = True
            work.done("pause", found.container_id)

        await self._change_one("container_pause", container, pause, timeout_seconds)

    async def container_unpause(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_unpause`."""

        async def unpause(work: Work, found: FakeContainer) -> None:
            if not found.paused:
                raise faults.refused_with_doubt(_ERROR, f"Container {found.container_id} is not paused")
            found.paused = False
            work.done("unpause", found.container_id)

        await self._change_one("container_unpause", container, unpause, timeout_seconds)

    async def container_wait(self, container: str, *, condition: str, timeout_seconds: float) -> int:
        """See `Containers.container_wait`."""

        async def wait(_: Work) -> int:
            found = self._find(container)
            life = found.finished_at
            while not self._has_come(found, condition, life):
                await self._changed.wait()
            return found.exit_code

        # In a task of the daemon's, so that it ends with its time.
        return await self._change("container_wait", wait, timeout_seconds)

    # What the daemon does

    def _has_come(self, found: FakeContainer, condition: str, life: str) -> bool:
        if condition == "removed":
            return found.container_id not in self._containers
        if condition == "next-exit":
            return found.finished_at != life
        return not found.running

    def _tell(self) -> None:
        """Something has changed: whoever waits for it looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _start(self, work: Work, found: FakeContainer) -> None:
        if found.paused:
            raise faults.refused(_CONFLICT, "cannot start a paused container, try unpause instead")
        changed = not found.running
        if changed:
            self._begin(found)
            found.restarts = 0
        work.done("start", found.container_id, changed=changed)

    def _begin(self, found: FakeContainer) -> None:
        try:
            self._join_networks(found)
        except DockerFailure:
            found.exit_code = found.exit_code or _NOT_STARTED
            if found.removes_itself:
                self._containers.pop(found.container_id, None)
            raise
        found.start(self._moment())

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
        self._leave_networks(found)
        if found.removes_itself:
            self._containers.pop(found.container_id, None)
        self._tell()

    def _users_of(self, image: FakeImage) -> tuple[list[str], list[str]]:
        users = [found for found in self.containers if found.made_of == image.image_id]
        running = [found.container_id for found in users if found.running]
        return running, [found.container_id for found in users if not found.running]

    async def _change_one(
        self, operation: str, container: str, steps: _Steps, timeout_seconds: float
    ) -> None:
        async def work(work: Work) -> None:
            await steps(work, self._find(container))

        await self._change(operation, work, timeout_seconds)
