"""The lines of a command's output: what both ends make of the detail of progress.

A detail is whole each time, and mostly the same as the one before. A line has only what has changed, as a merge patch
(RFC 7396), so that the layers of an image, told a thousand times, take little room.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

Detail = Mapping[str, object]


class Line(Struct, frozen=True, omit_defaults=True):
    """One thing that was told: `text` for people, `changes` as a merge patch to the detail of the line before.

    `number` counts from 1 what was told, `seconds` from the first line. `dropped` is how many before this one were left
    out for want of room; their numbers are missing.
    """

    number: int
    seconds: float
    text: str
    changes: dict[str, object] = field(default_factory=dict)
    dropped: int = 0


def changes(before: Detail, now: Detail) -> dict[str, object]:
    """The merge patch that makes one detail of another. What is None counts as not there."""
    patch: dict[str, object] = {name: None for name in before if now.get(name) is None}
    for name, value in now.items():
        old = before.get(name)
        if value is None or value == old:
            continue
        if not isinstance(value, Mapping):
            patch[name] = value
        elif (inner := changes(old if isinstance(old, Mapping) else {}, value)) or not isinstance(
            old, Mapping
        ):
            patch[name] = inner
    return patch


def changed(before: Detail, patch: Detail) -> dict[str, object]:
    """The detail after a merge patch."""
    now = {name: value for name, value in before.items() if name not in patch or patch[name] is not None}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            old = before.get(name)
            now[name] = changed(old if isinstance(old, Mapping) else {}, value)
        elif value is not None:
            now[name] = value
    return now
