"""Much that is only looked at, as one element: rows of a table, cells of a map.

NiceGUI keeps some two dozen Python objects for each element, three of which are rings that only a look at everything
for garbage frees. A page of the fleet would be 1,500 elements; what is in a drawing is a tuple each.
"""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

Piece = tuple[str, dict[str, str], "str | Sequence[Piece]"]
"""An HTML element: its tag, its attributes, and its text or what is in it."""


class Drawing(ui.element, component="drawing.js"):
    """An HTML element whose content is drawn whole, and sent again only if it has changed."""

    def __init__(self, tag: str, classes: str = "") -> None:
        super().__init__()
        self.classes(classes)
        self.props["root"] = tag
        self.props["pieces"] = ()

    def show(self, pieces: Sequence[Piece]) -> None:
        """Draw these."""
        # NiceGUI watches what is in a list, but leaves a tuple as it is.
        drawn = tuple(pieces)
        if drawn != self.props["pieces"]:
            self.props["pieces"] = drawn


def piece(tag: str, inside: str | Sequence[Piece] = "", classes: str = "", **attributes: str) -> Piece:
    """One piece; attributes that are empty are left out, and `_` in their names is `-`."""
    given = {name.replace("_", "-"): value for name, value in attributes.items() if value}
    if classes:
        given["class"] = classes
    return tag, given, inside


def cell(text: str, classes: str = "", target: str = "", title: str = "") -> Piece:
    """A cell of a table, which is a link if there is a target: a whole path, with quoted parts."""
    return "td", {}, (piece("a", text, classes, title=title, href=target),)
