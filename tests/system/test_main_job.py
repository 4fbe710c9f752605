"""The main job in real processes: `seawall up`, a real Docker Engine, the CLI, the API."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        yield plane


@pytest.mark.docker
def test_a_real_container_is_restarted_from_the_cli_and_over_http(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("web")
    started = started_at(docker_engine, "web")
    plane.up("--docker", docker_engine.host)

    spoken = plane.cli("container", "restart", "web", "--on", "local", "--timeout", "30")
    assert spoken.returncode == 0, spoken.stderr + spoken.stdout
    assert "SUCCEEDED" in spoken.stdout + spoken.stderr
    assert started_at(docker_engine, "web") > started

    record = plane.record("container", "restart", "web", "--on", "local")
    assert record["state"] == "SUCCEEDED"
    assert record["operation"] == "container_restart"
    assert record["agent"] == "local"
    assert record["error_code"] is None
    assert record["total_attempts"] == 1
    assert record["retried"] is False

    started = started_at(docker_engine, "web")
    body = {"operation": "container_restart", "agent": "local", "arguments": {"container": "web"}}
    status, _, answer = plane.request("POST", "/api/v1/commands?wait=30", body)
    assert status == 200, answer
    assert json.loads(answer)["state"] == "SUCCEEDED"
    assert started_at(docker_engine, "web") > started


@pytest.mark.docker
def test_a_docker_engine_that_dies_and_returns_is_fenced_off_and_probed_back(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("web")
    plane.up("--docker", docker_engine.host)
    docker_engine.kill()

    spoken = plane.cli("container", "list", "--on", "local")
    assert spoken.returncode == 1, spoken.stdout + spoken.stderr
    assert "attempt 3" in (spoken.stdout + spoken.stderr).lower()
    record = plane.record("container", "list", "--on", "local")
    assert record["error_code"] == "docker_error"

    assert plane.circuit("local", "docker")["state"] == "open"
    assert plane.circuit("local", "agent")["state"] == "closed"
    assert "open" in plane.cli("circuit", "list").stdout.lower()
    fenced = plane.cli("container", "list", "--on", "local")
    assert fenced.returncode == 3, fenced.stdout + fenced.stderr
    status, headers, answer = plane.request(
        "POST", "/api/v1/commands?wait=5", {"operation": "container_list", "agent": "local"}
    )
    assert status == 503
    assert json.loads(answer)["error_code"] == "circuit_open"
    assert int(headers["retry-after"]) >= 1
    assert plane.record("agent", "ping", "local")["state"] == "SUCCEEDED"

    docker_engine.start()
    until("half-open", lambda: plane.circuit("local", "docker")["state"] == "half_open", within_seconds=60)
    for _ in range(2):
        assert plane.record("container", "list", "--on", "local")["state"] == "SUCCEEDED"
    assert plane.circuit("local", "docker")["state"] == "closed"

    _, _, metrics = plane.request("GET", "/metrics")
    text = metrics.decode()
    assert "command_errors_total" in text
    assert 'error_code="docker_error"' in text
    assert "command_retries_total" in text
    assert "circuit_breaker_state_transitions" in text
    printed = plane.printed()
    assert "circuit of agent" in printed
    assert "retry for agent" in printed


@pytest.mark.docker
def test_a_docker_engine_that_hangs_ends_in_the_truth_and_not_in_a_hang(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("web")
    docker_engine.run_container(
        "stubborn", command=["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]
    )
    started = started_at(docker_engine, "web")
    plane.up("--docker", docker_engine.host)
    stopping = threading.Thread(
        target=lambda: stopped.append(
            plane.record("container", "stop", "stubborn", "--on", "local", "--grace", "4", "--timeout", "8")
        )
    )
    stopped: list[dict[str, object]] = []
    stopping.start()
    until("the stop is on its way", lambda: b"DISPATCHED" in plane.request("GET", "/api/v1/commands")[2])
    docker_engine.pause()
    try:
        read = plane.record("container", "list", "--on", "local", "--timeout", "2", "--retries", "0")
        assert (read["state"], read["error_code"]) == ("FAILED", "timeout")
        change = plane.record("container", "restart", "web", "--on", "local", "--timeout", "2")
        assert change["state"] == "FAILED", change
    finally:
        docker_engine.resume()
    assert started_at(docker_engine, "web") == started, "it was said to have failed without an effect"
    stopping.join(timeout=30)
    allowed = (
        ("UNKNOWN", "FAILED") if state_of(docker_engine, "stubborn")["Running"] else ("UNKNOWN", "SUCCEEDED")
    )
    assert stopped[0]["state"] in allowed, stopped


COMMANDS = "/api/v1/commands"
STUBBORN = ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]


def stop_in_the_background(
    plane: Plane, container: str, grace_seconds: int
) -> tuple[threading.Thread, list[dict[str, object]]]:
    """Ask for a stop that takes its time, and return once it is on its way to the host."""
    answers: list[dict[str, object]] = []
    grace = str(grace_seconds)
    words = ("container", "stop", container, "--on", "local", "--grace", grace, "--timeout", "60")
    asking = threading.Thread(target=lambda: answers.append(plane.record(*words)))
    asking.start()
    until("the stop is on its way", lambda: b"DISPATCHED" in plane.request("GET", "/api/v1/commands")[2])
    return asking, answers


@pytest.mark.docker
def test_incident_9_a_killed_agent_ends_its_attempt_at_once_and_tells_the_truth_when_it_is_back(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("stubborn", command=STUBBORN)
    plane.start_controller()
    plane.start_agent(docker_engine.host)
    asking, answers = stop_in_the_background(plane, "stubborn", grace_seconds=4)
    plane.kill("agent")
    until("the attempt has ended", lambda: b'"agent_disconnected"' in plane.request("GET", COMMANDS)[2])
    assert asking.is_alive(), "what became of it isn't known yet, and nobody guesses"
    plane.start_agent(docker_engine.host)
    asking.join(timeout=60)
    assert answers[0]["state"] == "SUCCEEDED", answers
    assert not state_of(docker_engine, "stubborn")["Running"]


@pytest.mark.docker
def test_a_command_in_flight_when_the_controller_is_killed_ends_in_its_true_result(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("stubborn", command=STUBBORN)
    plane.start_controller()
    plane.start_agent(docker_engine.host)
    answer = plane.record("container", "stop", "stubborn", "--on", "local", "--grace", "4", "--no-wait")
    assert answer["state"] == "DISPATCHED"
    plane.kill("controller")
    plane.start_controller()
    status, _, body = plane.request("GET", f"{COMMANDS}/{answer['command_id']}?wait=50")
    record = json.loads(body)
    assert (status, record["state"]) == (200, "SUCCEEDED"), record
    assert not state_of(docker_engine, "stubborn")["Running"]


@pytest.mark.docker
def test_a_command_accepted_for_an_absent_host_runs_once_when_it_comes(
    plane: Plane, docker_engine: Engine
) -> None:
    docker_engine.run_container("web")
    started = started_at(docker_engine, "web")
    plane.start_controller()
    plane.start_agent(docker_engine.host)
    plane.kill("agent")
    until("the agent is away", lambda: b'"disconnected"' in plane.request("GET", "/api/v1/agents")[2])
    answer = plane.record("container", "restart", "web", "--on", "local", "--no-wait")
    plane.kill("controller")
    plane.start_controller()
    plane.start_agent(docker_engine.host)
    command = f"/api/v1/commands/{answer['command_id']}?wait=30"
    assert json.loads(plane.request("GET", command)[2])["state"] == "SUCCEEDED"
    assert started_at(docker_engine, "web") > started
    first = plane.record(
        "container", "restart", "web", "--on", "local", "--timeout", "5", "--idempotency-key", "k"
    )
    again = plane.record(
        "container", "restart", "web", "--on", "local", "--timeout", "5", "--idempotency-key", "k"
    )
    assert first["command_id"] == again["command_id"]


@pytest.mark.docker
def test_the_doctor_finds_nothing_wrong_with_a_plane_that_works(plane: Plane, docker_engine: Engine) -> None:
    plane.up("--docker", docker_engine.host)
    answer = plane.cli("doctor", "--data", str(plane.data), "--docker", docker_engine.host, "--json")
    found = json.loads(answer.stdout)
    verdicts = {check["check"]: check["verdict"] for check in found["checks"]}
    assert answer.returncode == 0, answer.stdout
    assert found["healthy"] is True
    assert verdicts["Docker"] == "ok"
    assert verdicts["controller"] == "ok"
    docker_engine.kill()
    sick = plane.cli("doctor", "--data", str(plane.data), "--docker", docker_engine.host)
    assert sick.returncode == 1
    assert "no Docker Engine can be reached" in sick.stdout


def test_ctrl_c_stops_both_processes_and_leaves_none(plane: Plane) -> None:
    plane.up("--simulate", "3")
    children = plane.children()
    assert set(children) == {"controller", "agent"}
    assert plane.stop() == 0
    assert not [pid for pid in children.values() if Path(f"/proc/{pid}").exists()]


def test_simulated_hosts_are_shown_as_simulated_and_take_commands(plane: Plane) -> None:
    plane.up("--simulate", "3")
    printed = plane.printed()
    assert plane.url in printed
    assert str(plane.data / "admin.token") in printed
    assert "agent join" in printed
    listed = plane.cli("agent", "list").stdout
    assert listed.count("simulated") >= 3
    answer = plane.cli("container", "restart", "web", "--on", "all", "--json")
    records = json.loads(answer.stdout)
    assert [record["state"] for record in records] == ["SUCCEEDED"] * 3
    assert answer.returncode == 0


def test_the_admin_token_is_readable_by_its_owner_only_and_printed_nowhere(plane: Plane) -> None:
    plane.up("--simulate", "1")
    token = plane.data / "admin.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_text().strip() not in plane.printed()


def test_the_same_hosts_are_there_after_a_restart(plane: Plane) -> None:
    plane.up("--simulate", "2")
    before = {agent["agent_id"] for agent in json.loads(plane.cli("agent", "list", "--json").stdout)}
    assert plane.stop() == 0
    plane.up("--simulate", "2")
    after = {agent["agent_id"] for agent in json.loads(plane.cli("agent", "list", "--json").stdout)}
    assert before == after


def test_without_docker_it_names_both_ways_on(plane: Plane) -> None:
    plane.launch("--docker", f"unix://{plane.directory}/no.sock")
    assert plane.process is not None
    assert plane.process.wait(timeout=60) == 1
    printed = plane.printed()
    assert "SIMULATE=3" in printed
    assert "start Docker" in printed or "Start Docker" in printed
    assert "Traceback" not in printed


def test_a_second_controller_on_the_same_data_directory_is_refused(plane: Plane) -> None:
    plane.up("--simulate", "1")
    second = subprocess.run(
        [sys.executable, "-m", "seawall", "controller", "--data", str(plane.data), "--api", "127.0.0.1:0"],
        env=plane.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "Traceback" not in second.stderr + second.stdout
    assert str(plane.data) in second.stderr + second.stdout
    assert plane.record("agent", "ping", "sim-1")["state"] == "SUCCEEDED"


def test_a_port_already_taken_is_said_in_one_sentence(plane: Plane, tmp_path: Path) -> None:
    plane.up("--simulate", "1")
    second = subprocess.run(
        [
            *(sys.executable, "-m", "seawall", "controller", "--data", str(tmp_path / "other")),
            *("--api", f"127.0.0.1:{plane.api_port}", "--agents", "127.0.0.1:0"),
        ],
        env=plane.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert str(plane.api_port) in second.stderr + second.stdout
    assert "Traceback" not in second.stderr + second.stdout


def test_a_revoked_agent_is_out_and_does_not_come_back(plane: Plane) -> None:
    plane.up("--simulate", "2")
    assert plane.cli("agent", "revoke", "sim-2", "--yes").returncode == 0
    until("sim-2 is gone", lambda: "sim-2" not in plane.cli("agent", "list").stdout)
    assert plane.record("agent", "ping", "sim-1")["state"] == "SUCCEEDED"


def test_a_controller_killed_with_kill_9_keeps_what_it_accepted(plane: Plane) -> None:
    plane.up("--simulate", "1")
    record = plane.record("agent", "ping", "sim-1")
    controller = plane.children()["controller"]
    subprocess.run(["/bin/kill", f"-{signal.SIGKILL.value}", str(controller)], check=True)
    assert plane.process is not None
    assert plane.process.wait(timeout=30) == 1
    plane.up("--simulate", "1")
    assert plane.record("command", "show", str(record["command_id"]))["state"] == "SUCCEEDED"


def state_of(engine: Engine, name: str) -> dict[str, object]:
    state = engine.inspect_container(name)["State"]
    assert isinstance(state, dict)
    return state


def started_at(engine: Engine, name: str) -> str:
    return str(state_of(engine, name)["StartedAt"])
