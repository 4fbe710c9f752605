"""The tests' own Docker Engine does what other tests rely on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.processes import mounts_below
from tests.system.programs import is_static, prepare

pytestmark = pytest.mark.docker


def test_a_container_runs_and_is_removed(docker_engine: Engine) -> None:
    container_id = docker_engine.run_container("web", labels={"tier": "front"})
    record = docker_engine.inspect_container("web")
    assert record["Id"] == container_id
    assert state_of(record)["Running"] is True
    docker_engine.remove_container("web")
    assert docker_engine.request("GET", "/containers/web/json").status == 404


def test_no_container_of_an_earlier_test_is_left(docker_engine: Engine) -> None:
    assert docker_engine.request("GET", "/containers/json?all=1").json() == []


def test_a_killed_dockerd_comes_back_and_knows_its_containers(docker_engine: Engine) -> None:
    docker_engine.run_container("web")
    docker_engine.kill()
    assert not docker_engine.running
    with pytest.raises(OSError, match=r".+"):
        docker_engine.request("GET", "/_ping")
    docker_engine.start()
    assert state_of(docker_engine.inspect_container("web"))["Running"] is False


def test_a_paused_dockerd_accepts_and_says_nothing(docker_engine: Engine) -> None:
    docker_engine.pause()
    with pytest.raises(TimeoutError):
        docker_engine.request("GET", "/_ping", timeout_seconds=0.2)
    docker_engine.resume()
    assert docker_engine.request("GET", "/_ping").body == b"OK"


def test_a_restart_keeps_the_containers(docker_engine: Engine) -> None:
    container_id = docker_engine.run_container("web")
    docker_engine.restart()
    assert docker_engine.inspect_container("web")["Id"] == container_id


def test_a_stopped_engine_leaves_nothing_even_after_a_kill() -> None:
    engine = Engine(prepare())
    try:
        engine.start()
        engine.run_container("web")
        assert processes_that_name(engine.directory)
        engine.kill()
    finally:
        engine.stop()
    assert not processes_that_name(engine.directory)
    assert not mounts_below(engine.directory)
    assert not engine.directory.exists()


def test_dockerd_ends_with_tests_that_are_killed() -> None:
    program = (
        "import os, signal\n"
        "from tests.system.engine import Engine\n"
        "from tests.system.programs import prepare\n"
        "engine = Engine(prepare())\n"
        "engine.start()\n"
        "print(engine.directory, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    output = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    directory = Path(output.strip())
    wait_until(lambda: not processes_that_name(directory) and not mounts_below(directory))
    shutil.rmtree(directory)


def test_a_program_with_a_dynamic_linker_is_not_static() -> None:
    assert not is_static(Path(sys.executable).resolve())
    assert is_static(prepare().busybox)


def state_of(record: dict[str, object]) -> dict[str, object]:
    state = record["State"]
    assert isinstance(state, dict)
    return state


def processes_that_name(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{directory}/" in arguments:
                found.append(arguments)
    return found


def wait_until(condition: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    end = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {timeout_seconds:g} s"
        time.sleep(0.05)  # another process ends, and tells nobody when


def test_it_has_a_network_of_its_own_and_leaves_the_machines_alone(docker_engine: Engine) -> None:
    daemon = Path(docker_engine.directory / "pid").read_text().strip()
    assert os.readlink(f"/proc/{daemon}/ns/net") != os.readlink("/proc/self/ns/net")
