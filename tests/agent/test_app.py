"""The agent as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.agent.identity import AgentIdentity, new_private_key
from seawall.agent.ledger import LEDGER_FILE
from seawall.controller.authority import CertificateAuthority
from seawall.wire.messages import Execute, Goodbye, Ping
from tests.agent.controller_double import CONTROLLER_ID, controller_double, is_pong

pytestmark = pytest.mark.asyncio

PROGRAM = """
import resource, sys
from pathlib import Path
from seawall.agent.app import main
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def start(
    directory: Path, docker: str = "unix:///nowhere/docker.sock", *file_limit: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        str(directory),
        docker,
        *file_limit,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def save_identity(directory: Path, url: str, ca_pem: str) -> None:
    AgentIdentity("agent-1", "web-1", url, CONTROLLER_ID, {}, ca_pem, new_private_key()).save(directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_agent_with_a_goodbye(tmp_path: Path, number: signal.Signals) -> None:
    authority = CertificateAuthority.open(tmp_path / "authority", datetime.now(UTC))
    async with controller_double(authority.server_context()) as controller:
        save_identity(tmp_path / "agent", controller.url, authority.ca_pem)
        agent = await start(tmp_path / "agent")
        visit = await controller.visit()
        await visit.welcome()
        await visit.send(Ping(1, docker=True))
        assert is_pong(await visit.receive(), 1, False)
        agent.send_signal(number)
        assert isinstance(await visit.receive(), Goodbye)
        _, log = await agent.communicate()
        assert agent.returncode == 0, log.decode()
        assert b"Traceback" not in log


async def test_a_revoked_agent_ends_with_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "authority", datetime.now(UTC))
    async with controller_double(authority.server_context()) as controller:
        save_identity(tmp_path / "agent", controller.url, authority.ca_pem)
        agent = await start(tmp_path / "agent")
        visit = await controller.visit()
        await visit.welcome()
        await visit.send(Goodbye("revoked by admin", None))
        _, log = await agent.communicate()
        assert agent.returncode == 1
        assert "seawall agent join" in log.decode().splitlines()[-1]
        assert b"Traceback" not in log


async def test_a_host_that_has_not_joined_is_told_so(tmp_path: Path) -> None:
    agent = await start(tmp_path)
    _, log = await agent.communicate()
    assert agent.returncode == 1
    assert "has not joined" in log.decode()


async def test_an_impossible_docker_address_is_refused_at_start(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "authority", datetime.now(UTC))
    save_identity(tmp_path / "agent", "https://127.0.0.1:1", authority.ca_pem)
    agent = await start(tmp_path / "agent", "tcp://192.0.2.1:2375")
    _, log = await agent.communicate()
    assert agent.returncode == 1
    assert "isn't on this host" in log.decode()


async def test_a_damaged_ledger_is_refused_at_start_with_advice(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "authority", datetime.now(UTC))
    save_identity(tmp_path / "agent", "https://127.0.0.1:1", authority.ca_pem)
    spoil(tmp_path / "agent" / LEDGER_FILE)
    agent = await start(tmp_path / "agent")
    _, log = await agent.communicate()
    assert agent.returncode == 1
    assert "move it away" in log.decode()
    assert b"Traceback" not in log


async def test_a_ledger_that_can_not_be_written_ends_the_process_and_nothing_was_done(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "authority", datetime.now(UTC))
    async with controller_double(authority.server_context()) as controller:
        save_identity(tmp_path / "agent", controller.url, authority.ca_pem)
        # The disk is full after the tables, and before the log can take what a session brings.
        agent = await start(tmp_path / "agent", "unix:///nowhere/docker.sock", "32768")
        visit = await controller.visit()
        await visit.welcome()
        for number in range(1, 40):
            with contextlib.suppress(ConnectionError):
                await visit.send(
                    Execute(f"c{number}", f"a{number}", 1, "none", {"x": "y" * 999}, 9.0, 1, number)
                )
        _, log = await agent.communicate()
        assert agent.returncode == 70, log.decode()
        assert "the agent has to end" in log.decode()
        assert b"Traceback" not in log


def spoil(path: Path) -> None:
    path.write_bytes(b"no ledger at all" * 100)
