"""`seawall audit` where no controller is asked: on a data directory and on an export."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seawall.cli.exits import DONE, FAILED, USAGE
from seawall.cli.main import main
from tests.storage.backups import back_up
from tests.storage.conftest import data, template

__all__ = ["data", "template"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = DONE) -> str:
    """What a call of `seawall audit` prints."""
    assert main(["audit", *arguments]) == code
    told = capsys.readouterr()
    return told.out + told.err


def tamper(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "seawall.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_directory_is_verified_without_its_controller(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "verify", "--data", str(data))
    head = text.partition("head ")[2].split()[0]
    assert "the chain is whole" in text
    assert "nothing before that was changed" in said(capsys, "verify", "--data", str(data), "--head", head)
    tamper(data, "UPDATE audit SET actor = 'nobody' WHERE position = 3")
    assert "broken at entry 3" in said(capsys, "verify", "--data", str(data), code=FAILED)
    verdict = json.loads(said(capsys, "verify", "--data", str(data), "--json", code=FAILED))
    assert (verdict["fault"]["position"], verdict["fault"]["kind"]) == (3, "altered")


def test_a_cut_off_end_shows_against_a_backup(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "b.tar"
    back_up(data, backup)
    arguments = ("verify", "--data", str(data), "--backup", str(backup))
    assert "the chain is whole" in said(capsys, *arguments)
    tamper(data, "DELETE FROM audit WHERE position = (SELECT max(position) FROM audit)")
    assert "the chain is whole" in said(capsys, "verify", "--data", str(data))
    assert "the end was cut off" in said(capsys, *arguments, code=FAILED)


def test_an_export_is_verified_by_itself(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "export", "--data", str(data))
    export = tmp_path / "audit.jsonl"
    export.write_text(text, encoding="utf-8")
    assert "the chain is whole" in said(capsys, "verify", "--file", str(export))
    later = said(capsys, "export", "--data", str(data), "--after", "2")
    assert text.splitlines()[2:] == later.splitlines()
    export.write_text(text.replace("c-1", "c-7"), encoding="utf-8")
    assert "broken at entry" in said(capsys, "verify", "--file", str(export), code=FAILED)
    export.write_text("{}\n", encoding="utf-8")
    assert "line 1: this is no entry" in said(capsys, "verify", "--file", str(export), code=FAILED)


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
    arguments: tuple[str, ...], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in said(capsys, "verify", *arguments, code=code)


def test_a_running_controllers_directory_can_be_verified(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from seawall.clock import SystemClock
    from seawall.storage.sqlite import SqliteStore

    async def meanwhile() -> str:
        store = await SqliteStore.open(data / "seawall.db", SystemClock())
        try:
            return await asyncio.to_thread(said, capsys, "verify", "--data", str(data))
        finally:
            await store.close()

    assert "the chain is whole" in asyncio.run(meanwhile())
