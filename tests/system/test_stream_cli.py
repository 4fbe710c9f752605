"""Streams at the command line, in real processes: output apart, exit codes, a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240, func_only=True)]

PATIENCE_SECONDS = 60.0


@pytest.fixture
def plane(docker_engine: Engine, tmp_path: Path) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        plane.up("--docker", docker_engine.host)
        yield plane


def seawall(plane: Plane, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "seawall", *words],
        env=plane.environment,
        input=given,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_logs_exec_and_their_errors_at_the_command_line(docker_engine: Engine, plane: Plane) -> None:
    docker_engine.run_container("web", ["sh", "-c", "echo out; echo err >&2"])
    followed = seawall(plane, "container", "logs", "-f", "web", "--on", "local")
    assert (followed.returncode, followed.stdout, followed.stderr) == (0, b"out\n", b"err\n")
    docker_engine.run_container("app")
    piped = seawall(
        plane,
        "container",
        "exec",
        "-i",
        "--on",
        "local",
        "app",
        "--",
        "sh",
        "-c",
        "cat; exit 4",
        given=b"in\n",
    )
    assert (piped.returncode, piped.stdout) == (4, b"in\n")
    nobody = seawall(plane, "container", "logs", "-f", "nobody", "--on", "local")
    assert nobody.returncode == 1
    assert b"seawall container list" in nobody.stderr
    no_terminal = seawall(plane, "container", "exec", "-it", "--on", "local", "app", "--", "sh")
    assert no_terminal.returncode == 2
    assert b"--tty needs a terminal" in no_terminal.stderr
    everywhere = seawall(plane, "container", "logs", "-f", "web", "--on", "all")
    assert everywhere.returncode == 0
    when = seawall(plane, "container", "logs", "--since", "yesterday-ish", "web", "--on", "local")
    assert when.returncode == 2
    assert b"such as 10m" in when.stderr


def test_a_process_at_a_terminal_has_its_keys_and_its_exit_code(docker_engine: Engine, plane: Plane) -> None:
    docker_engine.run_container("app")
    script = "trap 'exit 9' INT; echo re''ady; while read line; do echo \"heard $line\"; done"
    words = ("container", "exec", "-it", "--on", "local", "app", "--", "sh", "-c", script)
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "seawall", *words], plane.environment)  # noqa: S606
    try:
        read_until(terminal, b"ready\r\n")
        os.write(terminal, b"keys\r")
        read_until(terminal, b"heard keys\r\n")
        # Raw: what would end a program here ends the one there.
        os.write(terminal, b"\x03")
        last = time.monotonic() + PATIENCE_SECONDS
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < last
            read_some(terminal)
        assert os.waitstatus_to_exitcode(ended[1]) == 9
    finally:
        os.close(terminal)


def read_until(terminal: int, text: bytes) -> None:
    seen, last = b"", time.monotonic() + PATIENCE_SECONDS
    while text not in seen:
        assert time.monotonic() < last, seen
        seen += read_some(terminal)


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096) if select.select([terminal], [], [], 0.2)[0] else b""
    except OSError:  # nobody is at the other end any more
        return b""
