"""Files that must be whole and that others must not read: keys, tokens, identities, databases."""

from __future__ import annotations

import os
from pathlib import Path


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


def free_bytes(directory: Path) -> int:
    """How much room the disk of a directory has for this user. Raises OSError."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize
