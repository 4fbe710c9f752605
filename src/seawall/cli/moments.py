"""Times as people type them: a date, seconds since 1970, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime

import typer

from seawall.clock import SystemClock

_AGO = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (86_400, 3_600, 60, 1)


def moment(text: str | None) -> str | None:
    """A typer callback: the time in seconds since 1970. A date without a zone is local time."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if text and ago is not None:
        seconds = sum(int(count or 0) * unit for count, unit in zip(ago.groups(), _UNITS, strict=True))
        return f"{SystemClock().wall().timestamp() - seconds:.9f}"
    try:
        return f"{float(text):.9f}" if re.fullmatch(r"\d{1,11}(\.\d+)?", text) else _date(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text[:40]!r} is no time: give one such as 10m, 2h30m, 2026-05-01T12:00:00Z, or seconds since 1970"
        ) from error


def _date(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone().timestamp():.9f}"
