"""A container that writes down itself how often it was started and which signals it had: the truth about a real Engine.

What it wrote outlives it and its daemon, and can be read from the stopped container too.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from http import HTTPStatus

from tests.chaos.intents import Intent
from tests.system.engine import Engine
from tests.system.plane import until

_SCRIPT = (
    "trap 'echo term >> /witnessed' TERM; trap 'echo hup >> /witnessed' HUP; "
    "echo start >> /witnessed; while true; do sleep 0.1; done"
)
COMMAND = ("sh", "-c", _SCRIPT)

# Only what is about a running container needs one; the others begin sooner.
_RUNNING_FIRST = ("container_stop", "container_restart", "container_kill")


@dataclass(frozen=True)
class Sighting:
    """How a container is, or was: `moments` are its latest start and its latest end."""

    there: bool
    name: str = ""
    running: bool = False
    moments: tuple[str, str] = ("", "")
    starts: int = 0
    hangups: int = 0


def new_witness(engine: Engine, operation: str, name: str) -> tuple[str, Sighting]:
    """Create a witness that this operation can be done to; its id, and how it is once it watches."""
    if operation not in _RUNNING_FIRST:
        container_id = engine.create_container(name, COMMAND)
        return container_id, sight(engine, container_id)
    container_id = engine.run_container(name, COMMAND)
    # What comes before its traps are set would not be written down.
    until("the witness watches", lambda: sight(engine, container_id).starts)
    return container_id, sight(engine, container_id)


def sight(engine: Engine, container_id: str) -> Sighting:
    """Look at a witness."""
    if engine.request("GET", f"/containers/{container_id}/json").status == HTTPStatus.NOT_FOUND:
        return Sighting(there=False)
    record = engine.inspect_container(container_id)
    state = record["State"]
    assert isinstance(state, dict)
    witnessed = _witnessed(engine, container_id)
    return Sighting(
        there=True,
        name=str(record["Name"]).removeprefix("/"),
        running=bool(state["Running"]),
        moments=(str(state["StartedAt"]), str(state["FinishedAt"])),
        starts=witnessed.count("start"),
        hangups=witnessed.count("hup"),
    )


def _witnessed(engine: Engine, container_id: str) -> list[str]:
    answer = engine.request("GET", f"/containers/{container_id}/archive?path=/witnessed")
    if answer.status != HTTPStatus.OK:
        return []
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        file = archive.extractfile("witnessed")
        return file.read().decode().split() if file is not None else []


def times_done(intent: Intent, before: Sighting, now: Sighting, *, daemon_died: bool) -> int | None:
    """How often the intent was done; None where a daemon's death looks the same.

    A daemon that starts anew stops the containers that it finds running, and has forgotten a start that it hadn't
    written down: by all that Docker shows, that one has not happened.
    """
    started = now.moments[0] != before.moments[0]
    match intent.operation:
        case "container_remove":
            return int(not now.there)
        case "container_rename":
            return int(now.name == intent.arguments["name"])
        case "container_start" | "container_restart":
            return int(started) if daemon_died else now.starts - before.starts
        case "container_kill":
            return None if daemon_died and not now.hangups else now.hangups
        case "container_stop":
            ended = not now.running or now.moments[1] != before.moments[1]
            return None if ended and daemon_died else int(ended)
    raise ValueError(intent.operation)


def forgotten(before: Sighting, now: Sighting) -> bool:
    """Whether the witness has seen more starts than its daemon has written down."""
    return now.starts - before.starts > int(now.moments[0] != before.moments[0])
