"""How states and numbers are told: a word and a shape for each state, beside its colour. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_GOOD, _CAREFUL, _BAD, _QUIET, _BUSY = "good", "careful", "bad", "quiet", "busy"

STATES: Final[dict[str, tuple[str, str]]] = {
    # Hosts
    "healthy": ("●", _GOOD),
    "degraded": ("▲", _CAREFUL),
    "sick": ("■", _BAD),
    "offline": ("○", _QUIET),
    "quarantined": ("◆", _BAD),
    "revoked": ("✕", _QUIET),
    # Circuits
    "closed": ("●", _GOOD),
    "half_open": ("◐", _CAREFUL),
    "open": ("■", _BAD),
    # Commands
    "ACCEPTED": ("◌", _QUIET),
    "DISPATCHED": ("▷", _BUSY),
    "RUNNING": ("▶", _BUSY),
    "SUCCEEDED": ("✓", _GOOD),
    "FAILED": ("✕", _BAD),
    "REJECTED": ("⊘", _CAREFUL),
    "EXPIRED": ("◔", _CAREFUL),
    "CANCELLED": ("⊖", _QUIET),
    "UNKNOWN": ("?", _BAD),
    # Alerts
    "info": ("○", _QUIET),
    "warning": ("▲", _CAREFUL),
    "critical": ("■", _BAD),
    "over": ("✓", _GOOD),
    # What is done about them
    "acted": ("▶", _BUSY),
    "dry_run": ("◌", _QUIET),
    "refused": ("⊘", _CAREFUL),
    "gave_up": ("✕", _BAD),
    "helped": ("✓", _GOOD),
    "no_help": ("✕", _BAD),
    # Containers
    "running": ("●", _GOOD),
    "paused": ("◐", _CAREFUL),
    "restarting": ("◐", _CAREFUL),
    "exited": ("○", _QUIET),
    "created": ("○", _QUIET),
    "dead": ("✕", _BAD),
}
_UNITS = ("B", "kB", "MB", "GB", "TB")
_SHOWN_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_JUST_NOW_SECONDS = 30.0


def state(name: str) -> tuple[str, str]:
    """What a state is shown as: its shape and word, and its classes."""
    shape, tone = STATES.get(name, ("◇", _QUIET))
    return f"{shape} {word(name)}", f"state {tone}"


def word(name: str) -> str:
    """A state's name as people write it."""
    return name.replace("_", "-").lower()


def shape(name: str) -> tuple[str, str]:
    """The shape of a state alone, and its classes."""
    found, tone = STATES.get(name, ("◇", _QUIET))
    return found, tone


def plain(text: object) -> str:
    """A text as it may be shown in one place: control characters, escapes among them, are made visible."""
    shown = str(text).translate(_SHOWN_CONTROLS)
    if shown.replace("\n", "").replace("\t", "").isprintable():
        return shown
    # What turns the direction of writing, or takes no room, could make one text look like another.
    return "".join(
        each
        if each.isprintable() or each in "\t\n"
        else " "
        if each.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for each in shown
    )


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was."""
    if moment is None:
        return "never"
    return f"{span((now - moment).total_seconds())} ago"


def lately(seconds_ago: float | None) -> str:
    """How long ago something was that comes again and again; None if it never came.

    What was in the last half a minute is just now: nobody reads fifty numbers that change every second, and everybody's
    browser would draw them.
    """
    if seconds_ago is None:
        return "never"
    return "just now" if seconds_ago < _JUST_NOW_SECONDS else f"{span(seconds_ago)} ago"


def span(seconds: float) -> str:
    """A duration in the unit that fits it."""
    seconds = max(0.0, seconds)
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def latency(seconds: float | None) -> str:
    """How long something small took."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def took(seconds: float) -> str:
    """How long a command took."""
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < _MINUTE
        else span(seconds)
    )


def size(count: float) -> str:
    """A number of bytes."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit takes everything")


def clock_time(moment: datetime) -> str:
    """A time of day, UTC."""
    return f"{moment:%H:%M:%S}"


def moment(at: datetime) -> str:
    """A moment, UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"
