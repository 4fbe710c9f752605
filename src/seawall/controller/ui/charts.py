"""Charts, drawn as SVG from elements: no script, and each part says its values when one rests on it.

Lines differ by their strokes, states by their height, and figures stand as text beside each chart: colour only helps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from seawall.controller.ui.elements import Tag, box
from seawall.controller.ui.stretches import Stretch
from seawall.engine.analytics_shown import line, stacks

_WIDTH, _HEIGHT = 600.0, 110.0
_MOST_KINDS = 5
_ROW_HEIGHT = 18.0


class Part(NamedTuple):
    """A part of the time: where it begins, from 0 to 1, how wide it is, and what is said of it."""

    begin: float
    width: float
    said: str


def parts_of(starts: Sequence[datetime], end: datetime, said: Sequence[str]) -> list[Part]:
    """The parts that begin at `starts`, each with what is said of it."""
    first, length = starts[0], max(1.0, (end - starts[0]).total_seconds())
    edges = [*((start - first).total_seconds() / length for start in starts), 1.0]
    return [Part(edges[n], edges[n + 1] - edges[n], text) for n, text in enumerate(said)]


class _Plot:
    """What charts share: the drawing, the greatest value, the first and the last moment."""

    def __init__(self, label: str, height: float = _HEIGHT) -> None:
        with box("chart", role="group", aria_label=label):
            self._legend = box("legend", "ul")
            self._most = Tag("span", "", "muted small")
            self._svg = Tag(
                "svg",
                "",
                "plot",
                viewBox=f"0 0 {_WIDTH:g} {height:g}",
                preserveAspectRatio="none",
                role="img",
                aria_label=label,
            )
            with box("ends"):
                self._begin, self._end = Tag("span", "", "muted small"), Tag("span", "", "muted small")
        with self._svg:
            self._drawn, self._over = Tag("g"), Tag("g")
        self._height = height
        self._said: list[tuple[Tag, Tag]] = []
        self._names: list[tuple[Tag, Tag, Tag]] = []

    def _show_parts(self, parts: Sequence[Part]) -> None:
        with self._over:
            while len(self._said) < len(parts):
                with Tag("rect", "", "part", y="0", height=f"{self._height:g}") as rect:
                    self._said.append((rect, Tag("title")))
        for (rect, title), part in zip(self._said, parts, strict=False):
            rect.show("", x=f"{part.begin * _WIDTH:.1f}", width=f"{part.width * _WIDTH:.1f}")
            title.show(part.said)
        for rect, title in self._said[len(parts) :]:
            rect.show("", width="0")
            title.show("")

    def _show_names(self, names: Sequence[tuple[str, str]]) -> None:
        """The legend: classes of each mark, and the text beside it."""
        with self._legend:
            while len(self._names) < len(names):
                with Tag("li") as item:
                    self._names.append((item, Tag("span"), Tag("span")))
        for (item, mark, text), (classes, name) in zip(self._names, names, strict=False):
            item.reveal(True)
            mark.show("", f"mark {classes}")
            text.show(name)
        for item, _, _ in self._names[len(names) :]:
            item.reveal(False)

    def show_ends(self, begin: str, end: str, most: str = "") -> None:
        """What stands below the chart's ends, and at its top."""
        self._begin.show(begin)
        self._end.show(end)
        self._most.show(most)


class LineChart(_Plot):
    """Lines over the parts of a time, by the logarithm of their values; `names` are what they are called."""

    def __init__(self, label: str, names: Sequence[str]) -> None:
        super().__init__(label)
        with self._drawn:
            self._lines = [Tag("path", "", f"line-{number}") for number, _ in enumerate(names)]
        self._show_names([(f"line-{number}", name) for number, name in enumerate(names)])

    def fill(
        self, lines: Sequence[Sequence[float | None]], parts: Sequence[Part]
    ) -> tuple[float, float] | None:
        """Draw these; between which values the drawing goes, None if there are none."""
        values = [value for each in lines for value in each if value]
        low, high = min(values, default=0.0), max(values, default=0.0)
        for path, each in zip(self._lines, lines, strict=True):
            logarithms = [math.log(value) if value else None for value in each]
            drawn = line(logarithms, _WIDTH, _HEIGHT, math.log(low), math.log(high)) if values else ""
            path.show("", d=drawn)
        self._show_parts(parts)
        return (low, high) if values else None


class StackChart(_Plot):
    """Counts over the parts of a time, those of each kind upon those of the others."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        with self._drawn:
            self._bars = [Tag("path", "", f"bar-{number}") for number in range(_MOST_KINDS)]

    def fill(self, kinds: Sequence[tuple[str, Sequence[int]]], parts: Sequence[Part]) -> int:
        """Draw these, the most frequent first; what are too many kinds are one. The greatest sum of a part."""
        shown = list(kinds[:_MOST_KINDS])
        if len(kinds) > _MOST_KINDS:
            rest = [counts for _, counts in kinds[_MOST_KINDS - 1 :]]
            shown[-1] = ("others", [sum(part) for part in zip(*rest, strict=True)])
        sums = [sum(part) for part in zip(*(counts for _, counts in shown), strict=True)]
        paths = stacks([counts for _, counts in shown], _WIDTH, _HEIGHT)
        for path, drawn in zip(self._bars, [*paths, *[""] * _MOST_KINDS], strict=False):
            path.show("", d=drawn)
        self._show_names(
            [(f"bar-{number}", f"{name} {sum(counts):,}") for number, (name, counts) in enumerate(shown)]
        )
        self._show_parts(parts)
        return max(sums, default=0)


_HEIGHTS = {"closed": 0.16, "half_open": 0.5, "open": 1.0}


class StateStrip:
    """The states of one thing over a time, each of another height."""

    def __init__(self, label: str) -> None:
        with box("strip"):
            self._label = Tag("span", label, "muted small")
            self._svg = Tag(
                "svg",
                "",
                "plot",
                viewBox=f"0 0 {_WIDTH:g} {_ROW_HEIGHT:g}",
                preserveAspectRatio="none",
                role="img",
                aria_label=label,
            )
            self._word = Tag("span", "", "small")
        self._name = label
        self._rects: list[tuple[Tag, Tag]] = []

    def fill(self, stretches: Sequence[Stretch], word: str) -> None:
        """Draw these, and say in words what they come to."""
        with self._svg:
            while len(self._rects) < len(stretches):
                with Tag("rect") as rect:
                    self._rects.append((rect, Tag("title")))
        for (rect, title), each in zip(self._rects, stretches, strict=False):
            height = _HEIGHTS.get(each.state, 1.0) * _ROW_HEIGHT
            rect.show(
                "",
                f"is-{each.state}",
                x=f"{each.begin * _WIDTH:.2f}",
                # Something short can be seen as well.
                width=f"{max(1.5, (each.end - each.begin) * _WIDTH):.2f}",
                y=f"{_ROW_HEIGHT - height:.2f}",
                height=f"{height:.2f}",
            )
            title.show(each.said)
        for rect, title in self._rects[len(stretches) :]:
            rect.show("", width="0")
            title.show("")
        self._word.show(word)
        self._svg.show("", aria_label=f"{self._name}: {word}")
