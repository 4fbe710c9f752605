"""The containers of a fake Docker Engine."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seawall.agent.operations.system import SIMULATED_KEY
from seawall.testing.container_record import config_of, host_config_of, mounts_of, networks_of, section


class FakeLog(list[tuple[str, str]]):
    """Lines of (stream, text); appending one wakes those who follow it."""

    def __init__(self, lines: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(lines)
        self.changed = asyncio.Event()

    def append(self, line: tuple[str, str]) -> None:
        """Write a line."""
        super().append(line)
        self.changed.set()


NEVER = "0001-01-01T00:00:00Z"
"""How Docker writes that something has not happened."""


@dataclass
class FakeContainer:
    """A container of a `FakeDocker`. `log` holds (stream, line) pairs.

    As in Docker, one that is `paused`, or that waits for its restart policy (`restarting`), counts as running.
    `restart_policy` is Docker's word: no, on-failure, unless-stopped, always, or nothing. `restarts` is how often it
    came into force since somebody started the container, `stopped_by_hand` keeps it from doing so. `ignores_term`: only
    SIGKILL ends it. `made_of` is its image's id, if the Engine has that image.
    """

    name: str
    image: str = "busybox:latest"
    running: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    container_id: str = ""
    made_of: str = ""
    terminal: bool = False
    stop_timeout: int | None = None
    removes_itself: bool = False
    ignores_term: bool = False
    restart_policy: str = "no"
    log: list[tuple[str, str]] = field(default_factory=FakeLog)
    created: int = 0
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    restarts: int = 0
    paused: bool = False
    restarting: bool = False
    stopped_by_hand: bool = False
    spec: dict[str, object] = field(default_factory=dict)
    """The body that it was created with, as far as the other fields don't say it."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What was copied into it, by whole paths."""
    networks: dict[str, dict[str, object]] = field(default_factory=dict)
    """Its endpoint in each of its networks, by the network's name, in Docker's words."""

    @classmethod
    def created_by(cls, name: str, spec: Mapping[str, object]) -> FakeContainer:
        """The container that Docker makes of a create body; it has never run."""
        host, policy = section(spec, "HostConfig"), section(section(spec, "HostConfig"), "RestartPolicy")
        timeout, labels = spec.get("StopTimeout"), section(spec, "Labels")
        return cls(
            name,
            str(spec.get("Image", "")),
            running=False,
            labels={key: str(value) for key, value in labels.items()},
            terminal=spec.get("Tty") is True,
            stop_timeout=timeout if isinstance(timeout, int) else None,
            removes_itself=host.get("AutoRemove") is True,
            restart_policy=str(policy.get("Name") or ""),
            spec=dict(spec),
            networks=networks_of(spec),
        )

    def __post_init__(self) -> None:
        self.log = FakeLog(self.log)

    async def written(self) -> None:
        """Wait for a line in the log, or for the end of the container."""
        if isinstance(self.log, FakeLog):
            self.log.changed.clear()
            await self.log.changed.wait()

    @property
    def state(self) -> str:
        """Docker's word for how it is."""
        if self.running:
            return "paused" if self.paused else "restarting" if self.restarting else "running"
        return "exited" if self.started_at != NEVER else "created"

    @property
    def comes_back(self) -> bool:
        """Whether its restart policy starts it after an end."""
        if self.restart_policy == "on-failure":
            return self.exit_code != 0 and not self.stopped_by_hand
        return self.restart_policy in ("always", "unless-stopped") and not self.stopped_by_hand

    def start(self, moment: str) -> None:
        """It begins to run."""
        self.running, self.paused, self.restarting, self.stopped_by_hand = True, False, False, False
        self.started_at, self.exit_code = moment, 0

    def end(self, moment: str, exit_code: int) -> None:
        """Its main process ends."""
        self.running, self.paused, self.restarting = False, False, False
        self.finished_at, self.exit_code = moment, exit_code
        if isinstance(self.log, FakeLog):
            self.log.changed.set()

    def inspected(self) -> dict[str, object]:
        """What inspect says."""
        return {
            "Id": self.container_id,
            "Name": f"/{self.name}",
            "RestartCount": self.restarts,
            "State": {
                "Running": self.running,
                "Paused": self.paused,
                "Restarting": self.restarting,
                "Status": self.state,
                "StartedAt": self.started_at,
                "FinishedAt": self.finished_at,
                "ExitCode": self.exit_code,
            },
            "Image": self.made_of or image_id(self.image),
            "Mounts": mounts_of(self.spec),
            "NetworkSettings": {"Networks": {name: dict(end) for name, end in self.networks.items()}},
            "HostConfig": {
                **host_config_of(self.spec),
                "AutoRemove": self.removes_itself,
                "RestartPolicy": {"MaximumRetryCount": 0, **self._policy(), "Name": self.restart_policy},
            },
            "Config": {
                **config_of(self.spec, self.container_id),
                "Image": self.image,
                "Labels": dict(self.labels),
                "Tty": self.terminal,
                "StopTimeout": self.stop_timeout,
            },
        }

    def fits(self, filters: Mapping[str, list[str]]) -> bool:
        """Whether a list with these filters has it; of Docker's it knows name, label, status and ancestor."""
        labels = {*self.labels, *(f"{key}={value}" for key, value in self.labels.items())}
        return (
            any(text in self.name for text in filters.get("name", [self.name]))
            and labels.issuperset(filters.get("label", []))
            and self.state in filters.get("status", [self.state])
            and self.image in filters.get("ancestor", [self.image])
        )

    def configure(self, changes: Mapping[str, object]) -> None:
        """Docker's update: what is zero or not named stays."""
        host = dict(section(self.spec, "HostConfig"))
        host.update({key: value for key, value in changes.items() if value})
        self.spec["HostConfig"] = host
        name = section(changes, "RestartPolicy").get("Name")
        self.restart_policy = str(name) if name else self.restart_policy

    def _policy(self) -> Mapping[str, object]:
        return section(section(self.spec, "HostConfig"), "RestartPolicy")

    def listed(self) -> dict[str, object]:
        """What a list says."""
        return {
            "Id": self.container_id,
            "Names": [f"/{self.name}"],
            "Image": self.image,
            "State": self.state,
            "Status": "Up" if self.running else f"Exited ({self.exit_code})",
            "Labels": dict(self.labels),
            "Created": self.created,
            "ImageID": self.made_of or image_id(self.image),
            "NetworkSettings": {"Networks": {name: dict(end) for name, end in self.networks.items()}},
        }


def image_id(reference: str) -> str:
    """The id of an image that nobody has told more of than its reference."""
    if reference.startswith("sha256:"):
        return reference
    return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def sample_containers() -> list[FakeContainer]:
    """What a simulated host holds: a web server, a database and a cache."""
    return [
        FakeContainer(
            "web", "nginx:1.27", labels={"tier": "front"}, log=[("stdout", "ready for connections")]
        ),
        FakeContainer("db", "postgres:16", labels={"tier": "data"}, log=[("stderr", "database is ready")]),
        FakeContainer("cache", "redis:7", running=False, labels={"tier": "data"}, exit_code=0),
    ]


def host_info(hostname: str, containers: Sequence[FakeContainer]) -> dict[str, object]:
    """What a simulated host says of itself."""
    running = sum(container.running for container in containers)
    paused = sum(container.paused for container in containers)
    return {
        "Name": hostname,
        "OperatingSystem": "Simulated Linux",
        "KernelVersion": "0.0.0-simulated",
        "Architecture": "x86_64",
        "NCPU": 2,
        "MemTotal": 2 * 1024**3,
        "ContainersRunning": running - paused,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running,
        "Images": len({container.image for container in containers}),
        SIMULATED_KEY: True,
    }
