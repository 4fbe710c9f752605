"""The tables of the reference, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str, heading: str) -> list[list[str]]:
    """The rows of all tables of a page whose first heading is this one, without the marks of code."""
    found: list[list[str]] = []
    inside = False
    for line in (REFERENCE / page).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if cells[0] == heading:
            inside = True
            width = len(cells)
        elif inside and not re.fullmatch(r"-+", cells[0]):
            assert len(cells) == width, f"{page}: a row with a cell too many or too few: {line}"
            assert all(cells), f"{page}: an empty cell: {line}"
            found.append(cells)
    assert found, f"{page}: there is no table of {heading!r}"
    return found
