"""When a host was down is told by its circuits' transitions and its absences, and no time counts twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from seawall.engine.downtime import Down, availability, down_within, downtimes
from seawall.engine.history import Absence
from seawall.engine.records import TransitionRecord

BEGIN, END = 1_000.0, 2_000.0


def change(at: float, origin: str, target: str, domain: str = "docker", by: str = "") -> TransitionRecord:
    return TransitionRecord(datetime.fromtimestamp(at, UTC), "a", domain, origin, target, "why", by)


def absence(begin: float, end: float | None) -> Absence:
    ended = None if end is None else datetime.fromtimestamp(end, UTC)
    return Absence("a", datetime.fromtimestamp(begin, UTC), ended)


def told(
    *changes: TransitionRecord,
    absences: tuple[Absence, ...] = (),
    open_now: tuple[tuple[str, str], ...] = (),
) -> list[Down]:
    return downtimes(changes[::-1], absences, open_now, BEGIN, END).get("a", [])


def test_a_circuit_is_down_from_its_opening_until_it_is_closed_again_whatever_its_probes_say() -> None:
    assert told(
        change(1100, "closed", "open"),
        change(1130, "open", "half_open"),
        change(1131, "half_open", "open"),
        change(1160, "open", "half_open"),
        change(1165, "half_open", "closed"),
        change(1500, "closed", "open"),
        change(1530, "open", "half_open"),
        change(1540, "half_open", "closed"),
    ) == [Down(1100, 1165, True), Down(1500, 1540, True)]


def test_one_that_was_open_before_the_time_is_down_from_its_beginning_and_one_that_still_is_to_its_end() -> (
    None
):
    assert told(change(1200, "half_open", "closed")) == [Down(BEGIN, 1200, True)]
    assert told(change(1900, "closed", "open"), open_now=(("a", "docker"),)) == [Down(1900, END, False)]
    assert told(open_now=(("a", "docker"),)) == [Down(BEGIN, END, False)]
    assert told() == []


def test_what_a_person_holds_open_is_not_down_and_ends_what_was() -> None:
    assert told(change(1200, "closed", "open", by="ada"), change(1300, "open", "closed", by="ada")) == []
    assert told(change(1200, "closed", "open"), change(1250, "open", "closed", by="ada")) == [
        Down(1200, 1250, True)
    ]


def test_an_opening_whose_end_nobody_saw_counts_once_and_for_no_time() -> None:
    assert told(change(1200, "closed", "open")) == [Down(1200, 1200, True)]
    assert told(
        change(1200, "closed", "open"), change(1700, "closed", "open"), change(1800, "half_open", "closed")
    ) == [Down(1200, 1200, True), Down(1700, 1800, True)]


def test_circuits_and_absences_that_overlap_are_one_time() -> None:
    assert told(
        change(1100, "closed", "open"),
        change(1150, "closed", "open", "agent"),
        change(1200, "half_open", "closed"),
        change(1300, "half_open", "closed", "agent"),
        absences=(absence(1250, 1400), absence(900, 1050), absence(1990, None)),
    ) == [Down(BEGIN, 1050, True), Down(1100, 1400, True), Down(1990, END, False)]


def test_availability_is_the_share_of_each_part_without_what_was_before_the_host() -> None:
    downs = [Down(1100, 1350, True)]
    assert down_within(downs, 1200, 1300) == 100
    assert availability(downs, [1000, 1200, 1400, 1600], 1000) == [
        pytest.approx(0.5),
        pytest.approx(0.25),
        1,
    ]
    assert availability(downs, [1000, 1200, 1400], 1300) == [None, pytest.approx(0.5)]
