"""Is a data directory fit for a controller? What is measured, and what is made of it."""

from __future__ import annotations

import os
import stat
import statistics
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from seawall.clock import Clock
from seawall.files import free_bytes
from seawall.storage.directory import DATABASE_FILE
from seawall.storage.mounts import NETWORK_FILE_SYSTEMS

SLOW_SYNC_SECONDS = 0.05
LITTLE_BYTES = 1024**3
TOO_LITTLE_BYTES = 128 * 1024**2

_MEBIBYTE = 1024**2
_OLDEST_SQLITE = (3, 35, 0)
_WAL_RESET_FIXED = (3, 51, 3)
_WAL_RESET_FIXED_IN_BRANCH = {(3, 44): 6, (3, 50): 7}
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})
_DOUBTFUL_FILE_SYSTEMS = frozenset({"9p"})
_PROBES = 20
_PROBE_BYTES = b"\0" * 4096
_SECRETS = (
    "admin.token",
    f"{DATABASE_FILE}*",
    "authority/*.key",
    "agent/*.key",
    "simulated/*/*.key",
    "agent/ledger.db*",
    "simulated/*/ledger.db*",
)
_LOCAL_DISK = "choose a directory on a local disk with --data"


class Verdict(StrEnum):
    """What is made of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """What a check found; `advice` says what to do, and is there whenever the verdict is a warning or worse."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def check_sqlite(version: tuple[int, int, int]) -> Finding:
    """Whether this version of the SQLite library will do."""
    name, text = "SQLite", ".".join(map(str, version))
    if version < _OLDEST_SQLITE:
        return Finding(name, Verdict.FAILED, f"version {text}", "update SQLite to 3.51.3 or later")
    branch_fix = _WAL_RESET_FIXED_IN_BRANCH.get(version[:2])
    fixed = version >= _WAL_RESET_FIXED or (branch_fix is not None and version[2] >= branch_fix)
    if fixed:
        return Finding(name, Verdict.OK, f"version {text}")
    return Finding(
        name,
        Verdict.WARNING,
        f"version {text}, which can damage a database that two connections write or checkpoint at one instant",
        "let no other program write to the controller's database ('seawall backup' only reads), and update "
        "SQLite to 3.51.3 (or 3.50.7, 3.44.6)",
    )


def check_file_system(kind: str | None) -> Finding:
    """Whether a file system of this type can hold the data directory; None is an unknown one."""
    name = "file system"
    if kind is None:
        return Finding(name, Verdict.SKIPPED, "it can't be told which one it is")
    if kind in NETWORK_FILE_SYSTEMS:
        return Finding(
            name,
            Verdict.FAILED,
            f"{kind} is a network file system, where SQLite's locks and fsync can't be relied on",
            _LOCAL_DISK,
        )
    if kind in _DOUBTFUL_FILE_SYSTEMS:
        return Finding(
            name,
            Verdict.WARNING,
            f"{kind} is another system's, which may not keep SQLite's locks",
            _LOCAL_DISK,
        )
    if kind in _MEMORY_FILE_SYSTEMS:
        return Finding(
            name,
            Verdict.WARNING,
            f"{kind} is memory, and gone after the next start of the machine",
            _LOCAL_DISK,
        )
    return Finding(name, Verdict.OK, kind)


def check_sync(seconds: float) -> Finding:
    """Whether a write that takes so long to reach the disk is fast enough."""
    found = f"{seconds * 1000:.1f} ms for a small write to be safe on disk (median of {_PROBES})"
    if seconds <= SLOW_SYNC_SECONDS:
        return Finding("fsync", Verdict.OK, found)
    advice = "every command waits for that, so choose a faster disk with --data or see what else is writing to this one"
    return Finding("fsync", Verdict.WARNING, found, advice)


def check_free_space(free: int) -> Finding:
    """Whether so much free space is enough."""
    found = f"{free // _MEBIBYTE} MiB"
    if free >= LITTLE_BYTES:
        return Finding("free space", Verdict.OK, found)
    verdict = Verdict.WARNING if free >= TOO_LITTLE_BYTES else Verdict.FAILED
    return Finding("free space", verdict, found, "make room on this disk, or choose another one with --data")


def check_permissions(path: Path, *, directory: os.stat_result, user: int, exposed: list[Path]) -> Finding:
    """Whether only its owner can enter the directory; `exposed` are the secrets in it that others can read."""
    name, mode = "permissions", stat.S_IMODE(directory.st_mode)
    if not stat.S_ISDIR(directory.st_mode):
        return Finding(name, Verdict.FAILED, f"{path} isn't a directory", "choose another one with --data")
    if mode & 0o077:
        return Finding(
            name,
            Verdict.FAILED,
            f"{path} has mode {mode:04o}, so other users can enter it",
            f"run 'chmod 700 {path}'",
        )
    if exposed:
        names = " ".join(map(str, exposed))
        return Finding(
            name,
            Verdict.FAILED,
            "other users were given the right to read secrets",
            f"run 'chmod 600 {names}'",
        )
    if directory.st_uid != user:
        return Finding(
            name,
            # Root gets in anywhere, and then leaves files that the owner can't use.
            Verdict.FAILED if user else Verdict.WARNING,
            f"{path} belongs to user {directory.st_uid}, and this is user {user}",
            "run this and the controller as the user who owns it, or choose a directory of your own with --data",
        )
    return Finding(name, Verdict.OK, f"only user {user} can enter")


def diagnose_permissions(path: Path) -> Finding:
    """Look at the directory and the secrets in it."""
    try:
        directory = path.stat()
        exposed = [file for file in _secrets(path) if stat.S_IMODE(file.stat().st_mode) & 0o077]
    except FileNotFoundError:
        return Finding("permissions", Verdict.OK, f"{path} doesn't exist yet, and will be made private")
    except OSError as error:
        return unusable("permissions", path, error)
    return check_permissions(path, directory=directory, user=os.geteuid(), exposed=exposed)


def diagnose_sync(directory: Path, clock: Clock) -> Finding:
    """Write to a file in an existing directory, as durably as the controller does, and remove it."""
    try:
        return check_sync(_median_sync_seconds(directory, clock))
    except OSError as error:
        return unusable("fsync", directory, error)


def diagnose_free_space(directory: Path) -> Finding:
    """See how much room there is for this user in an existing directory."""
    try:
        return check_free_space(free_bytes(directory))
    except OSError as error:
        return unusable("free space", directory, error)


def nearest_directory(path: Path) -> Path:
    """The path itself if it is a directory, else the nearest one above it."""
    return next((each for each in (path, *path.parents) if os.path.isdir(each)), Path(path.anchor))


def unusable(check: str, path: Path, error: OSError) -> Finding:
    """The finding that the system didn't let us look."""
    return Finding(
        check,
        Verdict.FAILED,
        f"{path} can't be used: {error.strerror or error}",
        "choose a directory that this user may write to with --data, or give this user the right",
    )


def _secrets(path: Path) -> Iterator[Path]:
    for pattern in _SECRETS:
        yield from sorted(path.glob(pattern))


def _median_sync_seconds(directory: Path, clock: Clock) -> float:
    descriptor, name = tempfile.mkstemp(prefix=".seawall-probe-", dir=directory)
    try:
        took = []
        for _ in range(_PROBES):
            begin = clock.now()
            os.write(descriptor, _PROBE_BYTES)
            os.fdatasync(descriptor)
            took.append(clock.now() - begin)
    finally:
        os.close(descriptor)
        os.unlink(name)
    return statistics.median(took)
