"""What is sent to a host as an archive: a file or directory, an archive that is there, the context of a build.

The same files make the same bytes, so that an upload that was given up is gone on with, by whoever begins it again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from msgspec import Struct

from seawall.archives import ArchiveRefused, check_archive, check_member
from seawall.operations.operation import Upload
from seawall.operations.uploads import LARGEST_BYTES

STDIN = "-"
"""Stands for an archive that comes through stdin."""
IGNORE_FILE = ".dockerignore"

Source = str | os.PathLike[str]
"""A path, or STDIN."""

_READ_BYTES = 1024 * 1024


class SourceRefused(ValueError):
    """What was to be sent can't be. The message says what, and why."""


class Parcel(Struct, frozen=True):
    """An archive that is ready to be sent."""

    path: Path
    archive: str
    size: int

    @property
    def arguments(self) -> dict[str, object]:
        """What names it in a command."""
        return {"archive": self.archive, "size": self.size}


@contextmanager
def packed(kind: Upload, source: str, *, dockerfile: str = "Dockerfile") -> Iterator[Parcel]:
    """The archive that a source makes, as long as it is needed. Blocks. Raises SourceRefused.

    A source of FILES that ends with "/." means what is in the directory, not the directory itself.
    """
    with ExitStack() as stack:
        try:
            if kind is Upload.IMAGES and source != STDIN:
                parcel = _measured(Path(source))
            else:
                file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="seawall-"))
                _fill(file, kind, source, dockerfile)
                file.flush()
                parcel = _measured(Path(file.name), f"what was made of {source}")
        except OSError as error:
            text = f"{error.filename or source} can't be read: {error.strerror or error}"
            raise SourceRefused(text) from error
        yield parcel


def _fill(file: IO[bytes], kind: Upload, source: str, dockerfile: str) -> None:
    if source == STDIN:
        _copy(sys.stdin.buffer, file)
        return
    root = Path(source)
    keep = Ignored.of(root, dockerfile) if kind is Upload.CONTEXT else None
    if kind is Upload.CONTEXT and not root.is_dir():
        raise SourceRefused(f"{source} is no directory: the context of a build is one")
    if kind is Upload.CONTEXT and not (root / dockerfile).is_file():
        raise SourceRefused(f"{root / dockerfile} isn't there: name the build's file with --file")
    inside = keep is not None or source.endswith("/.") or source == "."
    with tarfile.open(fileobj=file, mode="w") as archive:
        try:
            if inside:
                _add_children(archive, root, "", keep)
            else:
                _add(archive, root, root.resolve().name if root.name in ("", "..") else root.name, keep)
        except ArchiveRefused as error:
            raise SourceRefused(f"{source} can't be sent: {error}") from error


def _add_children(archive: tarfile.TarFile, directory: Path, name: str, keep: Ignored | None) -> None:
    for entry in sorted(os.listdir(directory)):
        _add(archive, directory / entry, f"{name}/{entry}" if name else entry, keep)


def _add(archive: tarfile.TarFile, path: Path, name: str, keep: Ignored | None) -> None:
    ignored = keep is not None and keep.is_ignored(name)
    member = _member(path, name)
    if not ignored:
        check_member(member)
        if member.isreg():
            with path.open("rb") as file:
                archive.addfile(member, file)
        else:
            archive.addfile(member)
    if member.isdir() and (keep is None or not ignored or keep.has_exceptions_below(name)):
        _add_children(archive, path, name, keep)


def _member(path: Path, name: str) -> tarfile.TarInfo:
    """A file as it is packed. Who owns it here means nothing there: it is root's."""
    found, member = path.lstat(), tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISREG(found.st_mode):
        member.size = found.st_size
    elif stat.S_ISDIR(found.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    else:
        member.type = tarfile.FIFOTYPE  # or a device or a socket: the check says that it is none of ours
    return member


class Ignored:
    """What a .dockerignore keeps out: the last pattern that fits a path decides, and all are meant from the top on."""

    def __init__(self, patterns: Sequence[str], always: Sequence[str] = ()) -> None:
        """`always` are files that are never kept out."""
        from pathspec import PathSpec

        self._exceptions = any(pattern.startswith("!") for pattern in patterns)
        self._always = frozenset(always)
        self._spec = PathSpec.from_lines("gitignore", patterns)

    @classmethod
    def of(cls, directory: Path, dockerfile: str) -> Ignored:
        """The one of a directory; what Docker itself has to read is never kept out. Raises OSError."""
        file = directory / IGNORE_FILE
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        patterns = [pattern for line in lines if (pattern := _rooted(line)) is not None]
        return cls(patterns, (IGNORE_FILE, dockerfile))

    def is_ignored(self, name: str) -> bool:
        """Whether a path, named from the directory on, is kept out."""
        if name in self._always:
            return False
        ignored, parts = False, name.split("/")
        # As Docker has it: whatever keeps out a directory keeps out what is in it.
        paths = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        for pattern in self._spec.patterns:
            if pattern.include is not None and any(pattern.match_file(path) for path in paths):
                ignored = pattern.include
        return ignored

    def has_exceptions_below(self, name: str) -> bool:
        """Whether something in a directory that is kept out may be none of it."""
        return self._exceptions or any(each.startswith(f"{name}/") for each in self._always)


def _rooted(line: str) -> str | None:
    """A line as a pattern that is anchored: Docker means all of them so, whether they have a slash or not."""
    if line.startswith("#"):
        return None
    text = line.strip()
    exception, text = text.startswith("!"), text.removeprefix("!").strip()
    if not text:
        return None
    path = os.path.normpath(text).lstrip("/")
    if path in ("", "."):
        return None
    return f"{'!' if exception else ''}/{path}"


def _measured(path: Path, what: str | None = None) -> Parcel:
    shown = what or str(path)
    try:
        check_archive(path)
    except ArchiveRefused as error:
        raise SourceRefused(f"{shown} can't be sent: {error}") from error
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            found.update(data)
        size = file.tell()
    if size > LARGEST_BYTES:
        raise SourceRefused(f"{shown} has {size} bytes, and a host takes {LARGEST_BYTES} at most")
    return Parcel(path, found.hexdigest(), size)


def _copy(source: BinaryIO, target: IO[bytes]) -> None:
    size = 0
    while data := source.read(_READ_BYTES):
        size += len(data)
        if size > LARGEST_BYTES:
            raise SourceRefused(
                f"what comes through stdin is more than the {LARGEST_BYTES} bytes a host takes"
            )
        target.write(data)
