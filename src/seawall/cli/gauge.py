"""How many bytes have come, on a terminal: in place, beside the result, and gone at the end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from seawall.cli.bars import Bar
from seawall.cli.live import Screen, rendered
from seawall.cli.output import console

_MEGABYTE = 1_000_000


class Gauge:
    """A context manager; it shows nothing where nobody looks."""

    def __init__(self, label: str) -> None:
        screen = console(errors=True)
        self._label = label
        self._screen = Screen(screen) if screen.is_terminal else None

    def show(self, done: int) -> None:
        """So many bytes are done."""
        if self._screen is not None:
            self._screen.show([rendered([Bar(self._label, 0, 0, in_megabytes(done))])])

    def __enter__(self) -> Self:
        if self._screen is not None:
            self._screen.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.end()


def in_megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / _MEGABYTE:.1f} MB"
