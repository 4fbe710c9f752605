"""The file of a backup: a plain tar of known members, read as if a stranger had written it."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from seawall.engine.alert_settings import ALERT_FILE
from seawall.engine.remediation_settings import REMEDIATION_FILE
from seawall.files import sync_directory
from seawall.storage.directory import DATABASE_FILE

FORMAT = 2
"""The first had none of what people write but `seawall.toml`."""
AUTHORITY_DIRECTORY = "authority"
VAULT_KEY = "secrets.key"
"""Opens what is sealed in the database."""
CA_KEY, CA_CERTIFICATE = f"{AUTHORITY_DIRECTORY}/ca.key", f"{AUTHORITY_DIRECTORY}/ca.pem"
SERVER_KEY, SERVER_CERTIFICATE = f"{AUTHORITY_DIRECTORY}/server.key", f"{AUTHORITY_DIRECTORY}/server.pem"
REQUIRED = (CA_KEY, CA_CERTIFICATE, DATABASE_FILE)
"""What no backup is without."""
WRITTEN_BY_PEOPLE = ("seawall.toml", "policy.toml", ALERT_FILE, REMEDIATION_FILE)
OPTIONAL = (SERVER_KEY, SERVER_CERTIFICATE, VAULT_KEY, "admin.token", *WRITTEN_BY_PEOPLE)
"""What a controller can make again, or needn't have."""
LARGEST_SMALL_BYTES = 256 * 1024
"""How large any member but the database may be."""

_MANIFEST, _DIGEST = "manifest.json", "manifest.sha256"
_CHUNK_BYTES = 1024 * 1024


class BackupError(Exception):
    """No backup was made, or it can't be used. The message says what is wrong, with what, and what to do."""


class BadArchive(BackupError):
    """The file isn't a backup as Seawall writes them, or not a whole one."""


class Member(Struct, frozen=True):
    """A file in a backup."""

    size_bytes: int
    sha256: str


class Contents(Struct, frozen=True):
    """What a database holds; `schema` is the version of its tables.

    `audit_head` is the POSITION:HASH of the last entry of its audit log; "" where there was none yet.
    """

    schema: str
    controller_id: str
    term: int
    commands: int
    open_commands: int
    agents: int
    audit_head: str = ""


class Manifest(Struct, frozen=True):
    """What a backup is. `seawall` is the version that made it, `members` are in the order of the file."""

    format: int
    seawall: str
    made_at: datetime
    contents: Contents
    members: dict[str, Member]


class _Format(Struct):
    format: int
    seawall: str = "of a later version"


