"""kill -9 of the agent, of dockerd and of the controller at each step of a container_update on a real Docker Engine."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import pytest

from seawall.agent.ledger import LEDGER_FILE
from tests.chaos.figures import record
from tests.system.engine import IMAGE, Engine
from tests.system.plane import Plane, plane_in, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900, func_only=True)]

STEPS = ("create", "connect", "quiet", "stop", "aside", "name", "start", "prove", "restore", "remove")
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))
TRIED = int(os.environ.get("SEAWALL_UPDATE_STEPS", "4"))
"""Of so many of them, chosen by the seed; `make soak` tries all."""
NEW = "kept:2"
LONGEST_SECONDS = 90.0
SETTLED_SECONDS = 20.0
POLICY = "always"
"""A daemon that was killed takes its containers down as it starts, and then those that are `unless-stopped` for stopped
by hand (Docker 20.10): a kill just after the update's end would leave them down, which no update can prevent."""


def step_of(directory: Path, command_id: str) -> str | None:
    """The last step of a command in the ledger of an agent that lives, and keeps the file to itself: from a copy."""
    with TemporaryDirectory() as copy:
        for file in directory.glob(f"{LEDGER_FILE}*"):
            shutil.copy(file, copy)
        try:
            with closing(sqlite3.connect(Path(copy) / LEDGER_FILE)) as connection:
                question = "SELECT step, state FROM entries WHERE command_id = ?"
                row = connection.execute(question, (command_id,)).fetchone()
        except sqlite3.DatabaseError:
            return None  # copied in the middle of a write
    if row is None:
        return None
    return "over" if row[1] == "DONE" else str(row[0])


def reached(directory: Path, command_id: str, step: str) -> str | None:
    """The step that it is at, once that is this one or a later one."""
    now = step_of(directory, command_id)
    wanted = (*STEPS[STEPS.index(step) :], "over")
    return now if now in wanted else None


def ask(engine: Engine, method: str, path: str, body: object = None) -> object:
    answer = engine.request(method, path, body)
    assert answer.status < 400, answer.body
    return answer.json()


def serve(engine: Engine, name: str) -> str:
    """A container that serves, and comes back by itself; its id."""
    body = {
        "Image": IMAGE,
        "Cmd": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done"],
        "StopTimeout": 1,
        "HostConfig": {"NetworkMode": "none", "RestartPolicy": {"Name": POLICY}},
    }
    made = ask(engine, "POST", f"/containers/create?{urlencode({'name': name})}", body)
    assert isinstance(made, dict)
    ask(engine, "POST", f"/containers/{made['Id']}/start")
    return str(made["Id"])


def over(plane: Plane, command_id: str) -> dict[str, object] | None:
    """The command's record once its end is known."""
    found: dict[str, object] = json.loads(plane.request("GET", f"/api/v1/commands/{command_id}")[2])
    return None if found["state"] in ("ACCEPTED", "DISPATCHED", "RUNNING", "UNKNOWN") else found


def judged(engine: Engine, name: str, old_id: str, found: dict[str, object]) -> str | None:
    """What is wrong, if anything is."""
    listed = json.loads(engine.request("GET", "/containers/json?all=1").body)
    family = [each for each in listed if each["Names"][0].startswith(f"/{name}")]
    if [(each["Names"][0], each["State"]) for each in family] != [(f"/{name}", "running")]:
        return f"there are {[(each['Names'], each['State']) for each in family]}"
    record_now = engine.inspect_container(name)
    host, config = record_now["HostConfig"], record_now["Config"]
    assert isinstance(host, dict)
    assert isinstance(config, dict)
    policy = host["RestartPolicy"]
    if policy["Name"] != POLICY:
        return f"its restart policy is {policy}"
    is_new = record_now["Id"] != old_id and config["Image"] == NEW
    is_old = record_now["Id"] == old_id and config["Image"] == IMAGE
    if found["error_code"] == "permission_denied":
        return f"nothing was tried: {found['error']}"
    if found["state"] == "SUCCEEDED" and is_new:
        return None
    return (
        None
        if found["state"] == "FAILED" and is_old
        else f"{found['state']}, and the image is {config['Image']}"
    )


@pytest.mark.parametrize("victim", ["agent", "dockerd", "controller"])
def test_a_kill_at_each_step_leaves_one_container_serving_and_the_truth(
    tmp_path: Path, docker_engine: Engine, victim: str
) -> None:
    ask(docker_engine, "POST", f"/images/{IMAGE}/tag?repo=kept&tag=2")
    wrong: list[str] = []
    chosen = random.Random(f"{SEED} {victim}").sample(STEPS, min(TRIED, len(STEPS)))
    with plane_in(tmp_path) as plane:
        plane.start_controller()
        plane.start_agent(docker_engine.host)
        for step in chosen:
            name = f"web-{step}"
            old_id = serve(docker_engine, name)
            body = {
                "agent": "local",
                "operation": "container_update",
                "arguments": {"container": name, "image": NEW, "pull": "never"},
                "deadline_seconds": 300,
            }
            status, _, answer = plane.request("POST", "/api/v1/commands", body)
            assert status in (200, 201, 202), answer
            command_id = str(json.loads(answer)["command_id"])
            at = until(f"step {step}", partial(reached, plane.directory / "agent", command_id, step))
            if victim == "dockerd":
                docker_engine.kill()
                docker_engine.start()
            else:
                plane.kill(victim)
                if victim == "agent":
                    plane.start_agent(docker_engine.host)
                else:
                    plane.start_controller()
            found = until("its end", partial(over, plane, command_id), within_seconds=LONGEST_SECONDS)
            # A daemon that was killed starts its containers again in its own time.
            last_moment = time.monotonic() + SETTLED_SECONDS
            while (problem := judged(docker_engine, name, old_id, found)) and time.monotonic() < last_moment:
                time.sleep(0.1)
            if problem is not None:
                wrong.append(f"{victim} killed at {at}: {problem}; {found.get('error')}")
            docker_engine.remove_container(name)
            if victim == "controller":
                # An agent that lost several controllers in a row takes its time before it tries the next.
                plane.kill("agent")
                plane.start_agent(docker_engine.host)
    record(f"kill -9 of the {victim} at a step of container_update", len(chosen), len(wrong), "kills")
    assert wrong == [], f"seed {SEED}"
