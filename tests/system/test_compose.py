"""Compose projects on a real Docker Engine, through Debian's docker-compose."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from seawall.agent.local_policy_spec import judge_spec
from seawall.agent.operations.compose_files import sources_of
from seawall.agent.operations.compose_model import project_of
from seawall.agent.operations.compose_yaml import read_yaml
from tests.agent.test_compose_model import FORBIDDEN, MANAGE
from tests.system.compose_host import WEB_AND_DB, Host
from tests.system.engine import Engine
from tests.system.packages import NotInstallable, find_or_install
from tests.system.plane import Plane, until
from tests.system.processes import environment_of, living_processes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300, func_only=True)]

GATE = """
services:
  first:
    image: busybox:latest
    command: sleep 600
    stop_grace_period: 1s
    healthcheck: {test: ["CMD", "ls", "/tmp/open"], interval: 300ms, timeout: 5s, retries: 10000}
  second:
    image: busybox:latest
    command: sleep 600
    stop_grace_period: 1s
    depends_on: {first: {condition: service_healthy}}
"""
"""The second service waits until somebody opens the first one's gate."""

TOP = "volumes: {data: {}}\nnetworks: {back: {}, wan: {external: true, name: wan}"
TOO_NEW = {
    FORBIDDEN[name]
    for name in (
        "the host's name",
        "the host's control groups",
        "a device in the long form",
        "a graphics card",
        "a bind called a volume",
        "a choice of the host's network cards",
    )
}
"""What Debian's docker-compose refuses to read."""


@pytest.fixture(scope="module")
def docker_compose() -> Path:
    try:
        return find_or_install("docker-compose", "docker-compose")
    except NotInstallable as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI has to run the tests with docker-compose, but {error}", pytrace=False)
        pytest.skip(f"no docker-compose: {error}")


