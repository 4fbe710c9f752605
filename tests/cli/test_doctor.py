"""`seawall doctor`: what it finds fit, what it doesn't, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from seawall.agent.identity import AgentIdentity, new_private_key
from seawall.agent.ledger import Ledger
from seawall.agent.ledger_file import LEDGER_FILE, connect
from seawall.agent.ledger_tables import prepare
from seawall.cli.doctor import check_offset, check_python, clock_offset_seconds
from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.storage.diagnosis import (
    Finding,
    Verdict,
    check_file_system,
    check_free_space,
    check_permissions,
    check_sqlite,
    check_sync,
)
from tests.cli.conftest import Call, Seawall

DATE = "Wed, 02 Jan 2030 03:04:05 GMT"
MOMENT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
MEBIBYTE = 1024**2


@contextmanager
def controller(date: str, status: int = 200) -> Iterator[str]:
    """What answers /healthz with this date; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status if self.path == "/healthz" else 404)
            self.send_header("Date", date)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def checks(call: Call) -> dict[str, dict[str, str]]:
    content = call.json
    assert isinstance(content, dict)
    return {each["check"]: each for each in content["checks"]}


@pytest.fixture
def data(home: Path) -> Path:
    path = home / "data"
    path.mkdir(mode=0o700)
    return path


def examine(seawall: Seawall, data: Path, *more: str) -> Call:
    words = ("doctor", "--data", str(data), "--docker", f"unix://{data}/none.sock", "--json")
    return seawall(*more, *words)


def test_a_docker_engine_that_is_not_there_is_the_only_failure_and_says_what_to_do(
    seawall: Seawall, data: Path
) -> None:
    call = seawall("doctor", "--data", str(data), "--docker", f"unix://{data}/none.sock")
    failed = [line for line in call.out.splitlines() if line.startswith("x failed ")]
    assert call.code == 1
    assert [line.split()[2] for line in failed] == ["Docker"]
    assert "Start Docker on this host" in failed[0]
    assert "--docker" in failed[0]


def test_json_has_every_check_with_its_verdict_and_advice_for_whatever_is_not_fine(
    seawall: Seawall, data: Path
) -> None:
    call = examine(seawall, data)
    found = checks(call)
    assert isinstance(call.json, dict)
    assert call.json["healthy"] is False
    assert call.json["data"] == str(data)
    assert list(found) == [
        "Python",
        "SQLite",
        "file system",
        "fsync",
        "free space",
        "permissions",
        "Docker",
        "agent",
        "controller",
    ]
    assert all(set(each) == {"check", "verdict", "found", "advice"} for each in found.values())
    assert all(each["advice"] for each in found.values() if each["verdict"] in ("warning", "failed"))
    assert found["controller"]["verdict"] == "skipped"


def test_nothing_is_left_behind_and_a_missing_directory_is_not_made(
    seawall: Seawall, data: Path, home: Path
) -> None:
    found = checks(examine(seawall, data / "not" / "yet"))
    assert found["fsync"]["found"].endswith("(median of 20)")
    assert "doesn't exist yet" in found["permissions"]["found"]
    assert list(data.iterdir()) == []
    assert [each.name for each in home.iterdir()] == ["data"]


def test_a_directory_that_anybody_can_enter_fails_and_is_left_as_it_is(seawall: Seawall, data: Path) -> None:
    data.chmod(0o777)
    call = examine(seawall, data)
    found = checks(call)["permissions"]
    assert call.code == 1
    assert found["verdict"] == "failed"
    assert "mode 0777" in found["found"]
    assert found["advice"] == f"run 'chmod 700 {data}'"
    assert stat.S_IMODE(data.stat().st_mode) == 0o777


