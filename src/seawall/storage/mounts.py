"""Which file system holds a path, as Linux tells it in /proc/self/mountinfo."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

MOUNT_TABLE = Path("/proc/self/mountinfo")

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.curlftpfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
    }
)
"""Types whose locks or fsync depend on another machine, or don't exist."""

_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNT_POINT = 4
_OPTIONAL_FIELDS = 6
_END_OF_OPTIONAL_FIELDS = "-"


def file_system_of(table: str, path: PurePath) -> str | None:
    """The type of the mount that holds an absolute path without links, from the text of a mountinfo; None if unknown.

    The longest mount point above the path holds it, and of those mounted at one place the last. Lines that can't be
    read are passed over.
    """
    found: tuple[int, str] | None = None
    for line in table.split("\n"):
        fields = line.split(" ")
        try:
            kind = fields[fields.index(_END_OF_OPTIONAL_FIELDS, _OPTIONAL_FIELDS) + 1]
        except (ValueError, IndexError):
            continue
        mount_point = PurePath(_unescaped(fields[_MOUNT_POINT]))
        depth = len(mount_point.parts)
        if path.is_relative_to(mount_point) and (found is None or depth >= found[0]):
            found = depth, kind
    return found[1] if found is not None else None


def file_system(path: Path, table: Path = MOUNT_TABLE) -> str | None:
    """The type of the file system that holds a path, which needn't exist yet; None where that can't be known."""
    try:
        # A mount point may hold any bytes but NUL.
        return file_system_of(os.fsdecode(table.read_bytes()), path.resolve())
    except (OSError, RuntimeError):
        # RuntimeError is a circle of links; whoever uses the path will say so better.
        return None


def _unescaped(text: str) -> str:
    """Blanks, tabs, newlines and backslashes stand in octal."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
