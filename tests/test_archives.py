"""No archive goes to a host that could harm it, or whoever reads it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from seawall import archives
from seawall.archives import MANIFESTS, ArchiveRefused, check_archive, images_of


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 3) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size if kind == tarfile.REGTYPE else 0
    return found


def archive(*members: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b"x" * each.size))
    return packed.getvalue()


def put(directory: Path, content: bytes) -> Path:
    path = directory / "archive.tar"
    path.write_bytes(content)
    return path


HONEST = (
    member("./", tarfile.DIRTYPE),
    member("./etc/hosts"),
    member("etc/deep/link", tarfile.SYMTYPE, "../hosts"),
    member("other", tarfile.LNKTYPE, "etc/hosts"),
    member("a" * 200 + "/" + "b" * 200),
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_files_directories_and_links_within_are_taken(pack: type[bytes], tmp_path: Path) -> None:
    assert check_archive(put(tmp_path, pack(archive(*HONEST))), {"etc/hosts"}) == {"etc/hosts": b"xxx"}


@pytest.mark.parametrize(
    ("evil", "reason"),
    [
        (member("../outside"), "leads upwards"),
        (member("etc/../../outside"), "leads upwards"),
        (member("/etc/passwd"), "absolute name"),
        (member("out", tarfile.SYMTYPE, "/etc/passwd"), "outside"),
        (member("out", tarfile.SYMTYPE, "../x"), "outside"),
        (member("a/out", tarfile.SYMTYPE, "b/../../../x"), "outside"),
        (member("a/out", tarfile.LNKTYPE, "../x"), "outside"),
        (member("disk", tarfile.BLKTYPE), "device"),
        (member("zero", tarfile.CHRTYPE), "device"),
        (member("pipe", tarfile.FIFOTYPE), "pipe"),
    ],
    ids=lambda each: each.name if isinstance(each, tarfile.TarInfo) else "",
)
def test_a_member_that_leads_out_or_is_no_file_is_refused_by_its_name(
    evil: tarfile.TarInfo, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveRefused, match=reason) as caught:
        check_archive(put(tmp_path, archive(*HONEST, evil)))
    assert repr(evil.name) in str(caught.value)


def test_an_archive_with_too_many_members_or_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, archive(*(member(f"{number}") for number in range(20))))
    monkeypatch.setattr(archives, "MOST_MEMBERS", 20)
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", 60)
    check_archive(path)
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", 59)
    with pytest.raises(ArchiveRefused, match="'19' it has 60 bytes"):
        check_archive(path)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 19)
    with pytest.raises(ArchiveRefused, match="more than 19 members"):
        check_archive(path)


def test_a_size_that_no_disk_has_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = member("bomb", size=2**40).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(ArchiveRefused, match=r"bomb.*unpacked"):
        check_archive(put(tmp_path, header + bytes(1024)))


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    header = member("x", tarfile.XHDTYPE)
    header.size = 2**33
    with pytest.raises(ArchiveRefused, match="a header of the archive claims"):
        check_archive(put(tmp_path, header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive at all" * 100, gzip.compress(b"none inside"), archive(*HONEST)[:2000]],
    ids=["empty", "text", "packed text", "cut off"],
)
def test_what_is_no_whole_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused):
        check_archive(put(tmp_path, content))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = archive(member("first"), member("second"))
    damaged = whole[:1024] + b"!" + whole[1025:]
    with pytest.raises(ArchiveRefused, match="damaged after 'first'"):
        check_archive(put(tmp_path, damaged))


def test_the_images_of_an_archive_are_those_of_its_manifest(tmp_path: Path) -> None:
    digest = "a" * 64
    entry = {"Config": f"{digest}.json", "RepoTags": ["web:1"], "Layers": []}
    manifest = json.dumps([entry, {**entry, "Config": f"blobs/sha256/{digest}", "RepoTags": None}]).encode()
    found = images_of({"manifest.json": manifest})
    assert [(each.image_id, each.tags) for each in found] == [
        (f"sha256:{digest}", ("web:1",)),
        (f"sha256:{digest}", ()),
    ]
    assert images_of({"index.json": b"{}"}) == []
    for bad in (b"{", b"[1]", b'[{"Layers": []}]'):
        with pytest.raises(ArchiveRefused, match=r"manifest\.json"):
            images_of({"manifest.json": bad})
    with pytest.raises(ArchiveRefused, match="no archive of images"):
        images_of(check_archive(put(tmp_path, archive(*HONEST)), MANIFESTS))