@pytest_asyncio.fixture
async def host(docker_engine: Engine, docker_compose: Path, tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(docker_engine, tmp_path / "compose")
    await host.start()
    yield host
    await host.stop()


def containers(engine: Engine, project: str) -> dict[str, dict[str, object]]:
    """The project's containers by their names."""
    filters = quote(json.dumps({"label": [f"com.docker.compose.project={project}"]}))
    found = engine.request("GET", f"/containers/json?all=1&filters={filters}").json()
    assert isinstance(found, list)
    return {container["Names"][0].removeprefix("/"): container for container in found}


def networks(engine: Engine) -> set[str]:
    found = engine.request("GET", "/networks").json()
    assert isinstance(found, list)
    return {network["Name"] for network in found}


@pytest.mark.asyncio
async def test_a_project_is_brought_up_looked_at_restarted_and_brought_down(
    host: Host, docker_engine: Engine
) -> None:
    up = await host.done("compose_up", project="shop", files={"compose.yml": WEB_AND_DB})
    assert up["services"] == {
        "db": {"running": 1, "containers": 1},
        "web": {"running": 1, "containers": 1},
    }
    assert set(containers(docker_engine, "shop")) == {"shop_web_1", "shop_db_1"}
    assert host.progress, "nobody was told that it moves"
    detail = host.progress[-1].detail
    assert detail is not None
    assert set(detail["services"]) == {"web", "db"}  # type: ignore[call-overload]

    standing = await host.done("compose_ps", project="shop")
    assert standing["services"] == up["services"]
    log = await host.done("compose_logs", project="shop")
    lines = log["lines"]
    assert isinstance(lines, list)
    assert {(line["service"], line["stream"], line["text"]) for line in lines} == {
        ("web", "stdout", "web speaks"),
        ("db", "stderr", "db speaks"),
    }

    before = docker_engine.inspect_container("shop_web_1")["State"]
    restarted = await host.done("compose_restart", project="shop", services=["web"], grace_seconds=0)
    assert restarted["services"] == up["services"]
    after = docker_engine.inspect_container("shop_web_1")["State"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["StartedAt"] != before["StartedAt"]

    kept = host.directory / "shop" / "model.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.directory.stat().st_mode) == 0o700
    down = await host.done("compose_down", project="shop", remove_volumes=True)
    assert down["containers"] == []
    assert containers(docker_engine, "shop") == {}
    assert "shop_default" not in networks(docker_engine)
    assert not kept.parent.exists()
    code, error = await host.refused("compose_down", project="shop")
    assert (code, "has brought up no project shop" in error) == ("invalid_argument", True)


@pytest.mark.asyncio
async def test_bringing_up_what_is_up_changes_nothing_and_what_differs_is_made_anew(
    host: Host, docker_engine: Engine
) -> None:
    files = {"compose.yml": WEB_AND_DB}
    await host.done("compose_up", project="twice", files=files)
    first = containers(docker_engine, "twice")
    await host.done("compose_up", project="twice", files=files)
    again = containers(docker_engine, "twice")
    assert {name: one["Id"] for name, one in again.items()} == {
        name: one["Id"] for name, one in first.items()
    }
    await host.done("compose_up", project="twice", files=files, environment={"WORD": "sings"})
    changed = containers(docker_engine, "twice")
    assert changed["twice_web_1"]["Id"] != first["twice_web_1"]["Id"]
    assert changed["twice_db_1"]["Id"] == first["twice_db_1"]["Id"]
    await host.done("compose_down", project="twice", remove_volumes=True)


@pytest.mark.asyncio
async def test_a_project_that_can_not_be_brought_up_says_why_and_how_it_stands(
    host: Host, docker_engine: Engine
) -> None:
    files = {
        "compose.yml": "services:\n  ok: {image: busybox, command: sleep 600, stop_grace_period: 1s}\n"
        "  bad: {image: busybox, command: [/no/such/program], depends_on: [ok], environment: [TOKEN]}\n"
    }
    code, error = await host.refused(
        "compose_up", project="broken", files=files, environment={"TOKEN": "hunter22"}
    )
    assert code == "docker_error"
    assert "/no/such/program" in error
    assert "broken_ok_1 running" in error
    assert "hunter22" not in error
    await host.done("compose_down", project="broken")
    assert containers(docker_engine, "broken") == {}


@pytest.mark.asyncio
async def test_what_the_program_refuses_is_told_and_leaves_nothing(host: Host) -> None:
    files = {"compose.yml": "services: {web: {image: busybox, no_such_setting: 1}}"}
    code, error = await host.refused("compose_up", project="odd", files=files)
    assert (code, "no_such_setting" in error) == ("invalid_argument", True)
    assert not (host.directory / "odd").exists()


@pytest.mark.asyncio
async def test_without_a_program_the_operations_are_not_offered_and_cleanly_refused(
    docker_engine: Engine, tmp_path: Path
) -> None:
    host = Host(docker_engine, tmp_path / "compose")
    await host.start(path=str(tmp_path))
    assert {name for name in host.worker.operations if name.startswith("compose_")} == {
        "compose_logs",
        "compose_ps",
        "compose_restart",
    }
    code, error = await host.refused("compose_up", project="shop", files={"compose.yml": WEB_AND_DB})
    assert (code, "needs docker compose" in error) == ("unsupported_operation", True)
    assert (await host.done("compose_ps", project="shop"))["containers"] == []
    await host.stop()


@pytest.mark.asyncio
async def test_no_claim_on_the_host_is_hidden_by_what_the_program_makes_of_it(host: Host) -> None:
    claims = {f"s{n}": settings for n, settings in enumerate(FORBIDDEN.values()) if settings not in TOO_NEW}
    services = ", ".join(f"{name}: {{image: busybox, {settings}}}" for name, settings in claims.items())
    text = f"services: {{{services}, db: {{image: busybox}}}}\n{TOP}, host: {{}}}}"
    sources = sources_of("claims", {"compose.yml": text}, [], {})
    told = await host.docker.compose_config(
        "claims", files=sources.files, use=sources.use, timeout_seconds=60.0
    )
    found = {service.name: service for service in project_of(read_yaml(told, "it")).services}
    assert set(found) == {*claims, "db"}
    assert {name for name, service in found.items() if judge_spec(MANAGE, service.body) is None} == {"db"}


class Gate:
    """A project that is brought up in a plane, half of it until its gate is opened."""

    def __init__(self, plane: Plane, engine: Engine) -> None:
        self.plane = plane
        self.engine = engine

    def give(self, operation: str, **arguments: object) -> str:
        """A new command; its id."""
        given = {"project": "gate", **arguments}
        body = {"operation": operation, "agent": "local", "arguments": given}
        status, _, content = self.plane.request("POST", "/api/v1/commands", body)
        assert status == 202, content
        return str(json.loads(content)["command_id"])

    def bring_up_half(self) -> tuple[str, str]:
        """The command, and the id of the first service's container."""
        command = self.give("compose_up", files={"compose.yml": GATE})
        until("the first service", lambda: "gate_first_1" in self.containers())
        return command, until("it runs", lambda: self.running("gate_first_1"))

    def open(self) -> None:
        """Let the second service start."""
        body = {"Cmd": ["sh", "-c", "echo > /tmp/open"]}
        made = self.engine.request("POST", "/containers/gate_first_1/exec", body).json()
        assert isinstance(made, dict)
        assert self.engine.request("POST", f"/exec/{made['Id']}/start", {"Detach": True}).status == 200

    def end_of(self, command: str) -> dict[str, object]:
        """The record of a command once it is over."""

        def over() -> dict[str, object] | None:
            record: dict[str, object] = json.loads(
                self.plane.request("GET", f"/api/v1/commands/{command}")[2]
            )
            told = record["response"] is not None or record["state"] == "FAILED"
            return record if record["state"] in ("SUCCEEDED", "FAILED") and told else None

        return until("its end", over, within_seconds=120)

    def composing(self) -> list[int]:
        """The Compose programs at work on the project, those of this very Engine: another worker has the same."""
        return [
            number
            for number, process in living_processes().items()
            if b"\0-p\0gate\0" in process.arguments
            and f"DOCKER_HOST={self.engine.host}".encode() in environment_of(number)
        ]

    def kill_programs(self) -> None:
        """End the Compose programs at work as a power cut would."""
        for process in self.composing():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        until("the programs are dead", lambda: not self.composing())

    def containers(self) -> dict[str, dict[str, object]]:
        return containers(self.engine, "gate")

    def running(self, name: str) -> str | None:
        one = self.containers()[name]
        return str(one["Id"]) if one["State"] == "running" else None


@pytest.fixture
def gate(docker_engine: Engine, docker_compose: Path, tmp_path: Path) -> Iterator[Gate]:
    plane = Plane(tmp_path)
    gate = Gate(plane, docker_engine)
    try:
        plane.start_controller()
        plane.start_agent(docker_engine.host)
        yield gate
    finally:
        plane.stop()
        gate.kill_programs()
        docker_engine.ensure_running()
        docker_engine.request("DELETE", "/networks/gate_default")


@pytest.mark.parametrize("end", ["agent killed", "agent stopped", "agent and program killed"])
def test_a_project_half_brought_up_when_its_agent_ends_is_brought_up_once(gate: Gate, end: str) -> None:
    command, first = gate.bring_up_half()
    if end == "agent stopped":
        agent = gate.plane.others.pop("agent")
        agent.terminate()
        agent.wait(timeout=30)
    else:
        gate.plane.kill("agent")
    assert gate.composing(), "the program ended with its agent"
    if end == "agent and program killed":
        gate.kill_programs()
    gate.plane.start_agent(gate.engine.host)
    gate.open()
    record = gate.end_of(command)
    assert record["state"] == "SUCCEEDED", record
    found = gate.containers()
    assert {name: one["State"] for name, one in found.items()} == {
        "gate_first_1": "running",
        "gate_second_1": "running",
    }
    assert found["gate_first_1"]["Id"] == first, "the container that was there was made anew"


def test_a_project_half_brought_up_when_docker_dies_is_brought_up_when_it_is_back(gate: Gate) -> None:
    command, first = gate.bring_up_half()
    gate.engine.kill()
    until("the program has ended", lambda: not gate.composing(), within_seconds=90)
    gate.engine.start()
    until("it runs again", lambda: gate.running("gate_first_1"), within_seconds=90)
    gate.open()
    record = gate.end_of(command)
    assert record["state"] == "SUCCEEDED", record
    found = gate.containers()
    assert set(found) == {"gate_first_1", "gate_second_1"}
    assert found["gate_first_1"]["Id"] == first, "the container that was there was made anew"


def test_a_project_half_brought_down_when_everything_is_killed_is_brought_down(gate: Gate) -> None:
    command, _ = gate.bring_up_half()
    gate.open()
    assert gate.end_of(command)["state"] == "SUCCEEDED"
    command = gate.give("compose_down", grace_seconds=3)
    until("the program is at work", lambda: gate.composing())
    until("one has stopped", lambda: sum(one["State"] == "running" for one in gate.containers().values()) < 2)
    gate.plane.kill("agent")
    gate.kill_programs()
    gate.plane.start_agent(gate.engine.host)
    record = gate.end_of(command)
    assert record["state"] == "SUCCEEDED", record
    assert gate.containers() == {}
    assert "gate_default" not in networks(gate.engine)
    assert not (gate.plane.directory / "agent" / "compose" / "gate").exists()