def member_of(path: Path) -> Member:
    """The entry of a file. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Member(file.tell(), digest)


def write_archive(file: BinaryIO, manifest: Manifest, directory: Path) -> None:
    """Write the manifest and its members, which lie in the directory. Raises OSError."""
    described = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    # As sha256sum writes and reads it.
    digest = f"{hashlib.sha256(described).hexdigest()}  {_MANIFEST}\n".encode()
    moment = int(manifest.made_at.timestamp())
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in ((_MANIFEST, described), (_DIGEST, digest)):
            tar.addfile(_header(name, len(content), moment), BytesIO(content))
        for name, member in manifest.members.items():
            with (directory / name).open("rb") as source:
                tar.addfile(_header(name, member.size_bytes, moment), source)


@contextmanager
def open_archive(path: Path) -> Iterator[BinaryIO]:
    """Open a file that should be a backup. Raises OSError and BadArchive."""
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BadArchive(f"{path} isn't a file; name the file that 'seawall backup' wrote")
        yield file


def unpack(file: BinaryIO, directory: Path) -> Manifest:
    """Put the members into an empty private directory, durably, each with mode 0600. Raises BadArchive and OSError.

    Whatever isn't byte for byte as `write_archive` writes it is refused: other names, links, sizes, anything behind
    the end. What was written until then is the caller's to remove.
    """
    manifest = _read_manifest(file)
    for name, member in manifest.members.items():
        size = _next_size(file, name)
        if size != member.size_bytes:
            raise _damaged(file, f"{name} hasn't the size that the manifest says")
        target = directory / name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as copy:
            digest = hashlib.sha256()
            for chunk in _chunks(file, name, size):
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(descriptor)
        if digest.hexdigest() != member.sha256:
            raise _damaged(file, f"{name} isn't what was backed up")
    _read_end(file)
    for each in (directory / AUTHORITY_DIRECTORY, directory):
        sync_directory(each)
    return manifest


def _read_manifest(file: BinaryIO) -> Manifest:
    try:
        described = _read_small(file, _MANIFEST)
    except BadArchive as error:
        raise BadArchive(
            f"{file.name} isn't a backup of Seawall, or its beginning is damaged; name the file that 'seawall backup' "
            "wrote"
        ) from error
    digest = _read_small(file, _DIGEST)
    if digest != f"{hashlib.sha256(described).hexdigest()}  {_MANIFEST}\n".encode():
        raise _damaged(file, f"{_MANIFEST} isn't what was backed up")
    try:
        found = msgspec.json.decode(described, type=_Format)
        if found.format > FORMAT:
            raise BadArchive(
                f"a newer Seawall ({found.seawall}) wrote {file.name}, in a form that this one doesn't know; use that "
                "version or a later one"
            )
        manifest = msgspec.json.decode(described, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(file, f"{_MANIFEST} can't be read ({error})") from error
    names = set(manifest.members)
    if not set(REQUIRED) <= names <= {*REQUIRED, *OPTIONAL}:
        raise _damaged(file, "it hasn't the members of a backup")
    sizes = {name: member.size_bytes for name, member in manifest.members.items()}
    whole = os.fstat(file.fileno()).st_size
    if any(
        not 0 <= size <= (whole if name == DATABASE_FILE else LARGEST_SMALL_BYTES)
        for name, size in sizes.items()
    ):
        raise _damaged(file, "it is cut off, or one of its members is larger than can be")
    return manifest


def _read_small(file: BinaryIO, name: str) -> bytes:
    size = _next_size(file, name)
    if size > LARGEST_SMALL_BYTES:
        raise _damaged(file, f"{name} is larger than can be")
    return b"".join(_chunks(file, name, size))


def _next_size(file: BinaryIO, name: str) -> int:
    """Read a header that has to be this member's, and say how many bytes follow."""
    block = file.read(tarfile.BLOCKSIZE)
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        ours = _header(name, header.size, int(header.mtime))
        if header.size >= 0 and ours.tobuf(tarfile.GNU_FORMAT) == block:
            return header.size
    except (tarfile.HeaderError, ValueError) as error:
        raise _damaged(file, f"{name} is missing or its header is damaged") from error
    raise _damaged(file, f"something else stands where {name} should")


def _chunks(file: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    """A member's content, and after it the padding, which must be empty."""
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise _damaged(file, f"it is cut off in {name}")
        left -= len(chunk)
        yield chunk
    padding = -size % tarfile.BLOCKSIZE
    if file.read(padding) != bytes(padding):
        raise _damaged(file, f"{name} isn't followed by what should follow")


def _open_at_once(path: str, flags: int) -> int:
    # Whoever named a pipe would wait for ever.
    return os.open(path, flags | os.O_NONBLOCK)


def _read_end(file: BinaryIO) -> None:
    most = tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE
    rest = file.read(most + 1)
    if (
        rest.strip(b"\0")
        or not 2 * tarfile.BLOCKSIZE <= len(rest) <= most
        or file.tell() % tarfile.RECORDSIZE
    ):
        raise _damaged(file, "it doesn't end as it should")


def _header(name: str, size: int, moment: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, moment, 0o600
    return header


def _damaged(file: BinaryIO, what: str) -> BadArchive:
    return BadArchive(
        f"the backup {file.name} is damaged: {what}; use another backup, or another copy of this one"
    )
