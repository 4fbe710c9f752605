"""A heat map of errors: a row for each thing that failed, a column for each part of the time, numbers in its cells."""

from __future__ import annotations

from seawall.controller.ui import words
from seawall.controller.ui.elements import Tag, box
from seawall.controller.ui.history import Shown
from seawall.engine.analytics import Analytics
from seawall.engine.analytics_shown import HeatBy, HeatRow, part_length, part_name, shade

_MOST_ROWS = 20
_TITLES = {
    HeatBy.PATTERN: ("Code", "Host", "Operation"),
    HeatBy.CODE: ("Code",),
    HeatBy.HOST: ("Host",),
    HeatBy.OPERATION: ("Operation",),
}
_MOST_ABOUT = 3


class _Row:
    def __init__(self) -> None:
        with Tag("tr") as self.root:
            self.about = [Tag("td") for _ in range(_MOST_ABOUT)]
            self.total = Tag("td", "", "number strong")
        self.cells: list[Tag] = []


class HeatMap:
    """See the module's text."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._parts: list[Tag] = []
        with box("scroll"), Tag("table", "", "heat", aria_label="Errors over time") as self._table:
            with Tag("thead"), Tag("tr") as self._head:
                self._about = [Tag("th", scope="col") for _ in range(_MOST_ABOUT)]
                Tag("th", "All", scope="col")
            self._body = Tag("tbody")
        self._note = Tag("p", "", "muted small")

    def fill(self, latest: Shown, by: HeatBy) -> None:
        """Show these figures."""
        found, rows = latest.analytics, latest.heat[by]
        shown = rows[:_MOST_ROWS]
        titles = _TITLES[by]
        for index, head in enumerate(self._about):
            head.show(titles[index] if index < len(titles) else "")
            head.reveal(index < len(titles))
        names = [part_name(start, found.part_seconds) for start in found.parts]
        with self._head:
            while len(self._parts) < len(names):
                self._parts.append(Tag("th", "", "part", scope="col"))
        for head, name in zip(self._parts, [*names, *[""] * len(self._parts)], strict=False):
            head.show(name)
            head.reveal(bool(name))
        with self._body:
            while len(self._rows) < len(shown):
                self._rows.append(_Row())
        most = max((count for row in shown for count in row.counts), default=0)
        for line, row in zip(self._rows, shown, strict=False):
            _show(line, row, names, most)
        for line in self._rows[len(shown) :]:
            line.root.reveal(False)
        self._table.reveal(bool(shown))
        self._note.show(_said(found, len(rows)))


def _show(line: _Row, row: HeatRow, names: list[str], most: int) -> None:
    line.root.reveal(True)
    for index, cell in enumerate(line.about):
        cell.show(words.plain(row.about[index]) if index < len(row.about) else "")
        cell.reveal(index < len(row.about))
    line.total.show(f"{row.total:,}")
    with line.root:
        while len(line.cells) < len(row.counts):
            line.cells.append(Tag("td"))
    for cell, count, name in zip(line.cells, row.counts, names, strict=False):
        title = f"{name}: {count:,}"
        cell.reveal(True)
        cell.show(f"{count:,}" if count else "", f"heat-{shade(count, most)}", title=title)
    for cell in line.cells[len(row.counts) :]:
        cell.reveal(False)


def _said(found: Analytics, rows: int) -> str:
    if not rows:
        return "Nothing failed in this time."
    length = part_length(found.part_seconds)
    more = f" {rows - _MOST_ROWS:,} more rows are in the CSV." if rows > _MOST_ROWS else ""
    return f"Failed attempts and refusals in each {length}, UTC; the stronger the colour, the more.{more}"
