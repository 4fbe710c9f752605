"""What a Docker Engine of the tests' own is made of: found on the machine, or installed where that is allowed."""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.system.packages import NotInstallable, find, install

_PACKAGES = ("docker.io", "busybox-static")
_INTERPRETER_SEGMENT = 3  # PT_INTERP of the ELF format: the program asks for a dynamic linker


class EngineUnavailable(Exception):
    """No Docker Engine can be had here; the text says why, and what would help."""


@dataclass(frozen=True)
class Programs:
    """What an engine is made of."""

    dockerd: Path
    busybox: Path
    unshare: Path


def prepare() -> Programs:
    """Find dockerd and a static busybox, installing Debian's packages if need be, or raise EngineUnavailable."""
    if not sys.platform.startswith("linux"):
        raise EngineUnavailable(f"a Docker Engine of the tests' own needs Linux, this is {sys.platform}")
    if os.geteuid() != 0:
        raise EngineUnavailable(
            "a Docker Engine of the tests' own needs root: run the tests as root to have them"
        )
    programs = _find_programs()
    if programs is None:
        try:
            install(*_PACKAGES)
        except NotInstallable as error:
            raise EngineUnavailable(f"dockerd or a static busybox is missing: {error}") from error
        programs = _find_programs()
    if programs is None:
        raise EngineUnavailable(
            f"dockerd or a static busybox is missing even with {' and '.join(_PACKAGES)} installed"
        )
    return programs


def _find_programs() -> Programs | None:
    dockerd, busybox, unshare = find("dockerd"), find("busybox"), find("unshare")
    if dockerd is None or find("containerd") is None or busybox is None or unshare is None:
        return None
    return Programs(dockerd, busybox, unshare) if is_static(busybox) else None


def is_static(program: Path) -> bool:
    """Whether a program runs in an otherwise empty folder: a 64-bit little-endian ELF file without interpreter."""
    content = program.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01":
        return False
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = [struct.unpack_from("<I", content, table + size * index)[0] for index in range(count)]
    return _INTERPRETER_SEGMENT not in kinds
