"""How often each claim was tried, for the summary at the end of a test run: a claim without its number is none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

FILE = "SEAWALL_FIGURES"
"""The environment variable that names the file in which the figures of all workers of one run come together."""

_CONFIDENT = 3
"""No failure in n trials means a rate below 3/n, at 95 %."""


def record(name: str, n: int, failures: int = 0, unit: str = "runs") -> None:
    """Note that `name` was tried `n` times (`unit` says what was counted), and how many of them failed.

    Call it before the assertion, so that a red run shows its figures too. Figures of one name are added up.
    """
    file = os.environ.get(FILE)
    if file is None:
        return
    line = json.dumps([name, unit, n, failures]) + "\n"
    # Appending one short line is atomic: the workers need no lock.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def summary(file: Path) -> list[str]:
    """One line for each name, in alphabetical order."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return _sentences(json.loads(line) for line in lines)


def _sentences(figures: Iterable[tuple[str, str, int, int]]) -> list[str]:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for name, unit, n, failures in figures:
        before = totals.get((name, unit), (0, 0))
        totals[name, unit] = (before[0] + n, before[1] + failures)
    return [_sentence(name, unit, *total) for (name, unit), total in sorted(totals.items())]


def _sentence(name: str, unit: str, n: int, failures: int) -> str:
    bound = f" (a rate below {_CONFIDENT / n:.2g} at 95 %)" if n and not failures else ""
    return f"{name}: {n:,} {unit}, {failures:,} failures{bound}"
