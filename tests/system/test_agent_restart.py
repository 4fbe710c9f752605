"""An agent that its controller restarts: the same process with the same command line, and a new program in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.plane import Plane, plane_in

pytestmark = pytest.mark.timeout(120, func_only=True)

NO_DOCKER = "unix:///nonexistent/docker.sock"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        plane.start_controller()
        yield plane


def restart(plane: Plane, host: str) -> dict[str, object]:
    found = plane.cli("system", "restart-agent", "--on", host, "--timeout", "60", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    record: dict[str, object] = json.loads(found.stdout)
    return record


def begun_at(process: int) -> str:
    """What the kernel says of the memory of a process that a new program in it changes."""
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[25]


def test_an_agent_is_restarted_twice_and_goes_on_under_its_own_number(plane: Plane) -> None:
    plane.start_agent(NO_DOCKER)
    agent = plane.others["agent"]
    words = Path(f"/proc/{agent.pid}/cmdline").read_bytes().split(b"\0")
    before = begun_at(agent.pid)
    for _ in range(2):
        record = restart(plane, "local")
        assert record["state"] == "SUCCEEDED"
        assert isinstance(record["response"], dict)
        assert record["response"]["restarted"] is True
    assert agent.poll() is None
    assert Path(f"/proc/{agent.pid}/cmdline").read_bytes().split(b"\0")[1:] == words[1:]
    assert begun_at(agent.pid) != before


def test_a_simulated_host_has_its_agent_restarted_with_its_containers_as_they_were(plane: Plane) -> None:
    plane.start_simulated("web-1")
    assert plane.cli("container", "stop", "web", "--on", "web-1").returncode == 0
    assert restart(plane, "web-1")["state"] == "SUCCEEDED"
    listed = plane.cli("container", "list", "--on", "web-1", "--json").stdout
    assert '"exited"' in listed, listed
