"""How far an agent's ledger may forget."""

from __future__ import annotations

from seawall.engine.watermarks import Watermarks


def test_everything_below_the_oldest_that_is_unsettled_is_over() -> None:
    marks = Watermarks()
    for sequence in range(1, 6):
        marks.open("a", sequence)
    assert marks.up_to("a") == 0
    marks.settle("a", 2)
    assert marks.up_to("a") == 0
    marks.settle("a", 1)
    assert marks.up_to("a") == 2
    for sequence in (5, 3, 4):
        marks.settle("a", sequence)
    assert marks.up_to("a") == 5


def test_a_watermark_never_falls() -> None:
    marks, seen = Watermarks(), 0
    for sequence in range(1, 200):
        marks.open("a", sequence)
        marks.settle("a", max(1, sequence * 7 % (sequence + 1)))
        assert marks.up_to("a") >= seen
        seen = marks.up_to("a")


def test_agents_have_nothing_to_do_with_each_other() -> None:
    marks = Watermarks()
    marks.open("a", 1)
    marks.open("b", 1)
    marks.settle("b", 1)
    assert (marks.up_to("a"), marks.up_to("b"), marks.up_to("nobody")) == (0, 1, 0)


def test_what_was_found_at_the_start_holds_the_mark_down_and_reads_have_no_say() -> None:
    marks = Watermarks()
    marks.open("a", 0)
    assert marks.up_to("a") == 0
    marks.open("a", 41)
    marks.open("a", 50)
    assert marks.up_to("a") == 40
    marks.settle("a", 41)
    assert marks.up_to("a") == 49


def test_settling_what_is_not_known_changes_nothing() -> None:
    marks = Watermarks()
    marks.settle("a", 3)
    marks.open("a", 4)
    marks.settle("a", 9)
    assert marks.up_to("a") == 3
