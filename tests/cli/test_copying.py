"""An archive out of a container is unpacked whole, or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from seawall.cli.copying import unpack_file
from seawall.cli.exits import CliProblem


def archive(*members: tarfile.TarInfo) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return packed


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, 3 if kind == tarfile.REGTYPE else 0
    return found


def test_files_and_directories_are_unpacked(tmp_path: Path) -> None:
    packed = archive(member("etc", tarfile.DIRTYPE), member("etc/hosts"))
    assert unpack_file(packed, tmp_path) == 2
    assert (tmp_path / "etc" / "hosts").read_bytes() == b"xxx"


@pytest.mark.parametrize(
    "evil",
    [
        member("../outside"),
        member("etc/../../outside"),
        member("out", tarfile.SYMTYPE, "/etc/passwd"),
        member("out", tarfile.SYMTYPE, "../../outside"),
        member("out", tarfile.LNKTYPE, "../outside"),
        member("disk", tarfile.BLKTYPE),
        member("keys", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda each: f"{each.name} {each.linkname}",
)
def test_what_would_lie_elsewhere_or_is_a_device_is_refused_and_nothing_is_written(
    evil: tarfile.TarInfo, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(CliProblem, match="refused"):
        unpack_file(archive(member("innocent"), evil), target)
    assert list(tmp_path.rglob("*")) == [target]


def test_what_is_no_archive_and_where_no_directory_is_are_said(tmp_path: Path) -> None:
    with pytest.raises(CliProblem, match="can't be unpacked"):
        unpack_file(io.BytesIO(b"no archive at all" * 100), tmp_path)
    with pytest.raises(CliProblem, match="is no directory"):
        unpack_file(archive(), tmp_path / "nowhere")
