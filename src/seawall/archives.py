"""What a tar archive may hold that goes to a host: looked at before it is sent, and again before Docker has it."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, NamedTuple, cast

MOST_MEMBERS = 250_000
MOST_UNPACKED_BYTES = 32 * 1024**3
"""What all members of an archive have together at most, unpacked."""

LARGEST_READ_BYTES = 4 * 1024 * 1024
"""The most of an archive that is ever held: a longer header is no honest one's, and a longer captured file neither."""

MANIFESTS = frozenset({"manifest.json", "index.json"})
"""What an archive of images has, one at least: Docker's own list of them, and the one of the OCI."""

MOST_IMAGES = 100
"""Images in one archive at most."""

_CONFIG = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")
_GZIP = b"\x1f\x8b"


class ArchiveRefused(Exception):
    """An archive isn't one, or holds what it must not. The message names the member."""


def check_archive(path: Path, capture: Collection[str] = ()) -> dict[str, bytes]:
    """Look at every member; the contents of those that are named in `capture`. Takes as long as reading the file.

    Raises ArchiveRefused, and OSError if the file can't be read.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            if not packed:
                return _checked(file, capture)
            with gzip.open(file) as unpacked:
                return _checked(cast("IO[bytes]", unpacked), capture)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, UnicodeError, ValueError) as error:
        raise ArchiveRefused(f"this is no whole tar archive, plain or packed with gzip ({error})") from error


def check_member(member: tarfile.TarInfo) -> None:
    """One member by itself. Raises ArchiveRefused."""
    name = member.name
    if name.startswith("/"):
        raise ArchiveRefused(f"the member {_shown(name)} has an absolute name")
    if ".." in name.split("/"):
        raise ArchiveRefused(f"the name of the member {_shown(name)} leads upwards with '..'")
    if member.issym() or member.islnk():
        if _leads_out(member):
            raise ArchiveRefused(
                f"the member {_shown(name)} is a link to {_shown(member.linkname)}, which lies outside of the archive"
            )
    elif not (member.isreg() or member.isdir()):
        raise ArchiveRefused(
            f"the member {_shown(name)} is no file, directory or link but a device or a pipe"
        )


class ArchivedImage(NamedTuple):
    """An image of an archive, as its list of them says."""

    image_id: str
    tags: tuple[str, ...]


def images_of(captured: Mapping[str, bytes]) -> list[ArchivedImage]:
    """The images that an archive promises; none if only Docker can tell. `captured` are its MANIFESTS.

    Raises ArchiveRefused.
    """
    if not captured:
        raise ArchiveRefused("it has neither a manifest.json nor an index.json: it is no archive of images")
    try:
        entries = json.loads(captured.get("manifest.json", b"[]"))
        found = [
            ArchivedImage(f"sha256:{match[1]}", tuple(str(tag) for tag in entry.get("RepoTags") or ()))
            for entry in entries
            if (match := _CONFIG.fullmatch(str(entry["Config"]))) is not None
        ]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ArchiveRefused(f"its manifest.json isn't one ({type(error).__name__})") from error
    if len(found) > MOST_IMAGES:
        raise ArchiveRefused(f"it has {len(found)} images, and {MOST_IMAGES} are the most")
    return found


class _Guarded:
    """A file for `tarfile` that gives it no more at once than an honest archive needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int = -1) -> bytes:
        """As of any file. Raises ArchiveRefused."""
        if not 0 <= size <= LARGEST_READ_BYTES:
            raise ArchiveRefused(f"a header of the archive claims {size} bytes")
        return self._file.read(size)


def _checked(file: IO[bytes], capture: Collection[str]) -> dict[str, bytes]:
    captured: dict[str, bytes] = {}
    members = size = 0
    last = "its beginning"
    guarded = _Guarded(file)
    with tarfile.open(fileobj=cast("IO[bytes]", guarded), mode="r:") as archive:
        while (member := archive.next()) is not None:
            # It would keep all of them.
            archive.members.clear()  # type: ignore[attr-defined]  # it is documented, and typeshed has no word of it
            check_member(member)
            members, size, last = members + 1, size + member.size, _shown(member.name)
            if members > MOST_MEMBERS:
                raise ArchiveRefused(f"it has more than {MOST_MEMBERS} members; {last} is one too many")
            if size > MOST_UNPACKED_BYTES or member.size < 0:
                raise ArchiveRefused(
                    f"with the member {last} it has {size} bytes unpacked, the limit is {MOST_UNPACKED_BYTES}"
                )
            name = member.name.removeprefix("./")
            if name in capture and member.isreg():
                captured[name] = _content(archive, member)
        # `tarfile` takes a damaged header for the end; whoever unpacks it may not.
        guarded.seek(archive.offset)
        if guarded.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise ArchiveRefused(f"it is damaged after {last}")
    return captured


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST_READ_BYTES:
        raise ArchiveRefused(
            f"the member {_shown(member.name)} has {member.size} bytes, too many for what it is"
        )
    opened = archive.extractfile(member)
    return opened.read() if opened is not None else b""


def _leads_out(member: tarfile.TarInfo) -> bool:
    target = member.linkname
    if target.startswith("/"):
        return True
    # A hard link is named from the archive's root on, a symbolic one from where it lies.
    depth = 0 if member.islnk() else len(_parts(member.name)) - 1
    for part in _parts(target):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _shown(name: str) -> str:
    return repr(name[:256])
