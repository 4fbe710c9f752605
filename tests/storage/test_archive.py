"""A file that isn't a whole backup is refused, and nothing of it is left behind."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.storage.archive import FORMAT, LARGEST_SMALL_BYTES, BackupError
from seawall.storage.restore import restore_backup, verify_backup
from tests.storage.backups import Members, members_of, sealed


def refused(backup: Path, target: Path) -> str:
    """The sentence with which both a check and a restore refuse it; nothing is left behind."""
    before = sorted(backup.parent.iterdir())
    with pytest.raises(BackupError) as checked:
        verify_backup(backup)
    with pytest.raises(BackupError) as restored:
        restore_backup(backup, target)
    assert str(restored.value) == str(checked.value)
    assert sorted(backup.parent.iterdir()) == before
    return str(restored.value)


def test_a_backup_that_is_cut_off_anywhere_is_refused(whole: bytes, tmp_path: Path) -> None:
    backup = tmp_path / "b.tar"
    for size in (0, 1, 511, 512, 700, 5000, 20_480, len(whole) // 2, len(whole) - 10_240, len(whole) - 1):
        backup.write_bytes(whole[:size])
        assert "b.tar" in refused(backup, tmp_path / "restored")


def test_a_single_changed_bit_anywhere_is_noticed(whole: bytes, tmp_path: Path) -> None:
    """In each member's header, content and padding, and behind the end."""
    backup = tmp_path / "b.tar"
    places = [len(whole) - 1, len(whole) - 10_000]
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        for number, member in enumerate(tar):
            header = [0, 99, 101, 130, 140, 150, 155, 156, 258, 264, 400, 511][number % 3 :: 3]
            end = member.offset_data + member.size
            places += [*(member.offset + place for place in header), member.offset_data, end - 1]
            places += [end] if member.size % 512 else []
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1
        backup.write_bytes(changed)
        with pytest.raises(BackupError):
            verify_backup(backup)


def test_something_behind_the_end_is_refused(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(whole + bytes(10_240))
    assert "end" in refused(tmp_path / "b.tar", tmp_path / "restored")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\0" * 20_480, b"SQLite format 3\0" * 1000, b"\x1f\x8b" * 9000]
)
def test_what_is_no_backup_is_called_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    assert "isn't a backup of Seawall" in refused(tmp_path / "b.tar", tmp_path / "restored")


def test_neither_a_pipe_nor_a_directory_nor_nothing_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory", "nothing"):
        with pytest.raises(BackupError, match=name):
            verify_backup(tmp_path / name)
        with pytest.raises(BackupError, match=name):
            restore_backup(tmp_path / name, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_newer_form_of_backup_names_the_version_that_made_it(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(
        sealed(members_of(whole), format=FORMAT + 1, seawall="9.8.7", contents=["new"])
    )
    assert "9.8.7" in refused(tmp_path / "b.tar", tmp_path / "restored")


def test_newer_tables_name_the_version_that_made_them(whole: bytes, tmp_path: Path) -> None:
    members = members_of(whole)
    contents = json.loads(members["manifest.json"])["contents"] | {"schema": "9999"}
    (tmp_path / "b.tar").write_bytes(sealed(members, contents=contents, seawall="9.8.7"))
    sentence = refused(tmp_path / "b.tar", tmp_path / "restored")
    assert "9999" in sentence
    assert "9.8.7" in sentence


def test_the_helper_of_these_tests_writes_what_a_backup_is(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(sealed(members_of(whole)))
    assert verify_backup(tmp_path / "b.tar").seawall == "1.2.3"


def drop_key(members: Members) -> None:
    del members["authority/ca.key"]


def add_stranger(members: Members) -> None:
    members["authority/../../escaped"] = b"x"


def add_absolute(members: Members) -> None:
    members["/tmp/escaped"] = b"x"  # noqa: S108  # is refused


def bloat_token(members: Members) -> None:
    members["admin.token"] = b"x" * (LARGEST_SMALL_BYTES + 1)


def swap_key(members: Members) -> None:
    members["authority/ca.key"] = members["authority/server.key"]


def spoil_key(members: Members) -> None:
    members["authority/ca.key"] = b"no key"


def spoil_database(members: Members) -> None:
    content = bytearray(members["seawall.db"])
    content[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    members["seawall.db"] = bytes(content)


def no_database(members: Members) -> None:
    members["seawall.db"] = b"no database" * 1000


@pytest.mark.parametrize(
    "change",
    [drop_key, add_stranger, add_absolute, bloat_token, swap_key, spoil_key, spoil_database, no_database],
)
def test_a_backup_that_was_tampered_with_is_refused_even_where_its_sums_are_right(
    whole: bytes, tmp_path: Path, change: Callable[[Members], None]
) -> None:
    members = members_of(whole)
    change(members)
    (tmp_path / "b.tar").write_bytes(sealed(members))
    assert "b.tar" in refused(tmp_path / "b.tar", tmp_path / "restored")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, b"S", b"x", b"L"]
)
def test_a_member_that_is_no_plain_file_is_refused(whole: bytes, tmp_path: Path, kind: bytes) -> None:
    changed = bytearray(whole)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        member = tar.getmember("authority/ca.key")
    member.type, member.linkname = kind, "/etc/passwd"
    changed[member.offset : member.offset + 512] = member.tobuf(tarfile.GNU_FORMAT)[:512]
    (tmp_path / "b.tar").write_bytes(changed)
    assert "damaged" in refused(tmp_path / "b.tar", tmp_path / "restored")
