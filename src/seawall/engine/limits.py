"""What the values of a table that people write may be, and how it is said that one isn't."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping

from msgspec import Struct, structs

from seawall.toml_document import TomlDocument

Table = Mapping[str, object]


class Limit(Struct, frozen=True):
    """What a value must be: of this kind, from `low` to `high`, one of the `choices`, or as `pattern` says.

    `words` tell the pattern. A `list` is one of texts of which each is among the choices, or as the pattern says.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    words: str = ""


def check_table(
    document: TomlDocument, path: tuple[str, ...], table: Table, limits: Mapping[str, Limit]
) -> None:
    """Raise InvalidToml, naming the line, for the first key that isn't known and the first value beyond its limit."""
    for key, value in table.items():
        limit = limits.get(key)
        if limit is None:
            raise document.complaint((*path, key), f"isn't known; {there_is(key, tuple(limits))}")
        problem = _problem(limit, value)
        if problem is not None:
            raise document.complaint((*path, key), f"{problem}, not {value!r}")


def _problem(limit: Limit, value: object) -> str | None:
    if limit.kind is list:
        one = structs.replace(limit, kind=str)
        if isinstance(value, list) and not any(_problem(one, each) for each in value):
            return None
        what = limit.words or f"of {', '.join(limit.choices)}"
        return f"must be a list {what}"
    if limit.pattern is not None:
        fits = isinstance(value, str) and re.fullmatch(limit.pattern, value) is not None
        return None if fits else f"must be {limit.words}"
    if limit.kind is str:
        return None if value in limit.choices else f"must be one of {', '.join(limit.choices)}"
    if limit.kind is bool:
        return None if isinstance(value, bool) else "must be true or false"
    whole = limit.kind is int
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not isinstance(value, int | float) or not limit.low <= value <= limit.high:
        return f"must be a {'whole ' if whole else ''}number from {limit.low:g} to {limit.high:g}"
    return None


def there_is(name: str, known: tuple[str, ...]) -> str:
    """What could have been meant by a name that isn't known."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
