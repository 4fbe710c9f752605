"""What a container looked like at one moment: what changes leave traces in."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from seawall.agent.operations.runner import section

_DEFAULT_GRACE_SECONDS = 10
_LONGEST_GRACE_SECONDS = 3600
_NEVER = "0001-01-01T00:00:00Z"  # how Docker writes that something has not happened
_BY_ITSELF = ("always", "unless-stopped", "on-failure")


class Snapshot(Struct, frozen=True):
    """A container as Docker told it, in values that JSON knows.

    Docker counts a paused container, and one that waits for its restart policy, as `running`. `started_at` and
    `finished_at` are Docker's own texts, None for never: they are only ever compared for equality, because the host's
    clock may have been set back between two of them. `restarts` is how often the restart policy has started it since
    somebody did. `grace_seconds` is what it is given to stop, unless told otherwise.
    """

    id: str
    name: str
    running: bool = False
    paused: bool = False
    restarting: bool = False
    status: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    starts_itself: bool = False
    removes_itself: bool = False
    grace_seconds: int = _DEFAULT_GRACE_SECONDS

    @property
    def up(self) -> bool:
        """Whether its processes run."""
        return self.running and not self.paused and not self.restarting

    @property
    def state(self) -> dict[str, object]:
        """How it stands, as responses say it."""
        return {
            "running": self.running,
            "status": self.status,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "exit_code": self.exit_code,
        }


def snapshot_of(record: Mapping[str, object], asked: str = "") -> Snapshot:
    """What inspect's record says; `asked` stands for an id or a name that it leaves out."""
    state, host = section(record, "State"), section(record, "HostConfig")
    exit_code, restarts = state.get("ExitCode"), record.get("RestartCount")
    container_id, name = identity_of(record, asked)
    return Snapshot(
        id=container_id,
        name=name,
        running=state.get("Running") is True,
        paused=state.get("Paused") is True,
        restarting=state.get("Restarting") is True,
        status=_text(state.get("Status")),
        started_at=_moment(state.get("StartedAt")),
        finished_at=_moment(state.get("FinishedAt")),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        restarts=restarts if isinstance(restarts, int) else 0,
        starts_itself=section(host, "RestartPolicy").get("Name") in _BY_ITSELF,
        removes_itself=host.get("AutoRemove") is True,
        grace_seconds=grace_seconds_of(record),
    )


def identity_of(record: Mapping[str, object], asked: str = "") -> tuple[str, str]:
    """The id and the name in inspect's record; `asked` stands for one that it leaves out."""
    name = _text(record.get("Name")) or asked
    return _text(record.get("Id")) or asked, name.removeprefix("/")


def grace_seconds_of(record: Mapping[str, object]) -> int:
    """What the container is given to stop, as inspect's record says it."""
    seconds = section(record, "Config").get("StopTimeout")
    if not isinstance(seconds, int):
        return _DEFAULT_GRACE_SECONDS
    return seconds if seconds >= 0 else _LONGEST_GRACE_SECONDS  # "wait for ever" isn't to be had


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> str | None:
    text = _text(value)
    return None if text == _NEVER else text
