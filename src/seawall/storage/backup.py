"""Makes a backup of a data directory, also while a controller uses it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from seawall.files import sync_directory
from seawall.storage.archive import (
    AUTHORITY_DIRECTORY,
    FORMAT,
    LARGEST_SMALL_BYTES,
    OPTIONAL,
    REQUIRED,
    BackupError,
    Manifest,
    member_of,
    write_archive,
)
from seawall.storage.directory import DATABASE_FILE
from seawall.storage.keys import check_authority
from seawall.storage.snapshot import examine, take_snapshot

_ARCHIVE = "backup"


def make_backup(data: Path, target: Path, *, made_at: datetime, version: str) -> Manifest:
    """Write everything that makes this controller itself into one file (mode 0600), durably and whole or not at all.

    `version` is this Seawall's. A file that is there already is never replaced. Raises BackupError.
    """
    data, target = data.absolute(), target.absolute()
    if os.path.lexists(target):
        raise BackupError(
            f"{target} exists already; name a file that doesn't, so that no earlier backup is lost"
        )
    if not (data / DATABASE_FILE).is_file():
        raise BackupError(
            f"there is no controller's database in {data}; name the data directory of the controller with --data"
        )
    try:
        # Beside the target, so that it can be put in place in one step.
        with TemporaryDirectory(prefix=".seawall-backup-", dir=target.parent) as staging:
            manifest = _collect(data, Path(staging), made_at, version)
            unfinished = Path(staging, _ARCHIVE)
            with open(
                os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            ) as file:
                write_archive(file, manifest, Path(staging))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(target)
            sync_directory(target.parent)
    except OSError as error:
        raise BackupError(
            f"the backup {target} can't be written: {error.strerror or error}; choose a place that has room and that "
            "this user may write to"
        ) from error
    return manifest


def _collect(data: Path, staging: Path, made_at: datetime, version: str) -> Manifest:
    """Copy all members, so that what is described is what will be written."""
    (staging / AUTHORITY_DIRECTORY).mkdir(mode=0o700)
    take_snapshot(data / DATABASE_FILE, staging / DATABASE_FILE)
    contents = examine(staging / DATABASE_FILE, f"the database {data / DATABASE_FILE}")
    small = [name for name in (*REQUIRED, *OPTIONAL) if name != DATABASE_FILE]
    # The database comes last: whoever only wants to know what a backup is needn't read through it.
    names = [name for name in small if _copy(data / name, staging / name)] + [DATABASE_FILE]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BackupError(
            f"{data} has no {missing[0]}, without which no agent would know the controller again; name the data "
            "directory of a controller that has run with --data, or restore that file first"
        )
    check_authority(staging, str(data))
    members = {name: member_of(staging / name) for name in names}
    return Manifest(FORMAT, version, made_at, contents, members)


def _copy(source: Path, target: Path) -> bool:
    """Copy a small file; whether there is one."""
    try:
        with source.open("rb") as file:
            content = file.read(LARGEST_SMALL_BYTES + 1)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BackupError(
            f"{source} can't be read: {error.strerror or error}; run this as the user who owns it"
        ) from error
    if len(content) > LARGEST_SMALL_BYTES:
        raise BackupError(
            f"{source} is larger than such a file can be; see what it is, and put it right first"
        )
    target.write_bytes(content)
    return True
