"""Checks a backup, and makes an empty data directory the controller's again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from seawall.files import sync_directory, write_whole
from seawall.storage.archive import (
    BackupError,
    Manifest,
    open_archive,
    unpack,
)
from seawall.storage.directory import DATABASE_FILE, LOCK_FILE, DataDirectory
from seawall.storage.keys import check_authority
from seawall.storage.mounts import MOUNT_TABLE
from seawall.storage.restored import mark_restored
from seawall.storage.snapshot import examine, known_schemas

_STAGING = "restore.unfinished"
# What is left of a restore that was killed before it began. The second is the placeholder on its way.
_NOTHING = {LOCK_FILE, f"{DATABASE_FILE}.new"}
# In the database's place until everything else is there: no controller starts with it, and so none begins a life of its
# own in a directory that is half restored.
_PLACEHOLDER = b"A restore was interrupted here: run 'seawall restore' again.\n"


def verify_backup(path: Path) -> Manifest:
    """Check a backup as a restore would, without changing anything. Raises BackupError."""
    try:
        with TemporaryDirectory(prefix="seawall-verify-") as staging:
            return _unpack_checked(path, Path(staging))
    except OSError as error:
        raise BackupError(
            f"{path} can't be checked: {error.strerror or error}; see that this user may read it, and that the "
            "directory for temporary files (TMPDIR) has room"
        ) from error


def restore_backup(path: Path, data: Path, mount_table: Path = MOUNT_TABLE) -> Manifest:
    """Restore into a data directory that doesn't exist or is empty, durably and all of it or nothing.

    One that an interrupted restore left is cleared first. Raises BackupError and DataDirectoryError.
    """
    data = data.absolute()
    made = [each for each in (data, *data.parents) if not os.path.lexists(each)]
    if not (data / LOCK_FILE).exists():
        # Before a lock file of ours is in it.
        _refuse_occupied(data)
    with DataDirectory.open(data, mount_table) as directory:
        _refuse_occupied(data)
        try:
            with _all_or_nothing(data, made):
                _clear(data)
                write_whole(directory.database, _PLACEHOLDER)
                staging = data / _STAGING
                staging.mkdir(mode=0o700)
                manifest = _unpack_checked(path, staging)
                _put_in_place(manifest, staging, data)
                for each in made:
                    sync_directory(each.parent)
        except OSError as error:
            raise BackupError(
                f"{path} can't be restored to {data}: {error.strerror or error}; see that this user may read the one "
                "and write to the other, and that there is room"
            ) from error
    return manifest


def _unpack_checked(path: Path, staging: Path) -> Manifest:
    with open_archive(path) as file:
        manifest = unpack(file, staging)
    if manifest.contents.schema not in known_schemas():
        raise BackupError(
            f"a newer Seawall made the backup {path}: its tables have version {manifest.contents.schema}; use Seawall "
            f"{manifest.seawall} or later"
        )
    contents = examine(staging / DATABASE_FILE, f"the database in {path}")
    if (contents.schema, contents.controller_id) != (
        manifest.contents.schema,
        manifest.contents.controller_id,
    ):
        raise BackupError(
            f"the database in {path} isn't the one that its manifest tells of; use another backup"
        )
    check_authority(staging, str(path))
    return manifest


def _put_in_place(manifest: Manifest, staging: Path, data: Path) -> None:
    for name in dict.fromkeys(name.partition("/")[0] for name in manifest.members):
        if name != DATABASE_FILE:
            (staging / name).rename(data / name)
    sync_directory(data)
    mark_restored(staging / DATABASE_FILE)
    (staging / DATABASE_FILE).replace(data / DATABASE_FILE)
    staging.rmdir()
    sync_directory(data)


def _refuse_occupied(data: Path) -> None:
    try:
        names = {each.name for each in data.iterdir()} - _NOTHING
        interrupted = _is_interrupted(data)
    except (FileNotFoundError, NotADirectoryError):
        # What isn't there is free; what isn't a directory is told of when it is opened.
        return
    except OSError as error:
        raise BackupError(
            f"the data directory {data} can't be read: {error.strerror or error}; choose one that this user may write "
            "to with --data"
        ) from error
    if names and not interrupted:
        raise BackupError(
            f"{data} isn't empty, and a restore never overwrites anything; choose an empty directory with --data, or "
            "stop the controller and move this one aside"
        )


def _is_interrupted(data: Path) -> bool:
    try:
        with (data / DATABASE_FILE).open("rb") as file:
            return file.read(len(_PLACEHOLDER) + 1) == _PLACEHOLDER
    except FileNotFoundError:
        return False


def _clear(data: Path) -> None:
    """Remove what an interrupted restore left; the placeholder last, which tells that it was one."""
    for each in sorted(data.iterdir(), key=lambda each: each.name == DATABASE_FILE):
        if each.name != LOCK_FILE:
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


@contextmanager
def _all_or_nothing(data: Path, made: list[Path]) -> Iterator[None]:
    """Leave the directory empty when this fails, and don't leave the directories that were made for it."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            _clear(data)
            if made:
                # Nobody else can have taken it: where the lock isn't at its path, the directory isn't either.
                (data / LOCK_FILE).unlink()
            for each in made:
                each.rmdir()
        raise
