"""The age of frames."""

from __future__ import annotations

from seawall.agent.age import FrameAge


def test_a_frame_is_as_old_as_it_took_longer_than_the_quickest() -> None:
    age = FrameAge()
    age.note(1000.0, 50.0)
    assert age.of(1010.0, 60.5) == 0.5
    age.note(1020.0, 69.0)
    assert age.of(1030.0, 110.0) == 31.0
    assert age.of(1040.0, 88.0) == 0.0, "quicker than all before"


def test_a_frame_without_its_time_has_no_age() -> None:
    age = FrameAge()
    age.note(0.0, 50.0)
    assert age.of(1000.0, 500.0) == 0.0
    age.note(1000.0, 50.0)
    assert age.of(0.0, 500.0) == 0.0


def test_clocks_that_drift_apart_make_no_frame_old() -> None:
    age = FrameAge()
    for ping in range(8_640):
        age.note(1000.0 + ping * 10.0, 50.0 + ping * 10.001)
    assert age.of(1000.0 + 86_400.0, 50.0 + 86_408.64) < 0.1
