"""The controller's data directory: private, and used by one controller at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from seawall.storage.mounts import MOUNT_TABLE, NETWORK_FILE_SYSTEMS, file_system

LOCK_FILE = "controller.lock"
DATABASE_FILE = "seawall.db"


class DataDirectoryError(Exception):
    """The data directory can't be used. The message says what is wrong, where, and what to do."""


class DataDirectoryInUse(DataDirectoryError):
    """Another controller uses the data directory."""


class DataDirectory:
    """A data directory that is ours until `close`. Also a context manager."""

    def __init__(self, path: Path, lock: int) -> None:
        """Use `open`."""
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path, mount_table: Path = MOUNT_TABLE) -> DataDirectory:
        """Make the directory (mode 0700) if there is none, and take it. Raises DataDirectoryError.

        `mount_table` says what is mounted where; what it doesn't tell is taken for a local disk.
        """
        path = path.absolute()
        _refuse_network(path, mount_table)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(path)
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataDirectoryError(
                f"the data directory {path} can't be made, because {error.filename} is a file; choose another one "
                "with --data"
            ) from error
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            _take(path, lock)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock)

    @property
    def database(self) -> Path:
        """Where the database lies."""
        return self.path / DATABASE_FILE

    def close(self) -> None:
        """Let another controller have it. The lock file stays: removing it could break a lock just taken."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_network(path: Path, mount_table: Path) -> None:
    kind = file_system(path, mount_table)
    if kind in NETWORK_FILE_SYSTEMS:
        raise DataDirectoryError(
            f"the data directory {path} is on a network file system ({kind}), where SQLite's locks and fsync can't be "
            "relied on, so accepted commands could be lost; choose a directory on a local disk with --data"
        )


def _make_private(path: Path) -> None:
    """Close a directory of ours to other users; one that serves other purposes too is left alone and refused."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return
    entries = {entry.name for entry in path.iterdir()}
    if entries and LOCK_FILE not in entries:
        raise DataDirectoryError(
            f"other users can enter the data directory {path} (mode {mode:04o}), and it holds files that aren't "
            f"Seawall's; choose a directory of its own with --data, or run 'chmod 700 {path}'"
        )
    path.chmod(0o700)


def _take(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        who = f" (process {holder})" if holder.isdigit() else ""
        raise DataDirectoryInUse(
            f"another controller{who} uses the data directory {path}; stop it first, or choose another directory "
            "with --data"
        ) from error
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> DataDirectoryError:
    return DataDirectoryError(
        f"the data directory {path} can't be used: {error.strerror or error}; choose a directory that this user may "
        "write to with --data, or give this user the right"
    )
