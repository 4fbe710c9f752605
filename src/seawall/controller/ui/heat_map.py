"""A heat map of errors: a row for each thing that failed, a column for each part of the time, numbers in its cells."""

from __future__ import annotations

from collections.abc import Sequence

from seawall.controller.ui import words
from seawall.controller.ui.drawing import Drawing, Piece, piece
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


class HeatMap:
    """See the module's text."""

    def __init__(self) -> None:
        with box("scroll"), Tag("table", "", "heat", aria_label="Errors over time") as self._table:
            self._head = Drawing("thead")
            self._body = Drawing("tbody")
        self._note = Tag("p", "", "muted small")

    def fill(self, latest: Shown, by: HeatBy) -> None:
        """Show these figures."""
        found, rows = latest.analytics, latest.heat[by]
        shown = rows[:_MOST_ROWS]
        names = [part_name(start, found.part_seconds) for start in found.parts]
        self._head.show([piece("tr", _headings(_TITLES[by], names))])
        most = max((count for row in shown for count in row.counts), default=0)
        self._body.show([piece("tr", _cells(row, names, most)) for row in shown])
        self._table.reveal(bool(shown))
        self._note.show(_said(found, len(rows)))


def _headings(titles: Sequence[str], names: list[str]) -> list[Piece]:
    return [
        *(piece("th", title, scope="col") for title in (*titles, "All")),
        *(piece("th", name, "part", scope="col") for name in names),
    ]


def _cells(row: HeatRow, names: list[str], most: int) -> list[Piece]:
    return [
        *(piece("td", words.plain(each)) for each in row.about),
        piece("td", f"{row.total:,}", "number strong"),
        *(
            piece(
                "td", f"{count:,}" if count else "", f"heat-{shade(count, most)}", title=f"{name}: {count:,}"
            )
            for count, name in zip(row.counts, names, strict=False)
        ),
    ]


def _said(found: Analytics, rows: int) -> str:
    if not rows:
        return "Nothing failed in this time."
    length = part_length(found.part_seconds)
    more = f" {rows - _MOST_ROWS:,} more rows are in the CSV." if rows > _MOST_ROWS else ""
    return f"Failed attempts and refusals in each {length}, UTC; the stronger the colour, the more.{more}"
