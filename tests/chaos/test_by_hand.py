"""What an operator would try by hand: kill -9 of one side during a stop, and `command show` tells what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from seawall.clock import SystemClock
from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180, func_only=True)]

STUBBORN = ("sh", "-c", "trap '' TERM; while true; do sleep 1; done")
GRACE_SECONDS = 4


@pytest.fixture
def plane(tmp_path: Path, docker_engine: Engine) -> Iterator[Plane]:
    docker_engine.run_container("web", STUBBORN)
    with plane_in(tmp_path) as plane:
        plane.start_controller()
        plane.start_agent(docker_engine.host)
        yield plane


@contextmanager
def a_stop_is_running(plane: Plane) -> Iterator[str]:
    """`seawall container stop web --timeout 60` in a terminal of its own; the command's id once it is under way."""
    words = ("container", "stop", "web", "--on", "local", "--grace", str(GRACE_SECONDS), "--timeout", "60")
    with subprocess.Popen(
        [sys.executable, "-m", "seawall", *words],
        env=plane.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as terminal:
        try:
            yield until("the stop is under way", lambda: under_way(plane))
        finally:
            terminal.kill()
            terminal.communicate()


def under_way(plane: Plane) -> str | None:
    for record in json.loads(plane.request("GET", "/api/v1/commands")[2]):
        if record["state"] == "RUNNING":
            return str(record["command_id"])
    return None


def shown(plane: Plane, command_id: str) -> str | None:
    """The state that `seawall command show` shows once it is final and known."""
    state = str(plane.record("command", "show", command_id)["state"])
    return state if state not in ("ACCEPTED", "DISPATCHED", "RUNNING", "UNKNOWN") else None


def expect_one_end(engine: Engine) -> None:
    record = engine.inspect_container("web")
    assert isinstance(state := record["State"], dict)
    # Events are told up to a second that has passed; this one is over in a moment.
    last_second = int(SystemClock().wall().timestamp()) + 1
    wanted = quote(json.dumps({"container": [record["Id"]], "event": ["die"]}))
    events = engine.request("GET", f"/events?since=0&until={last_second}&filters={wanted}")
    assert state["Running"] is False
    assert len(events.body.splitlines()) == 1, events.body


def test_a_stop_whose_controller_is_killed_is_shown_as_it_ended(plane: Plane, docker_engine: Engine) -> None:
    with a_stop_is_running(plane) as command_id:
        plane.kill("controller")
    plane.start_controller()
    assert until("the result is shown", lambda: shown(plane, command_id), within_seconds=60) == "SUCCEEDED"
    expect_one_end(docker_engine)


def test_a_stop_whose_agent_is_killed_is_shown_as_it_ended(plane: Plane, docker_engine: Engine) -> None:
    with a_stop_is_running(plane) as command_id:
        plane.kill("agent")
    plane.start_agent(docker_engine.host)
    assert until("the result is shown", lambda: shown(plane, command_id), within_seconds=60) == "SUCCEEDED"
    expect_one_end(docker_engine)
