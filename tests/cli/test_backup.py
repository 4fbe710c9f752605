"""`seawall backup` and `seawall restore`: what an operator types and is told."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.storage.directory import DataDirectory
from seawall.storage.sqlite import SqliteStore
from tests.cli.conftest import Seawall

TOKEN = "swt_very_secret"


@pytest.fixture
def data(home: Path) -> Path:
    """Where a controller has run."""
    path = home / ".local/share/seawall"
    DataDirectory.open(path).close()
    CertificateAuthority.open(path / "authority", SystemClock().wall())
    (path / "admin.token").write_text(TOKEN)

    async def start() -> None:
        store = await SqliteStore.open(path / "seawall.db", SystemClock())
        await store.close()

    asyncio.run(start())
    return path


@pytest.mark.usefixtures("data")
def test_a_backup_says_what_it_holds_and_that_it_is_a_secret(seawall: Seawall, home: Path) -> None:
    call = seawall("backup", str(home / "b.tar"))
    assert call.code == 0
    assert "0 commands (0 not over), 0 hosts" in call.out
    assert "it holds secrets" in call.out
    assert TOKEN not in call.both
    assert stat.S_IMODE((home / "b.tar").stat().st_mode) == 0o600


@pytest.mark.usefixtures("data")
def test_verifying_says_how_old_it_is_and_changes_nothing(seawall: Seawall, home: Path) -> None:
    seawall("backup", str(home / "b.tar"))
    call = seawall("restore", str(home / "b.tar"), "--verify", "--data", str(home / "restored"))
    assert call.code == 0
    assert "made now" in call.out or "s ago" in call.out
    assert "authority/ca.key" in call.out
    assert "nothing was changed" in call.out
    assert not (home / "restored").exists()


def test_a_restore_says_what_happens_next(seawall: Seawall, home: Path, data: Path) -> None:
    seawall("backup", str(home / "b.tar"))
    call = seawall("restore", str(home / "b.tar"), "--data", str(home / "restored"))
    assert call.code == 0
    assert f"seawall controller --data {home / 'restored'}" in call.out
    assert "reports them when it connects, and nothing runs again" in call.out
    assert (home / "restored" / "admin.token").read_text() == TOKEN
    data.rename(home / "lost")
    assert "start the controller with 'seawall controller'" in seawall("restore", str(home / "b.tar")).out
    assert (data / "seawall.db").exists()


@pytest.mark.usefixtures("data")
def test_what_cannot_be_backed_up_or_restored_is_a_sentence(seawall: Seawall, home: Path) -> None:
    (home / "letter").write_text("Dear controller")
    seawall("backup", str(home / "b.tar"))
    for words in (
        ("backup", str(home / "b.tar")),
        ("backup", str(home / "c.tar"), "--data", str(home / "none")),
        ("restore", str(home / "letter")),
        ("restore", str(home / "letter"), "--verify"),
        ("restore", str(home / "none"), "--verify"),
        ("restore", str(home / "b.tar")),
    ):
        call = seawall(*words)
        assert call.code == 1
        assert call.err.startswith("seawall: ")
        assert len(call.err.splitlines()) == 1
        assert call.out == ""
