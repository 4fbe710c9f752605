"""Compose projects on a real Docker Engine, through Debian's docker-compose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from seawall.agent.docker.compose_projects import ComposeProjects
from tests.system.compose_host import WEB_AND_DB, Host
from tests.system.engine import Engine
from tests.system.packages import NotInstallable, find_or_install
from tests.system.plane import Plane, until
from tests.system.processes import living_processes

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


def open_gate(engine: Engine, container: str) -> None:
    body = {"Cmd": ["sh", "-c", "echo > /tmp/open"]}
    made = engine.request("POST", f"/containers/{container}/exec", body).json()
    assert isinstance(made, dict)
    assert engine.request("POST", f"/exec/{made['Id']}/start", {"Detach": True}).status == 200


def composing(project: str) -> list[int]:
    """The Compose programs at work on a project."""
    return [
        number
        for number, process in living_processes().items()
        if f"\0-p\0{project}\0".encode() in process.arguments
    ]


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


@pytest.mark.parametrize("program_too", [False, True], ids=["agent", "agent-and-program"])
def test_a_project_half_brought_up_when_everything_is_killed_is_brought_up_once(
    docker_engine: Engine, docker_compose: Path, tmp_path: Path, program_too: bool
) -> None:
    plane = Plane(tmp_path)
    try:
        plane.start_controller()
        plane.start_agent(docker_engine.host)
        given = {"project": "gate", "files": {"compose.yml": GATE}}
        body = {"operation": "compose_up", "agent": "local", "arguments": given}
        status, _, content = plane.request("POST", "/api/v1/commands", body)
        assert status == 202, content
        command = json.loads(content)["command_id"]
        until("the first service", lambda: "gate_first_1" in containers(docker_engine, "gate"))
        first = until("it runs", running(docker_engine, "gate_first_1"))
        plane.kill("agent")
        assert composing("gate"), "the program ended with its agent"
        if program_too:
            for process in composing("gate"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            until("the program is dead", lambda: not composing("gate"))
        plane.start_agent(docker_engine.host)
        open_gate(docker_engine, "gate_first_1")

        def over() -> dict[str, object] | None:
            record: dict[str, object] = json.loads(plane.request("GET", f"/api/v1/commands/{command}")[2])
            return (
                record
                if record["state"] in ("SUCCEEDED", "FAILED", "UNKNOWN") and record["response"]
                else None
            )

        record = until("its end", over, within_seconds=120)
        assert record["state"] == "SUCCEEDED", record
        found = containers(docker_engine, "gate")
        assert {name: one["State"] for name, one in found.items()} == {
            "gate_first_1": "running",
            "gate_second_1": "running",
        }
        assert found["gate_first_1"]["Id"] == first, "the container that was there was made anew"
    finally:
        plane.stop()
        for process in composing("gate"):
            os.kill(process, signal.SIGKILL)
        for name in containers(docker_engine, "gate"):
            docker_engine.remove_container(name)
        docker_engine.request("DELETE", "/networks/gate_default")


def running(engine: Engine, name: str) -> Callable[[], str | None]:
    def look() -> str | None:
        one = containers(engine, one_of(name))[name]
        return str(one["Id"]) if one["State"] == "running" else None

    return look


def one_of(container: str) -> str:
    return container.partition("_")[0]


@pytest.mark.asyncio
async def test_a_model_is_locked_for_as_long_as_a_program_works_on_it(tmp_path: Path) -> None:
    projects = ComposeProjects(tmp_path)
    projects.prepare()
    projects.keep("shop", "{}")
    descriptor = projects.lock("shop")
    sleeper = await asyncio.create_subprocess_exec("sleep", "600", pass_fds=(descriptor,))
    os.close(descriptor)
    assert projects.kept("shop").busy
    sleeper.kill()
    await sleeper.wait()
    assert not projects.kept("shop").busy
