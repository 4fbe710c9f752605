"""Debian's packages for the tests, where they may be installed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_APT_GET = "/usr/bin/apt-get"
_APT_TIMEOUT_SECONDS = 300.0


class NotInstallable(Exception):
    """Packages are missing and can't be installed here; the text says why, and what would help."""


def find(program: str) -> Path | None:
    """Where a program of the system is."""
    found = shutil.which(program, path=SYSTEM_PATH)
    return None if found is None else Path(found)


def find_or_install(program: str, package: str) -> Path:
    """Where a program is, after installing its package if need be. Raises NotInstallable."""
    found = find(program)
    if found is None:
        install(package)
        found = find(program)
    if found is None:
        raise NotInstallable(f"{program} is missing even with {package} installed")
    return found


def install(*packages: str) -> None:
    """Have packages installed, or raise NotInstallable."""
    names = " and ".join(packages)
    if not Path(_APT_GET).exists():
        raise NotInstallable(f"there is no apt-get to install {names} with: install what they hold")
    if os.geteuid() != 0:
        raise NotInstallable(f"only root can install {names}: install them, or run the tests as root")
    with _one_at_a_time():
        failure = _apt("install", "--no-install-recommends", *packages)
        if failure is not None:
            # A new machine has no package lists yet.
            failure = _apt("update") or _apt("install", "--no-install-recommends", *packages)
    if failure is not None:
        raise NotInstallable(f"apt-get could not install {names}: {failure}")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """apt-get fails while another one is at work, and the workers of a run come here at the same time."""
    path = Path(tempfile.gettempdir()) / "seawall-tests-apt.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