@pytest.mark.parametrize(
    "name",
    ["admin.token", "seawall.db", "seawall.db-wal", "authority/ca.key", "agent/agent.key", "agent/ledger.db"],
)
def test_a_secret_that_others_can_read_fails_and_is_not_printed(
    seawall: Seawall, data: Path, name: str
) -> None:
    secret = data / name
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    secret.write_text("swt_very_secret")
    secret.chmod(0o640)
    call = examine(seawall, data)
    assert checks(call)["permissions"]["advice"] == f"run 'chmod 600 {secret}'"
    assert "very_secret" not in call.both
    secret.chmod(0o600)
    assert checks(examine(seawall, data))["permissions"]["verdict"] == "ok"


def joined(directory: Path, agent_id: str = "a-1") -> AgentIdentity:
    """A host that joined, and its identity."""
    with tempfile.TemporaryDirectory() as authority:
        ca_pem = CertificateAuthority.open(Path(authority), SystemClock().wall()).ca_pem
    identity = AgentIdentity(agent_id, "local", "wss://127.0.0.1:7701", "c-1", {}, ca_pem, new_private_key())
    identity.save(directory)
    return identity


async def keep_a_ledger(directory: Path, agent_id: str = "a-1") -> None:
    ledger = await Ledger.open(directory / LEDGER_FILE, agent_id, SystemClock())
    await ledger.close()


def test_an_agent_with_its_own_ledger_is_fine_wherever_its_directory_is_named(
    seawall: Seawall, data: Path
) -> None:
    home = data / "agent"
    joined(home)
    assert checks(examine(seawall, data))["agent"]["found"].endswith("no ledger yet")
    asyncio.run(keep_a_ledger(home))
    before = sorted(each.name for each in home.iterdir())
    for named in (data, home):
        found = checks(examine(seawall, named))["agent"]
        assert (found["verdict"], found["found"]) == ("ok", "local, whose ledger has 0 commands")
    assert sorted(each.name for each in home.iterdir()) == before


def test_an_agent_that_runs_is_fine_and_left_alone(seawall: Seawall, data: Path) -> None:
    joined(data / "agent")
    with closing(connect(data / "agent" / LEDGER_FILE)) as held:
        prepare(held, "ledger", "a-1", "l-1")
        found = checks(examine(seawall, data))["agent"]
    assert found["verdict"] == "ok"
    assert "runs" in found["found"]


def test_a_ledger_of_another_agent_fails_and_says_what_to_do(seawall: Seawall, data: Path) -> None:
    joined(data / "agent")
    asyncio.run(keep_a_ledger(data / "agent", "a-2"))
    call = examine(seawall, data)
    found = checks(call)["agent"]
    assert (call.code, found["verdict"]) == (1, "failed")
    assert "belongs to agent a-2" in found["found"]
    assert "move it away" in found["advice"]


@pytest.mark.parametrize("content", [b"no ledger at all" * 100, b""])
def test_a_ledger_that_is_none_fails(seawall: Seawall, data: Path, content: bytes) -> None:
    joined(data / "agent")
    (data / "agent" / LEDGER_FILE).write_bytes(content)
    assert checks(examine(seawall, data))["agent"]["verdict"] == "failed"


def test_an_identity_that_is_damaged_fails(seawall: Seawall, data: Path) -> None:
    joined(data / "agent")
    (data / "agent" / "identity.json").write_text("{")
    found = checks(examine(seawall, data))["agent"]
    assert found["verdict"] == "failed"
    assert "identity.json" in found["advice"]


def test_a_file_in_place_of_the_directory_fails(seawall: Seawall, data: Path) -> None:
    (data / "file").touch()
    assert checks(examine(seawall, data / "file"))["permissions"]["verdict"] == "failed"


def test_a_docker_address_on_another_host_fails_with_what_is_allowed(seawall: Seawall, data: Path) -> None:
    call = seawall("doctor", "--data", str(data), "--docker", "tcp://192.0.2.1:2375", "--json")
    assert call.code == 1
    assert "unix:///path/to/docker.sock" in checks(call)["Docker"]["advice"]


