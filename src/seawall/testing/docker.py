"""A Docker Engine in memory that keeps a log of its effects, fails as told, and can die."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from seawall.agent.docker import LogChunk, LogTail
from seawall.agent.failure import DockerFailure
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import NEVER, FakeContainer, host_info, sample_containers
from seawall.testing.effects import Effect, Work, executing
from seawall.testing.faults import Fault as Fault
from seawall.testing.faults import Latency as Latency

_KILLED, _ENDED, _LOST = 137, 143, 255
_NOT_FOUND, _CONFLICT, _BAD_REQUEST = 404, 409, 400
_SHORTEST_ID = 4

Answer = TypeVar("Answer")
_Steps = Callable[[Work, FakeContainer], Awaitable[None]]


class FakeDocker:
    """`agent.docker.Docker` in memory. `history` is the truth about what was done.

    `fault` makes every call fail that way, `fail_next` only the next ones. Time is the clock's: a call that hangs ends
    after its `timeout_seconds`, and everything else takes no time unless `latency` says so for an operation, or a
    container ignores SIGTERM. The daemon works in tasks of its own: nobody stops them by going away.

    With `live_restore` containers survive a restart of the daemon; without it (as Docker does unless told otherwise)
    the new daemon ends those that it finds running.
    """

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
        self.history: list[Effect] = []
        self.calls: list[str] = []
        """Every call that was made, whatever became of it."""
        self.closed = False
        self.latency = latency
        self.alive = True
        self._clock = clock
        self._hostname = hostname
        self._version = version
        self._live_restore = live_restore
        self._fault: Fault | None = None
        self._next: list[Fault | DockerFailure] = []
        self._healed = asyncio.Event()
        self._moments = 0
        self._containers: dict[str, FakeContainer] = {}
        self._work: set[asyncio.Future[Any]] = set()
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

    def fault(self, fault: Fault) -> None:
        """From now on every call fails this way, until `heal`."""
        self._fault = fault

    def fail_next(self, fault: Fault | DockerFailure, calls: int = 1) -> None:
        """The next calls fail this way, or with this very failure."""
        self._next += [fault] * calls

    def heal(self) -> None:
        """No more faults; calls that hang go on."""
        self._fault = None
        self._next.clear()
        self._healed.set()
        self._healed = asyncio.Event()

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

    # agent.docker.Docker

    async def ping(self, *, timeout_seconds: float) -> None:
        """See `Docker.ping`."""
        await self._look("ping", lambda: None, timeout_seconds)

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.version`."""
        versions = {"Version": self._version, "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        return await self._look("version", lambda: dict[str, object](versions), timeout_seconds)

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.info`."""
        return await self._look("info", lambda: host_info(self._hostname, self.containers), timeout_seconds)

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Docker.container_list`."""
        return await self._look(
            "container_list",
            lambda: [found.listed() for found in self.containers if stopped or found.running],
            timeout_seconds,
        )

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.container_inspect`."""
        return await self._look(
            "container_inspect", lambda: self._find(container).inspected(), timeout_seconds
        )

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """See `Docker.container_logs`."""

        def read() -> LogTail:
            time = f"{self._clock.wall().isoformat().replace('+00:00', 'Z')} " if timestamps else ""
            lines = self._find(container).log[-tail:]
            return LogTail(
                [LogChunk(stream, f"{time}{text}\n".encode()) for stream, text in lines], truncated=False
            )

        return await self._look("container_logs", read, timeout_seconds)

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """See `Docker.container_start`."""
        await self._change("container_start", container, self._start, timeout_seconds)

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_stop`."""

        async def stop(work: Work, found: FakeContainer) -> None:
            await self._stop(work, found, grace_seconds)

        await self._change("container_stop", container, stop, grace_seconds + timeout_seconds)

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_restart`."""

        async def restart(work: Work, found: FakeContainer) -> None:
            await self._stop(work, found, grace_seconds)
            await self._sleep(work.latency.effect)
            await self._start(work, found)

        await self._change("container_restart", container, restart, grace_seconds + timeout_seconds)

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """See `Docker.container_kill`."""

        async def kill(work: Work, found: FakeContainer) -> None:
            if not found.running:
                raise faults.refused(_CONFLICT, f"Container {found.container_id} is not running")
            found.stopped_by_hand = True
            kills = signal in ("SIGKILL", "KILL", "9")
            ends = kills or (signal in ("SIGTERM", "TERM", "15") and not found.ignores_term)
            if ends:
                self._end(found, _KILLED if kills else _ENDED)
            work.done("kill", found.container_id, changed=ends)

        await self._change("container_kill", container, kill, timeout_seconds)

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """See `Docker.container_rename`."""

        async def rename(work: Work, found: FakeContainer) -> None:
            if found.name == name:
                raise faults.refused(_BAD_REQUEST, "the new name is the current one")
            if any(other.name == name for other in self.containers):
                raise faults.refused(_CONFLICT, f"the container name {name} is already in use")
            found.name = name
            work.done("rename", found.container_id)

        await self._change("container_rename", container, rename, timeout_seconds)

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """See `Docker.container_remove`."""

        async def remove(work: Work, found: FakeContainer) -> None:
            if found.running and not force:
                raise faults.refused(
                    _CONFLICT, f"container {found.container_id} is running: stop it first, or use force"
                )
            del self._containers[found.container_id]
            work.done("remove", found.container_id)

        await self._change("container_remove", container, remove, timeout_seconds)

    async def close(self) -> None:
        """See `Docker.close`."""
        self.closed = True

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

    def _moment(self) -> str:
        """The time of day as Docker writes it, to the nanosecond: no two are the same."""
        self._moments += 1
        now = self._clock.wall()
        return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond * 1000 + self._moments % 1000:09d}Z"

    # How a call goes

    async def _look(self, operation: str, read: Callable[[], Answer], timeout_seconds: float) -> Answer:
        async def work(_: Work) -> Answer:
            return read()

        return await self._call(operation, work, timeout_seconds)

    async def _change(self, operation: str, container: str, steps: _Steps, timeout_seconds: float) -> None:
        async def work(work: Work) -> None:
            await steps(work, self._find(container))

        await self._call(operation, work, timeout_seconds)

    async def _call(
        self, operation: str, do: Callable[[Work], Awaitable[Answer]], timeout_seconds: float
    ) -> Answer:
        """The caller's side: connect, and wait for the daemon's work as long as it may take."""
        self.calls.append(operation)
        await asyncio.sleep(0)
        fault = self._next.pop(0) if self._next else self._fault
        if fault is Fault.UNREACHABLE or not self.alive:
            raise faults.unreachable(self._hostname, operation)
        if fault is Fault.PERMISSION:
            raise faults.forbidden(self._hostname, operation)
        if isinstance(fault, DockerFailure):
            raise fault
        latency = self.latency(operation) if self.latency is not None else Latency()
        work = Work(self.history, self._clock, operation, executing.get(), latency)
        if fault is None and self.latency is None and operation not in faults.CHANGES:
            return await do(work)  # a look that takes no time needs no task of the daemon's
        served = asyncio.ensure_future(self._serve(work, do, fault, timeout_seconds))
        self._work.add(served)
        served.add_done_callback(self._forget)
        over = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(self._clock.now() + timeout_seconds, over.cancel)
        try:
            await asyncio.wait((served, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not served.done():
            raise faults.silent(operation, timeout_seconds)
        if served.cancelled():
            raise faults.broken(operation)
        return served.result()

    async def _serve(
        self,
        work: Work,
        do: Callable[[Work], Awaitable[Answer]],
        fault: Fault | None,
        timeout_seconds: float,
    ) -> Answer:
        """The daemon's side."""
        await self._sleep(work.latency.request)
        if fault is Fault.BROKEN_BEFORE:
            raise faults.broken(work.operation)
        if fault is Fault.SERVER_ERROR:
            raise faults.server_error(work.operation)
        if fault is Fault.HANGS_BEFORE:
            await self._hang(work.operation, timeout_seconds)
        await self._sleep(work.latency.effect)
        answer = await do(work)
        if fault is Fault.HANGS_AFTER:
            await self._hang(work.operation, timeout_seconds)
        elif fault is Fault.BROKEN_AFTER:
            raise faults.broken(work.operation)
        await self._sleep(work.latency.response)
        return answer

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep_until(self._clock.now() + seconds)

    async def _hang(self, operation: str, timeout_seconds: float) -> None:
        """Return when healed; raise when the call's time is over."""
        healed = asyncio.ensure_future(self._healed.wait())
        timer = self._clock.call_at(self._clock.now() + timeout_seconds, healed.cancel)
        try:
            await asyncio.wait((healed,))
        finally:
            timer.cancel()
            healed.cancel()
        if healed.cancelled():
            raise faults.silent(operation, timeout_seconds)

    def _forget(self, served: asyncio.Future[Answer]) -> None:
        """Its failure may have nobody left to hear it."""
        self._work.discard(served)
        if not served.cancelled():
            served.exception()
