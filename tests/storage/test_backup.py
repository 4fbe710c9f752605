"""A backup is one instant of a controller, and a restore is all of it or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.controller.policy_file import POLICY_FILE
from seawall.controller.toml_file import TEXT_LIMIT_BYTES
from seawall.core.command import CommandState
from seawall.engine.alert_settings import ALERT_FILE
from seawall.engine.remediation_settings import REMEDIATION_FILE
from seawall.engine.store import StoreFailed
from seawall.storage.archive import LARGEST_SMALL_BYTES, WRITTEN_BY_PEOPLE, BackupError, Manifest
from seawall.storage.directory import DataDirectory, DataDirectoryError, DataDirectoryInUse
from seawall.storage.restore import restore_backup, verify_backup
from seawall.storage.snapshot import take_snapshot
from seawall.storage.sqlite import SqliteStore
from tests.storage.backends import command
from tests.storage.backups import MADE_AT, TOKEN, back_up, fill, members_of

# Restores again and again, each time into another directory and killed one step later, until it comes through.
KILL_IT = """
import os, sys
from pathlib import Path
from seawall.storage.restore import restore_backup
backup, root = Path(sys.argv[1]), Path(sys.argv[2])
STEPS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")

def die_at(step):
    def count(event, arguments):
        nonlocal step
        if event in STEPS and str(arguments[0]).startswith(str(root)):
            step -= 1
            if not step:
                os._exit(9)
    sys.addaudithook(count)

