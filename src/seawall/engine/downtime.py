"""When hosts were down: one of their circuits wasn't closed, or they had no session for a while. Pure.

A circuit that somebody held open by hand isn't down. Of an opening whose end is nowhere on record, because the
store couldn't follow, it is known that it was, but not for how long: it counts as one, and for no time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from seawall.core.circuit import CircuitState
from seawall.engine.history import Absence
from seawall.engine.records import TransitionRecord

Circuit = tuple[str, str]
"""An agent's id and a domain."""

_CLOSED = CircuitState.CLOSED.value


class Down(NamedTuple):
    """A time in which a host was down, in seconds since 1970; it may go on."""

    begin: float
    end: float
    over: bool


def downtimes(
    transitions: Sequence[TransitionRecord],
    absences: Sequence[Absence],
    open_now: Collection[Circuit],
    begin: float,
    end: float,
) -> dict[str, list[Down]]:
    """For each host that was down between two moments when that was, in order and without overlaps.

    Transitions come the newest first, as the store gives them, none from before `begin`; `open_now` are the circuits
    that have opened of their own accord.
    """
    found: dict[str, list[Down]] = {}
    since: dict[Circuit, float] = {}
    seen: set[Circuit] = set()
    for each in reversed(transitions):
        circuit = (each.agent_id, each.domain)
        at = min(max(each.at.timestamp(), begin), end)
        if circuit not in seen and each.origin != _CLOSED:
            since[circuit] = begin
        seen.add(circuit)
        fails = each.target != _CLOSED and not each.by
        if circuit in since and (not fails or each.origin == _CLOSED):
            began = since.pop(circuit)
            # It was closed again in between, and nobody knows when.
            ended = began if fails else at
            found.setdefault(each.agent_id, []).append(Down(began, ended, over=True))
        if fails:
            since.setdefault(circuit, at)
    for circuit in open_now:
        if circuit not in seen:
            since[circuit] = begin
    for circuit, began in since.items():
        still = circuit in open_now
        down = Down(began, end, over=False) if still else Down(began, began, over=True)
        found.setdefault(circuit[0], []).append(down)
    for absence in absences:
        until = end if absence.end is None else min(absence.end.timestamp(), end)
        down = Down(max(absence.begin.timestamp(), begin), until, over=absence.end is not None)
        if down.begin <= down.end:
            found.setdefault(absence.agent_id, []).append(down)
    return {agent_id: _merged(downs) for agent_id, downs in found.items()}


def down_within(downs: Sequence[Down], begin: float, end: float) -> float:
    """For how many seconds of a time a host was down."""
    return sum(max(0.0, min(down.end, end) - max(down.begin, begin)) for down in downs)


def availability(downs: Sequence[Down], edges: Sequence[float], begin: float) -> list[float | None]:
    """The share of each part of a time that a host was up in; None for parts before `begin`, its own first moment."""
    shares: list[float | None] = []
    for part_begin, part_end in pairwise(edges):
        first = max(part_begin, begin)
        length = part_end - first
        shares.append(1.0 - down_within(downs, first, part_end) / length if length > 0 else None)
    return shares


def _merged(downs: list[Down]) -> list[Down]:
    merged: list[Down] = []
    for down in sorted(downs):
        last = merged[-1] if merged else None
        if last is not None and down.begin <= last.end:
            merged[-1] = Down(last.begin, max(last.end, down.end), last.over and down.over)
        else:
            merged.append(down)
    return merged