def test_a_controller_whose_clock_is_far_off_is_a_warning(seawall: Seawall, data: Path) -> None:
    with controller(DATE) as url:
        found = checks(examine(seawall, data, "--url", url))
    assert found["controller"]["verdict"] == "ok"
    assert found["clock"]["verdict"] == "warning"
    assert "time server" in found["clock"]["advice"]


@pytest.mark.parametrize(
    ("date", "status", "verdicts"), [("soon", 200, ("ok", "skipped")), (DATE, 503, ("failed", None))]
)
def test_a_controller_that_answers_oddly_is_told_apart(
    seawall: Seawall, data: Path, date: str, status: int, verdicts: tuple[str, str | None]
) -> None:
    with controller(date, status) as url:
        found = checks(examine(seawall, data, "--url", url))
    assert (found["controller"]["verdict"], found.get("clock", {}).get("verdict")) == verdicts


def test_a_controller_that_is_not_there_fails(seawall: Seawall, data: Path) -> None:
    with controller(DATE) as url:
        pass
    found = checks(examine(seawall, data, "--url", url))["controller"]
    assert found["verdict"] == "failed"
    assert "seawall up" in found["advice"]


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (check_python((3, 11)), "ok"),
        (check_python((3, 13)), "ok"),
        (check_python((3, 14)), "warning"),
        (check_sqlite((3, 34, 1)), "failed"),
        (check_sqlite((3, 35, 0)), "warning"),
        (check_sqlite((3, 44, 5)), "warning"),
        (check_sqlite((3, 44, 6)), "ok"),
        (check_sqlite((3, 50, 6)), "warning"),
        (check_sqlite((3, 50, 7)), "ok"),
        (check_sqlite((3, 51, 2)), "warning"),
        (check_sqlite((3, 51, 3)), "ok"),
        (check_file_system("ext4"), "ok"),
        (check_file_system("nfs4"), "failed"),
        (check_file_system("fuse.sshfs"), "failed"),
        (check_file_system("9p"), "warning"),
        (check_file_system("tmpfs"), "warning"),
        (check_file_system(None), "skipped"),
        (check_sync(0.05), "ok"),
        (check_sync(0.051), "warning"),
        (check_free_space(1024 * MEBIBYTE), "ok"),
        (check_free_space(1024 * MEBIBYTE - 1), "warning"),
        (check_free_space(128 * MEBIBYTE), "warning"),
        (check_free_space(128 * MEBIBYTE - 1), "failed"),
        (check_offset(2.0), "ok"),
        (check_offset(2.1), "warning"),
        (check_offset(-2.1), "warning"),
    ],
    ids=lambda value: f"{value.check} {value.found}" if isinstance(value, Finding) else value,
)
def test_each_limit_lies_where_it_should_and_what_is_not_fine_has_advice(
    finding: Finding, verdict: str
) -> None:
    assert finding.verdict == Verdict(verdict)
    assert bool(finding.advice) == (verdict in ("warning", "failed"))


@pytest.mark.parametrize(("user", "verdict"), [(7, "ok"), (8, "failed"), (0, "warning")])
def test_another_users_directory_fails_and_is_a_warning_for_root(user: int, verdict: str) -> None:
    directory = os.stat_result((stat.S_IFDIR | 0o700, 0, 0, 2, 7, 7, 0, 0, 0, 0))
    finding = check_permissions(Path("/data"), directory=directory, user=user, exposed=[])
    assert finding.verdict == Verdict(verdict)


def test_the_offset_is_counted_from_the_middle_of_the_question_and_of_the_dates_two_seconds() -> None:
    def offset(before: float, after: float) -> float:
        return clock_offset_seconds(
            DATE, MOMENT + timedelta(seconds=before), MOMENT + timedelta(seconds=after)
        )

    assert offset(0.5, 1.5) == 0.0
    assert offset(-9.0, -9.0) == 10.0
    assert offset(11.0, 11.0) == -10.0
