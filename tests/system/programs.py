"""What a Docker Engine of the tests' own is made of: found on the machine, or installed where that is allowed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_APT_GET = "/usr/bin/apt-get"
_APT_TIMEOUT_SECONDS = 300.0
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
        _install()
        programs = _find_programs()
    if programs is None:
        raise EngineUnavailable(
            f"dockerd or a static busybox is missing even with {' and '.join(_PACKAGES)} installed"
        )
    return programs


def _find_programs() -> Programs | None:
    dockerd = shutil.which("dockerd", path=SYSTEM_PATH)
    containerd = shutil.which("containerd", path=SYSTEM_PATH)
    busybox = shutil.which("busybox", path=SYSTEM_PATH)
    unshare = shutil.which("unshare", path=SYSTEM_PATH)
    if dockerd is None or containerd is None or busybox is None or unshare is None:
        return None
    return Programs(Path(dockerd), Path(busybox), Path(unshare)) if is_static(Path(busybox)) else None


def is_static(program: Path) -> bool:
    """Whether a program runs in an otherwise empty folder: a 64-bit little-endian ELF file without interpreter."""
    content = program.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01":
        return False
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = [struct.unpack_from("<I", content, table + size * index)[0] for index in range(count)]
    return _INTERPRETER_SEGMENT not in kinds


def _install() -> None:
    names = " and ".join(_PACKAGES)
    if not Path(_APT_GET).exists():
        raise EngineUnavailable(
            f"dockerd or a static busybox is missing and there is no apt-get: install {names}"
        )
    failure = _apt("install", "--no-install-recommends", *_PACKAGES)
    if failure is not None:
        # A new machine has no package lists yet.
        failure = _apt("update") or _apt("install", "--no-install-recommends", *_PACKAGES)
    if failure is not None:
        raise EngineUnavailable(f"apt-get could not install {names}: {failure}")


def _apt(*arguments: str) -> str | None:
    """Run apt-get; what went wrong, if anything did."""
    try:
        done = subprocess.run(
            [_APT_GET, "-qq", "-y", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_APT_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_APT_TIMEOUT_SECONDS:g} s"
    return done.stderr.strip()[-400:] or f"exit code {done.returncode}" if done.returncode != 0 else None
