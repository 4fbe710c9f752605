"""Three agents, one of which stands still: the others go on unhurt, and it is fenced off and taken back."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.docker]

HEARTBEAT_SECONDS = 1.0  # of the plane
LIST = {"operation": "container_list", "max_attempts": 1, "timeout_seconds": 1.0}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        yield plane


def listed(plane: Plane, host: str) -> tuple[int, float]:
    """The status of a list of containers, and how long it took."""
    began = time.monotonic()
    status, _, _ = plane.request("POST", "/api/v1/commands?wait=10", {**LIST, "agent": host})
    return status, time.monotonic() - began


def test_a_frozen_agent_is_fenced_off_and_taken_back_while_the_others_go_on_unhurt(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("web")
    plane.start_controller()
    for host in ("one", "two", "three"):
        plane.start_agent(docker_engine.host, host)
    before = [listed(plane, host)[1] for host in ("one", "two") for _ in range(10)]

    plane.others["three"].send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(6) as callers:
            failing = [callers.submit(listed, plane, "three") for _ in range(6)]
            during = [listed(plane, host) for host in ("one", "two") for _ in range(10)]
            assert [status for status, _ in during] == [200] * 20
            for each in failing:
                each.result()
        until("it is fenced off", lambda: plane.circuit("three", "agent")["state"] == "open")
        assert "open" in plane.cli("circuit", "list").stdout
        fenced, _ = listed(plane, "three")
        assert fenced == 503
        assert plane.circuit("one", "agent")["state"] == plane.circuit("two", "agent")["state"] == "closed"
        took = statistics.median(seconds for _, seconds in during)
        assert took < max(10 * statistics.median(before), 0.5), "one frozen host holds up nobody"
    finally:
        plane.others["three"].send_signal(signal.SIGCONT)
    until(
        "it is probed again",
        lambda: plane.circuit("three", "agent")["state"] != "open",
        within_seconds=HEARTBEAT_SECONDS + 2.0,
    )
    until("it is back", lambda: plane.host("three")["state"] == "connected")
    for _ in range(2):
        assert listed(plane, "three")[0] == 200
    until("it is closed", lambda: plane.circuit("three", "agent")["state"] == "closed")
