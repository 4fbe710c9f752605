"""A whole controller in this process: it starts, serves, and stops in order; and says why when it can't."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from seawall.clock import SystemClock
from seawall.controller.app import Controller, Running, StartFailed, main, run_controller
from seawall.controller.authority import CertificateAuthority
from seawall.controller.settings import Address, ControllerSettings
from seawall.controller.vault import KeyVault
from seawall.engine.store import StoreFailed
from seawall.storage.sqlite import SqliteStore

ANY = Address("127.0.0.1", 0)


def settings_for(directory: Path, api: Address = ANY, agents: Address = ANY) -> ControllerSettings:
    return ControllerSettings(data=directory, api=api, agents=agents)


@asynccontextmanager
async def controller(settings: ControllerSettings) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run_controller(settings, SystemClock(), on_ready=ready.set_result, stop=stop))
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


@pytest.mark.asyncio
async def test_it_starts_serves_and_stops_and_can_start_again(tmp_path: Path) -> None:
    seen, terms = [], [0]
    for _ in range(2):
        async with controller(settings_for(tmp_path / "data")) as running:
            token = running.admin_token_file.read_text().strip()
            seen.append((running.controller_id, running.ca_fingerprint, token))
            assert running.term > terms[-1]
            terms.append(running.term)
            assert running.ca_file.is_file()
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=running.api_url, headers=headers) as client:
                assert (await client.get("/readyz")).status_code == 200
                assert (await client.get("/api/v1/agents")).json() == []
                made = (await client.post("/api/v1/join-tokens")).json()
                assert running.agents_url in made["command"]
    assert seen[0] == seen[1]


@pytest.mark.asyncio
async def test_a_stop_ends_open_streams_and_waits_for_nobody(tmp_path: Path) -> None:
    async with controller(settings_for(tmp_path / "data")) as running:
        headers = {"Authorization": f"Bearer {running.admin_token_file.read_text().strip()}"}
        client = httpx.AsyncClient(base_url=running.api_url, headers=headers)
        stream = client.stream("GET", "/api/v1/events")
        answer = await stream.__aenter__()
        assert answer.status_code == 200
    assert b": listening" in await answer.aread()
    await stream.__aexit__(None, None, None)
    await client.aclose()


@pytest.mark.asyncio
async def test_a_port_already_taken_is_said_with_its_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for where in ({"api": Address("127.0.0.1", port)}, {"agents": Address("127.0.0.1", port)}):
            with pytest.raises(StartFailed, match=rf"127\.0\.0\.1:{port}.* in use"):
                async with controller(settings_for(tmp_path / "data", **where)):
                    pass


@pytest.mark.asyncio
async def test_an_address_of_another_machine_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"192\.0\.2\.1:7700 .*--api"):
        async with controller(settings_for(tmp_path / "data", api=Address("192.0.2.1", 7700))):
            pass


@pytest.mark.asyncio
async def test_a_second_controller_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    async with controller(settings_for(tmp_path / "data")):
        with pytest.raises(StartFailed, match="another controller"):
            async with controller(settings_for(tmp_path / "data")):
                pass


@pytest.mark.asyncio
async def test_beyond_loopback_the_api_speaks_tls_with_the_authoritys_certificate(tmp_path: Path) -> None:
    anywhere = Address("0.0.0.0", 0)  # noqa: S104 - what is tested
    async with controller(settings_for(tmp_path / "data", api=anywhere)) as running:
        assert running.api_url.startswith("https://")
        trust = ssl.create_default_context(cafile=running.ca_file)
        async with httpx.AsyncClient(verify=trust) as client:
            url = f"https://127.0.0.1:{running.api.port}"
            assert (await client.get(f"{url}/readyz")).status_code == 200
            assert (await client.get(f"{url}/metrics")).status_code == 401
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://127.0.0.1:{running.api.port}/readyz")


@pytest.mark.asyncio
async def test_a_store_that_fails_ends_the_controller(tmp_path: Path) -> None:
    failing = asyncio.Event()

    def commit(connection: sqlite3.Connection) -> None:
        if failing.is_set():
            raise sqlite3.OperationalError("disk I/O error")
        connection.execute("COMMIT")

    clock, failure = SystemClock(), asyncio.get_running_loop().create_future()
    store = await SqliteStore.open(
        tmp_path / "seawall.db", clock, on_failure=failure.set_exception, commit=commit
    )
    authority = CertificateAuthority.open(tmp_path / "authority", clock.wall())
    controller = Controller(
        settings_for(tmp_path),
        clock,
        store,
        await store.controller_identity(),
        authority,
        KeyVault.of(tmp_path),
    )
    running = await controller.start()
    life = asyncio.create_task(controller.run(asyncio.Event(), failure))
    failing.set()
    headers = {"Authorization": f"Bearer {running.admin_token_file.read_text().strip()}"}
    async with httpx.AsyncClient(base_url=running.api_url, headers=headers) as client:
        answer = await client.post("/api/v1/join-tokens")
        assert (answer.status_code, answer.json()["error_code"]) == (503, "store_failed")
    with pytest.raises(StoreFailed, match="can't be written"):
        await asyncio.wait_for(life, 10)
    await asyncio.wait_for(controller.stop(), 10)
    await store.close()


PROGRAM = """
import sys
from pathlib import Path
from seawall.controller.app import main
from seawall.controller.settings import load_settings
sys.exit(main(
    load_settings({"data": sys.argv[1], "api": "127.0.0.1:0", "agents": "127.0.0.1:0"}),
    lambda running: print(running.api_url, flush=True),
))
"""


@contextmanager
def process(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A controller in a process of its own, and where its API is."""
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_order_with_exit_code_0(tmp_path: Path, signal_number: signal.Signals) -> None:
    with process(tmp_path / "data") as (running, url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        running.send_signal(signal_number)
        _, log = running.communicate(timeout=15)
        assert running.returncode == 0, log
        assert "Traceback" not in log
        assert (tmp_path / "data" / "admin.token").read_text().strip() not in log


def test_a_disk_that_is_full_ends_it_with_exit_code_70_and_a_sentence(tmp_path: Path) -> None:
    with process(tmp_path / "data") as (running, url):
        headers = {"Authorization": f"Bearer {(tmp_path / 'data' / 'admin.token').read_text().strip()}"}
        # The database may grow no further than this: a write fails as on a full disk.
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (4_096, 4_096))
        answer = httpx.post(f"{url}/api/v1/join-tokens", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (503, "store_failed")
        _, log = running.communicate(timeout=15)
        assert running.returncode == 70, log
        assert "seawall: the controller ended:" in log
        assert "Traceback" not in log


def test_a_failed_start_is_one_sentence_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(settings_for(tmp_path / "file")) == 1
    printed = capsys.readouterr().err
    assert "can't start" in printed
    assert str(tmp_path / "file") in printed
    assert "Traceback" not in printed
