"""The containers of a fake Docker Engine."""

from __future__ import annotations

from dataclasses import dataclass, field

NEVER = "0001-01-01T00:00:00Z"
"""How Docker writes that something has not happened."""


@dataclass
class FakeContainer:
    """A container of a `FakeDocker`. `log` holds (stream, line) pairs."""

    name: str
    image: str = "busybox:latest"
    running: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    container_id: str = ""
    terminal: bool = False
    stop_timeout: int | None = None
    removes_itself: bool = False
    log: list[tuple[str, str]] = field(default_factory=list)
    created: int = 0
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    restarts: int = 0

    @property
    def state(self) -> str:
        """Docker's word for how it is."""
        if self.running:
            return "running"
        return "exited" if self.started_at != NEVER else "created"


def sample_containers() -> list[FakeContainer]:
    """What a simulated host holds: a web server, a database and a cache."""
    return [
        FakeContainer(
            "web", "nginx:1.27", labels={"tier": "front"}, log=[("stdout", "ready for connections")]
        ),
        FakeContainer("db", "postgres:16", labels={"tier": "data"}, log=[("stderr", "database is ready")]),
        FakeContainer("cache", "redis:7", running=False, labels={"tier": "data"}, exit_code=0),
    ]
