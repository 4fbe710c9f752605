"""The age of frames."""

from __future__ import annotations

from seawall.agent.age import FrameAge


def test_a_frame_is_as_old_as_it_took_longer_than_the_quickest() -> None:
    age = FrameAge()
    assert age.of(1000.0, 50.0) == 0.0
    assert age.of(1010.0, 60.5) == 0.5
    assert age.of(1020.0, 69.0) == 0.0, "the quickest so far"
    assert age.of(1030.0, 110.0) == 31.0


def test_a_frame_without_its_time_has_no_age() -> None:
    age = FrameAge()
    age.of(1000.0, 50.0)
    assert age.of(0.0, 500.0) == 0.0
    assert age.of(1010.0, 61.0) == 1.0
