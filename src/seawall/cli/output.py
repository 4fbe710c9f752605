"""Where words go: results to stdout, what happens meanwhile beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from seawall.cli.wording import ago, safe
from seawall.clock import SystemClock

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

_PIPED_WIDTH = 200


def console(*, errors: bool = False) -> Console:
    """A console that takes every text literally: nothing that comes from a host is markup."""
    from rich.console import Console

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def say(text: str) -> None:
    """A line of a result."""
    print(text, flush=True)


def tell(text: str) -> None:
    """A line beside the result: an error, or what happens meanwhile."""
    print(text, file=sys.stderr, flush=True)


def print_json(content: object) -> None:
    """One JSON document, indented for people, on stdout and alone there."""
    say(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A plain table, or the sentence that says why there is none."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        tell(empty)


def since(moment: datetime | None) -> str:
    """How long ago a moment was."""
    return ago(moment, SystemClock().wall())