step, code = 0, 9
while code == 9:
    step += 1
    data = root / str(step)
    data.mkdir()
    child = os.fork()
    if child == 0:
        die_at(step)
        restore_backup(backup, data)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(code)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """As on a disk that is soon full: no file grows beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Making one


def test_a_backup_tells_what_it_holds_and_is_its_owners_alone(data: Path, tmp_path: Path) -> None:
    manifest = back_up(data, tmp_path / "b.tar")
    held = manifest.contents
    assert (held.commands, held.open_commands, held.agents) == (2, 1, 1)
    assert (manifest.seawall, manifest.made_at) == ("1.2.3", MADE_AT)
    assert sorted(manifest.members) == [
        "admin.token",
        *(f"authority/{name}" for name in ("ca.key", "ca.pem", "server.key", "server.pem")),
        "seawall.db",
        "secrets.key",
    ]
    assert mode(tmp_path / "b.tar") == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.tar", "data"]
    assert verify_backup(tmp_path / "b.tar") == manifest


def test_any_tar_reads_it_and_sha256sum_its_manifest(backup: Path) -> None:
    members = members_of(backup.read_bytes())
    manifest = json.loads(members["manifest.json"])
    assert members["admin.token"] == TOKEN
    assert all(
        hashlib.sha256(members[name]).hexdigest() == each["sha256"]
        for name, each in manifest["members"].items()
    )
    digest, name = members["manifest.sha256"].decode().split()
    assert (digest, name) == (hashlib.sha256(members["manifest.json"]).hexdigest(), "manifest.json")


def test_what_people_wrote_is_kept_where_there_is_any_and_comes_back(data: Path, tmp_path: Path) -> None:
    written = {name: f"# {name}\n" + "#" * 200_000 for name in WRITTEN_BY_PEOPLE}
    assert set(written) == {"seawall.toml", POLICY_FILE, ALERT_FILE, REMEDIATION_FILE}
    for name, text in written.items():
        (data / name).write_text(text)
    assert set(written) <= set(back_up(data, tmp_path / "b.tar").members)
    restore_backup(tmp_path / "b.tar", tmp_path / "restored")
    assert {name: (tmp_path / "restored" / name).read_text() for name in written} == written
    (data / POLICY_FILE).write_text("# another\n")
    with pytest.raises(BackupError, match="never overwrites anything"):
        restore_backup(tmp_path / "b.tar", data)
    assert (data / POLICY_FILE).read_text() == "# another\n"


def test_a_text_file_of_the_controller_fits_into_a_backup() -> None:
    assert LARGEST_SMALL_BYTES >= TEXT_LIMIT_BYTES


def test_a_backup_of_a_running_controller_is_one_instant_of_it(data: Path, tmp_path: Path) -> None:
    """A writer moves an amount between two rows in each transaction: the sum is the same at every instant."""
    written, stop = threading.Event(), threading.Event()
    with closing(sqlite3.connect(data / "seawall.db")) as first:
        first.execute("CREATE TABLE amounts (row INTEGER PRIMARY KEY, amount INTEGER, ballast BLOB)")
        first.executemany(
            "INSERT INTO amounts VALUES (?, 0, zeroblob(3000))", [(row,) for row in range(1, 2001)]
        )
        first.commit()

    def write() -> None:
        with closing(sqlite3.connect(data / "seawall.db", isolation_level=None)) as writer:
            turn = 0
            while not stop.is_set():
                turn += 1
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("UPDATE amounts SET amount = amount + 1 WHERE row = ?", (1 + turn % 1000,))
                writer.execute("UPDATE amounts SET amount = amount - 1 WHERE row = ?", (1001 + turn % 1000,))
                writer.execute("COMMIT")
                written.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(10)
        take_snapshot(data / "seawall.db", tmp_path / "copy.db")
    finally:
        stop.set()
        thread.join()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        moved = "SELECT sum(amount), sum(max(amount, 0)) FROM amounts"
        total, positive = copy.execute(moved).fetchone()
    assert total == 0
    assert positive > 0


def test_a_backup_goes_on_while_the_store_is_open_and_holds_what_was_accepted(
    data: Path, tmp_path: Path
) -> None:
    async def accept_then_back_up() -> Manifest:
        store = await SqliteStore.open(data / "seawall.db", SystemClock())
        try:
            await store.accept(command("c-3"))
            manifest = await asyncio.to_thread(back_up, data, tmp_path / "b.tar")
            await store.accept(command("c-4"))
            return manifest
        finally:
            await store.close()

    assert asyncio.run(accept_then_back_up()).contents.commands == 3


def test_a_backup_of_a_controller_that_was_killed_holds_what_is_only_in_the_log(
    data: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(data / "seawall.db")) as writer:
        writer.execute("DELETE FROM commands WHERE command_id = 'c-2'")
        writer.commit()
        shutil.copytree(data, tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm"))
    assert (tmp_path / "killed" / "seawall.db-wal").stat().st_size > 0
    assert back_up(tmp_path / "killed", tmp_path / "b.tar").contents.commands == 1


def test_a_backup_never_replaces_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("last week's")
    with pytest.raises(BackupError, match="exists already"):
        back_up(data, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "last week's"


@pytest.mark.parametrize(
    ("missing", "words"),
    [("seawall.db", "no controller's database"), ("authority/ca.key", "no authority/ca.key")],
)
def test_a_directory_that_is_no_controllers_is_refused(
    data: Path, tmp_path: Path, missing: str, words: str
) -> None:
    (data / missing).unlink()
    with pytest.raises(BackupError, match=words):
        back_up(data, tmp_path / "b.tar")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_a_key_that_does_not_fit_makes_no_backup(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "authority" / "server.key", data / "authority" / "ca.key")
    with pytest.raises(BackupError, match="don't belong together"):
        back_up(data, tmp_path / "b.tar")


def test_a_server_certificate_that_is_just_being_renewed_hinders_neither(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "authority" / "ca.key", data / "authority" / "server.key")
    back_up(data, tmp_path / "b.tar")
    restore_backup(tmp_path / "b.tar", tmp_path / "restored")
    CertificateAuthority.open(tmp_path / "restored" / "authority", SystemClock().wall())


def test_a_damaged_database_makes_no_backup(data: Path, tmp_path: Path) -> None:
    with (data / "seawall.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))
    with pytest.raises(BackupError, match="the database"):
        back_up(data, tmp_path / "b.tar")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_no_room_for_a_backup_is_a_sentence_and_leaves_nothing(data: Path, tmp_path: Path) -> None:
    with small_files(32 * 1024), pytest.raises(BackupError, match="room"):
        back_up(data, tmp_path / "b.tar")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_a_place_that_is_not_there_is_a_sentence(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="No such file or directory"):
        back_up(data, tmp_path / "none" / "b.tar")


# Restoring


def test_what_is_restored_is_the_same_controller_and_private(
    backup: Path, data: Path, tmp_path: Path
) -> None:
    restored = tmp_path / "deep" / "restored"
    manifest = restore_backup(backup, restored)
    for name in manifest.members:
        assert mode(restored / name) == 0o600
        if name != "seawall.db":
            assert (restored / name).read_bytes() == (data / name).read_bytes()
    assert mode(restored) == mode(restored / "authority") == 0o700
    assert sorted(each.name for each in restored.iterdir()) == [
        "admin.token",
        "authority",
        "controller.lock",
        "seawall.db",
        "secrets.key",
    ]

    async def facts() -> tuple[str, int, CommandState | None, int]:
        store = await SqliteStore.open(restored / "seawall.db", SystemClock())
        try:
            kept = await store.command("c-1")
            return (
                *await store.controller_identity(),
                kept.state if kept else None,
                len(await store.agents()),
            )
        finally:
            await store.close()

    controller_id, term, state, agents = asyncio.run(facts())
    assert controller_id == manifest.contents.controller_id
    assert term > manifest.contents.term
    assert (state, agents) == (CommandState.ACCEPTED, 1)
    before = CertificateAuthority.open(data / "authority", SystemClock().wall()).fingerprint
    assert CertificateAuthority.open(restored / "authority", SystemClock().wall()).fingerprint == before


def test_an_empty_directory_will_do(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    restore_backup(backup, tmp_path / "empty")
    assert mode(tmp_path / "empty") == 0o700


def test_nothing_is_overwritten(backup: Path, data: Path, tmp_path: Path) -> None:
    before = (data / "seawall.db").read_bytes()
    with pytest.raises(BackupError, match="isn't empty"):
        restore_backup(backup, data)
    assert (data / "seawall.db").read_bytes() == before
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "other" / "letter").touch()
    with pytest.raises(BackupError, match="isn't empty"):
        restore_backup(backup, tmp_path / "other")
    assert [each.name for each in (tmp_path / "other").iterdir()] == ["letter"]


def test_a_directory_that_a_controller_uses_is_refused(backup: Path, tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "used"), pytest.raises(DataDirectoryInUse):
        restore_backup(backup, tmp_path / "used")


def test_a_network_file_system_is_refused(backup: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 server:/export rw\n")
    with pytest.raises(DataDirectoryError, match="network file system"):
        restore_backup(backup, tmp_path / "restored", mounts)
    assert not (tmp_path / "restored").exists()


def test_no_room_for_a_restore_is_a_sentence_and_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    with small_files(32 * 1024), pytest.raises(BackupError, match="room"):
        restore_backup(backup, tmp_path / "deep" / "restored")
    assert [each.name for each in tmp_path.iterdir()] == ["b.tar"]
    (tmp_path / "empty").mkdir()
    with small_files(32 * 1024), pytest.raises(BackupError, match="room"):
        restore_backup(backup, tmp_path / "empty")
    assert [each.name for each in (tmp_path / "empty").iterdir()] == ["controller.lock"]
    restore_backup(backup, tmp_path / "empty")


def test_a_restore_that_is_killed_anywhere_leaves_nothing_that_starts_and_can_be_made_again(
    backup: Path, tmp_path: Path
) -> None:
    root = tmp_path / "killed"
    root.mkdir()
    subprocess.run([sys.executable, "-c", KILL_IT, backup, root], check=True, timeout=60)
    found = Counter(state_of(data) for data in root.iterdir())
    assert set(found) == {"as before", "unfinished", "restored"}
    assert found["unfinished"] > 10
    with pytest.raises(StoreFailed, match="restore"):
        asyncio.run(fill(next(data for data in root.iterdir() if state_of(data) == "unfinished")))
    for data in root.iterdir():
        if state_of(data) != "restored":
            restore_backup(backup, data)
        assert (state_of(data), (data / "restore.unfinished").exists()) == ("restored", False)


def state_of(data: Path) -> str:
    if not (data / "seawall.db").exists():
        assert {each.name for each in data.iterdir()} <= {"controller.lock", "seawall.db.new"}
        return "as before"
    if (data / "seawall.db").read_bytes().startswith(b"A restore was interrupted here"):
        return "unfinished"
    assert (data / "admin.token").read_bytes() == TOKEN
    assert (data / "authority" / "ca.key").exists()
    shutil.rmtree(data / "restore.unfinished", ignore_errors=True)
    return "restored"
