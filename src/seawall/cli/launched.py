"""A process that `seawall up` started ends with it, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def end_with_launcher(launcher: int | None) -> None:
    """Have the kernel send SIGTERM to this process when its launcher dies, a kill -9 included; Linux only."""
    if launcher is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    # It may have died before the kernel was told.
    if os.getppid() != launcher:
        raise SystemExit(1)
