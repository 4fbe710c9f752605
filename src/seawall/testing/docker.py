"""A Docker Engine in memory that keeps a log of its effects and fails as told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from enum import Enum

from seawall.agent.docker import LogChunk, LogTail
from seawall.agent.failure import DockerFailure
from seawall.agent.operations.system import SIMULATED_KEY
from seawall.clock import Clock
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.containers import NEVER, FakeContainer, sample_containers

_KILLED = 137
_ENDED = 143
_NOT_FOUND, _CONFLICT, _BAD_REQUEST, _SERVER_ERROR = 404, 409, 400, 500
_SHORTEST_ID = 4
_CHANGES = frozenset(f"container_{verb}" for verb in ("start", "stop", "restart", "kill", "rename", "remove"))


class Fault(Enum):
    """How a `FakeDocker` can be sick."""

    UNREACHABLE = "unreachable"
    """No connection can be made; nothing is done."""
    PERMISSION = "permission"
    """The agent's user may not use it; nothing is done."""
    BROKEN_BEFORE = "broken_before"
    """The connection breaks before the effect."""
    BROKEN_AFTER = "broken_after"
    """The connection breaks after the effect."""
    SERVER_ERROR = "server_error"
    """It answers 500; nothing is done."""
    HANGS_BEFORE = "hangs_before"
    """It accepts, does nothing, and says nothing until it is healed or the call's time is over."""
    HANGS_AFTER = "hangs_after"
    """It has the effect, and says nothing."""


_Effect = Callable[[FakeContainer], None]


