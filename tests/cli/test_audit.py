"""`seawall audit` where no controller is asked: on a data directory and on an export."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seawall.cli.exits import DONE, FAILED, USAGE
from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.storage.directory import DataDirectory
from seawall.storage.sqlite import SqliteStore
from tests.cli.conftest import Seawall
from tests.storage.backups import back_up, fill


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a controller has run."""
    path = tmp_path / "data"
    DataDirectory.open(path).close()
    CertificateAuthority.open(path / "authority", SystemClock().wall())
    asyncio.run(fill(path))
    return path


def said(seawall: Seawall, *arguments: str, code: int = DONE) -> str:
    """What a call of `seawall audit` prints."""
    call = seawall("audit", *arguments)
    assert call.code == code, call.both
    return call.both


def tamper(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "seawall.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_directory_is_verified_without_its_controller(data: Path, seawall: Seawall) -> None:
    text = said(seawall, "verify", "--data", str(data))
    head = text.partition("head ")[2].split()[0]
    assert "the chain is whole" in text
    assert "nothing before that was changed" in said(seawall, "verify", "--data", str(data), "--head", head)
    tamper(data, "UPDATE audit SET actor = 'nobody' WHERE position = 3")
    assert "broken at entry 3" in said(seawall, "verify", "--data", str(data), code=FAILED)
    verdict = json.loads(said(seawall, "verify", "--data", str(data), "--json", code=FAILED))
    assert (verdict["fault"]["position"], verdict["fault"]["kind"]) == (3, "altered")


def test_a_cut_off_end_shows_against_a_backup(data: Path, tmp_path: Path, seawall: Seawall) -> None:
    backup = tmp_path / "b.tar"
    back_up(data, backup)
    arguments = ("verify", "--data", str(data), "--backup", str(backup))
    assert "the chain is whole" in said(seawall, *arguments)
    tamper(data, "DELETE FROM audit WHERE position = (SELECT max(position) FROM audit)")
    assert "the chain is whole" in said(seawall, "verify", "--data", str(data))
    assert "the end was cut off" in said(seawall, *arguments, code=FAILED)


def test_an_export_is_verified_by_itself(data: Path, tmp_path: Path, seawall: Seawall) -> None:
    text = said(seawall, "export", "--data", str(data))
    export = tmp_path / "audit.jsonl"
    export.write_text(text, encoding="utf-8")
    assert "the chain is whole" in said(seawall, "verify", "--file", str(export))
    later = said(seawall, "export", "--data", str(data), "--after", "2")
    assert text.splitlines()[2:] == later.splitlines()
    export.write_text(text.replace("c-1", "c-7"), encoding="utf-8")
    assert "broken at entry" in said(seawall, "verify", "--file", str(export), code=FAILED)
    export.write_text("{}\n", encoding="utf-8")
    assert "line 1: this is no entry" in said(seawall, "verify", "--file", str(export), code=FAILED)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--data", "a", "--file", "b"), USAGE, "either --data or --file"),
        (("--data", "a", "--head", "7"), USAGE, "no head of an audit log"),
        (("--data", "nowhere"), FAILED, "no controller's database"),
        (("--file", "nowhere"), FAILED, "can't be read"),
    ],
)
def test_what_cannot_be_verified_is_said_in_a_sentence(
    arguments: tuple[str, ...], code: int, text: str, seawall: Seawall
) -> None:
    assert text in said(seawall, "verify", *arguments, code=code)


def test_a_running_controllers_directory_can_be_verified(data: Path, seawall: Seawall) -> None:
    async def meanwhile() -> str:
        store = await SqliteStore.open(data / "seawall.db", SystemClock())
        try:
            return await asyncio.to_thread(said, seawall, "verify", "--data", str(data))
        finally:
            await store.close()

    assert "the chain is whole" in asyncio.run(meanwhile())
