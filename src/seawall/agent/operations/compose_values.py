"""The values of a Compose file as Docker's API writes them."""

from __future__ import annotations

import re
import shlex

_UNITS = {"": 1, "b": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2, "g": 1024**3, "gb": 1024**3}
_SIZE = re.compile(r"(-?[0-9]{1,18}(?:\.[0-9]{1,9})?) ?([a-z]{0,2})")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(us|ms|s|m|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class ModelRefused(ValueError):
    """A project is not brought up, because of what it says; the message says where and why."""


def a_table(value: object, where: str) -> dict[str, object]:
    """A table with texts for keys."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ModelRefused(f"{where} is no table")
    return value


def texts(value: object) -> list[str]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ModelRefused(f"{str(value)[:64]!r} is no list of texts")
    return value


def words(value: object) -> list[str]:
    """A command line, as a list or as a shell would split it."""
    if isinstance(value, list):
        return [str(word) for word in value]
    try:
        return shlex.split(str(value))
    except ValueError as error:
        raise ModelRefused(f"{str(value)[:64]!r} can't be split into words ({error})") from error


def table_or_list(value: object) -> dict[str, str]:
    """Pairs, written as a table or as a list of `key=value`."""
    if isinstance(value, list):
        pairs = [str(entry).partition("=") for entry in value]
        return {key: text for key, _, text in pairs}
    return {key: _scalar(inner) for key, inner in a_table(value, "it").items()}


def an_environment(value: object) -> list[str]:
    """Variables as Docker takes them."""
    if isinstance(value, list):
        return [str(entry) for entry in value]
    return [f"{name}={_scalar(inner)}" for name, inner in a_table(value, "it").items() if inner is not None]


def a_whole_number(value: object) -> int:
    """A whole number, also as a text."""
    try:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ModelRefused(f"{str(value)[:64]!r} is no whole number")


def size(value: object) -> int:
    """Bytes, such as 64m."""
    match = _SIZE.fullmatch(str(value).lower())
    if match is None or match[2] not in _UNITS:
        raise ModelRefused(f"{str(value)[:64]!r} is no size such as 64m")
    return int(float(match[1]) * _UNITS[match[2]])


def seconds(value: object) -> int:
    """A duration such as 1m30s, in whole seconds."""
    text = str(value)
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ModelRefused(f"{text[:64]!r} is no duration such as 1m30s")
    return int(sum(float(part[1]) * _SECONDS[part[2]] for part in parts))


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