class FakeDocker:
    """`agent.docker.Docker` in memory. `effects` is the truth about what was done: (operation, container id) pairs.

    `fault` makes every call fail that way, `fail_next` only the next ones. Time is the clock's: a call that hangs ends
    after its `timeout_seconds`, and a stop takes no time at all.
    """

    def __init__(
        self,
        clock: Clock,
        containers: list[FakeContainer] | None = None,
        *,
        hostname: str = "simulated",
        version: str = "20.10.24",
    ) -> None:
        self.effects: list[tuple[str, str]] = []
        self.calls: list[str] = []
        """Every call that was made, whatever became of it."""
        self.closed = False
        self._clock = clock
        self._hostname = hostname
        self._version = version
        self._fault: Fault | None = None
        self._next: list[Fault | DockerFailure] = []
        self._healed = asyncio.Event()
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

    # agent.docker.Docker

    async def ping(self, *, timeout_seconds: float) -> None:
        """See `Docker.ping`."""
        await self._enter("ping", timeout_seconds)

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.version`."""
        await self._enter("version", timeout_seconds)
        return {"Version": self._version, "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.info`."""
        await self._enter("info", timeout_seconds)
        running = sum(container.running for container in self.containers)
        return {
            "Name": self._hostname,
            "OperatingSystem": "Simulated Linux",
            "KernelVersion": "0.0.0-simulated",
            "Architecture": "x86_64",
            "NCPU": 2,
            "MemTotal": 2 * 1024**3,
            "ContainersRunning": running,
            "ContainersPaused": 0,
            "ContainersStopped": len(self._containers) - running,
            "Images": len({container.image for container in self.containers}),
            SIMULATED_KEY: True,
        }

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Docker.container_list`."""
        await self._enter("container_list", timeout_seconds)
        return [
            {
                "Id": container.container_id,
                "Names": [f"/{container.name}"],
                "Image": container.image,
                "State": container.state,
                "Status": "Up" if container.running else f"Exited ({container.exit_code})",
                "Labels": dict(container.labels),
                "Created": container.created,
            }
            for container in self.containers
            if stopped or container.running
        ]

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.container_inspect`."""
        await self._enter("container_inspect", timeout_seconds)
        found = self._find(container)
        return {
            "Id": found.container_id,
            "Name": f"/{found.name}",
            "RestartCount": 0,
            "State": {
                "Running": found.running,
                "Status": found.state,
                "StartedAt": found.started_at,
                "FinishedAt": found.finished_at,
                "ExitCode": found.exit_code,
            },
            "Config": {
                "Image": found.image,
                "Labels": dict(found.labels),
                "Tty": found.terminal,
                "StopTimeout": found.stop_timeout,
            },
        }

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """See `Docker.container_logs`."""
        await self._enter("container_logs", timeout_seconds)
        time = f"{self._moment()} " if timestamps else ""
        lines = self._find(container).log[-tail:]
        return LogTail(
            [LogChunk(stream, f"{time}{text}\n".encode()) for stream, text in lines], truncated=False
        )

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """See `Docker.container_start`."""
        await self._change("container_start", container, self._start, timeout_seconds)

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_stop`."""
        await self._change("container_stop", container, self._stop, grace_seconds + timeout_seconds)

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_restart`."""
        await self._change("container_restart", container, self._restart, grace_seconds + timeout_seconds)

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """See `Docker.container_kill`."""

        def kill(found: FakeContainer) -> None:
            if not found.running:
                raise _refused(_CONFLICT, f"Container {found.container_id} is not running")
            if signal in ("SIGKILL", "KILL", "9"):
                self._end(found, _KILLED)
            elif signal in ("SIGTERM", "TERM", "15"):
                self._end(found, _ENDED)

        await self._change("container_kill", container, kill, timeout_seconds)

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """See `Docker.container_rename`."""

        def rename(found: FakeContainer) -> None:
            if any(other.name == name for other in self.containers):
                raise _refused(_CONFLICT, f"the container name {name} is already in use")
            found.name = name

        await self._change("container_rename", container, rename, timeout_seconds)

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """See `Docker.container_remove`."""

        def remove(found: FakeContainer) -> None:
            if found.running and not force:
                raise _refused(
                    _CONFLICT, f"container {found.container_id} is running: stop it first, or use force"
                )
            del self._containers[found.container_id]

        await self._change("container_remove", container, remove, timeout_seconds)

    async def close(self) -> None:
        """See `Docker.close`."""
        self.closed = True

    # How

    def _start(self, found: FakeContainer) -> None:
        if not found.running:
            found.running, found.started_at, found.exit_code = True, self._moment(), 0

    def _stop(self, found: FakeContainer) -> None:
        if found.running:
            self._end(found, _ENDED)

    def _restart(self, found: FakeContainer) -> None:
        self._stop(found)
        self._start(found)
        found.restarts += 1

    def _end(self, found: FakeContainer, exit_code: int) -> None:
        found.running, found.finished_at, found.exit_code = False, self._moment(), exit_code
        if found.removes_itself:
            self._containers.pop(found.container_id, None)

    async def _change(self, operation: str, container: str, effect: _Effect, timeout_seconds: float) -> None:
        # As with the real one, a change goes on when whoever asked for it is gone.
        change = asyncio.ensure_future(self._perform(operation, container, effect, timeout_seconds))
        change.add_done_callback(_look_away)
        await asyncio.shield(change)

    async def _perform(self, operation: str, container: str, effect: _Effect, timeout_seconds: float) -> None:
        fault = await self._enter(operation, timeout_seconds)
        found = self._find(container)
        effect(found)
        self.effects.append((operation, found.container_id))
        if fault is Fault.HANGS_AFTER:
            await self._hang(operation, timeout_seconds)
        elif fault is Fault.BROKEN_AFTER:
            raise _broken(operation)

    async def _enter(self, operation: str, timeout_seconds: float) -> Fault | None:
        """Fail as told; what is left for after the effect is returned."""
        self.calls.append(operation)
        await asyncio.sleep(0)
        fault = self._next.pop(0) if self._next else self._fault
        match fault:
            case DockerFailure():
                raise fault
            case Fault.UNREACHABLE:
                raise DockerFailure(
                    CommandErrorCode.DOCKER_ERROR,
                    Circumstance.DOCKER_UNREACHABLE,
                    f"no Docker Engine can be reached on {self._hostname} for {operation}. Nothing was done",
                )
            case Fault.PERMISSION:
                raise DockerFailure(
                    CommandErrorCode.PERMISSION_DENIED,
                    Circumstance.NONE,
                    f"the agent's user may not use the Docker Engine on {self._hostname} for {operation}",
                )
            case Fault.BROKEN_BEFORE:
                raise _broken(operation)
            case Fault.SERVER_ERROR:
                raise DockerFailure(
                    CommandErrorCode.DOCKER_ERROR,
                    Circumstance.DOCKER_REFUSED if operation in _CHANGES else Circumstance.DOCKER_FAILED,
                    f"Docker answered 500 to {operation}",
                    _SERVER_ERROR,
                )
            case Fault.HANGS_BEFORE:
                await self._hang(operation, timeout_seconds)
                return None
        return fault

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
            raise DockerFailure(
                CommandErrorCode.TIMEOUT,
                Circumstance.DOCKER_SILENT,
                f"the Docker Engine did not answer {operation} within {timeout_seconds:g} s",
            )

    def _find(self, container: str) -> FakeContainer:
        for found in self.containers:
            if container in (found.name, found.container_id):
                return found
        if len(container) >= _SHORTEST_ID:
            matches = [found for found in self.containers if found.container_id.startswith(container)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise _refused(_BAD_REQUEST, f"several containers have ids that begin with {container}")
        raise _refused(_NOT_FOUND, f"No such container: {container}")

    def _moment(self) -> str:
        return self._clock.wall().isoformat().replace("+00:00", "Z")


def _look_away(change: asyncio.Future[None]) -> None:
    """Its failure may have nobody left to hear it."""
    if not change.cancelled():
        change.exception()


def _refused(status: int, text: str) -> DockerFailure:
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_REFUSED,
        f"Docker answered {status}: {text}",
        status,
    )


def _broken(operation: str) -> DockerFailure:
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_FAILED,
        f"the connection to the Docker Engine broke during {operation}",
    )
