"""How long something was in which state, from its transitions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from seawall.controller.ui import words
from seawall.engine.records import TransitionRecord


class Stretch(NamedTuple):
    """A state that something was in for a while; begin and end are from 0 to 1."""

    state: str
    begin: float
    end: float
    said: str


def stretches(
    transitions: Sequence[TransitionRecord], state: str, begin: datetime, end: datetime
) -> list[Stretch]:
    """The states between two moments, from transitions, the newest first, and the state at the end."""
    found: list[Stretch] = []
    length = (end - begin).total_seconds()
    until = end

    def share(moment: datetime) -> float:
        return (moment - begin).total_seconds() / length

    def add(state: str, since: datetime, reason: str) -> None:
        first = max(since, begin)
        if until > first:
            lasted = words.span((until - first).total_seconds())
            said = f"{words.word(state)} from {words.moment(first)} UTC for {lasted}"
            why = f": {words.plain(reason)}" if reason else ""
            found.append(Stretch(state, share(first), share(until), said + why))

    for each in transitions:
        add(state, each.at, each.reason if state == each.target else "")
        until, state = min(until, max(each.at, begin)), each.origin
        if each.at <= begin:
            return found[::-1]
    add(state, begin, "")
    return found[::-1]
