"""Files that must be whole and that others must not read: keys, tokens, identities, databases."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

READING, CHANGING = 0o077, 0o022
"""What others may do with a file, as bits of its mode; whoever must not read it must not change it either."""
_MOST_BYTES = 64 * 1024

LOOK_SECONDS: Final = 0.1
"""How long one look at the free space serves."""


class Exposed(Exception):
    """Others may do with a file what only its owner should. The message says which file, and what to do about that."""


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in place whole and durably; it never exists with wider permissions than `mode`.

    Raises OSError; whatever was at `path` is then still there.
    """
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)  # left by a crash
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    sync_directory(path.parent)


def read_small(path: Path, *, kept_from: int = 0) -> bytes | None:
    """The content of a file, None if there is none; of more than 64 KiB only the beginning.

    `kept_from` is what others must not be able to do with it: READING or CHANGING. Raises OSError and Exposed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & kept_from:
            done = "read or changed" if kept_from == READING else "changed"
            raise Exposed(f"{path} can be {done} by other users (mode {mode:04o}): run 'chmod 600 {path}'")
        return file.read(_MOST_BYTES)


def make_private(path: Path) -> None:
    """Make an empty file, durably, unless there is one; in any case only its owner may use it. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make durable which files a directory holds. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Room:
    """What a disk has beside its reserve, for those who ask at every beginning."""

    def __init__(self, free_bytes: Callable[[], int], reserve_bytes: int, now: Callable[[], float]) -> None:
        """`free_bytes` asks the disk, `now` is monotonic time."""
        self.free_bytes = free_bytes
        self._reserve_bytes = reserve_bytes
        self._now = now
        self._look_at = float("-inf")
        self._left = True

    @property
    def left(self) -> bool:
        """Whether something may begin, whose end has to find room as well. Raises OSError."""
        now = self._now()
        if now >= self._look_at:
            self._look_at, self._left = now + LOOK_SECONDS, self.free_bytes() >= self._reserve_bytes
        return self._left


def free_bytes(directory: Path) -> int:
    """How much room the disk of a directory has for this user. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize
