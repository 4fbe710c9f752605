"""Answers of operations as tables: which columns a person wants of each, and how a value is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, object]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "container_list": ("name", "image", "state", "status", "id"),
    "image_list": ("tags", "id", "size_bytes", "created"),
    "image_prune_plan": ("tags", "id", "size_bytes", "created"),
    "network_list": ("name", "driver", "scope", "subnets", "id"),
    "network_prune_plan": ("name", "driver", "subnets", "id"),
    "volume_list": ("name", "driver", "mountpoint"),
    "volume_prune_plan": ("name", "driver", "mountpoint"),
    "compose_ps": ("service", "container", "image", "state", "status"),
}
_LISTS = {
    "image_prune_plan": "images",
    "network_prune_plan": "networks",
    "volume_prune_plan": "volumes",
    "compose_ps": "containers",
    "container_diff": "changes",
}
_SHORT_ID = 12
_UNITS = ("B", "kB", "MB", "GB", "TB")


def listed(operation: str, response: object) -> list[Row] | None:
    """The rows of an answer that is a list, or has one that is what was asked for; None for any other."""
    if isinstance(response, Mapping) and operation in _LISTS:
        response = response.get(_LISTS[operation])
    if not isinstance(response, list):
        return None
    return [row for row in response if isinstance(row, Mapping)]


def columns(operation: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """What is shown of the rows: the known columns, else all that the first row has."""
    return _COLUMNS.get(operation) or tuple(str(name) for name in (rows[0] if rows else ()))


def heading(column: str) -> str:
    """What stands above a column."""
    return column.removesuffix("_bytes").replace("_", " ")


def cell(row: Row, column: str) -> str:
    """One value as a person reads it."""
    value = row.get(column)
    if column.endswith("_bytes") and isinstance(value, int | float):
        return size(value)
    if column == "id" and isinstance(value, str):
        return value.removeprefix("sha256:")[:_SHORT_ID]
    return written(value)


def written(value: object) -> str:
    """A value in one line: nothing for none, lists with commas, tables as KEY=VALUE."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(written, value))
        case Mapping():
            return ", ".join(f"{key}={text}" for key, inner in value.items() if (text := written(inner)))
        case _:
            return str(value)


def pairs(response: Row) -> list[tuple[str, str]] | None:
    """An object as names and values; None if it goes too deep for that."""
    if any(isinstance(inner, Mapping | list) for value in response.values() for inner in _inside(value)):
        return None
    return [(heading(str(name)), cell(response, str(name))) for name in response]


def size(count: float) -> str:
    """A number of bytes in the unit that fits it."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit takes everything")


def _inside(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
