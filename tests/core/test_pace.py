"""What has waited leaves one after the other."""

from __future__ import annotations

import pytest

from seawall.core.pace import Pace, PaceSettings


def asked(pace: Pace, per_second: float, seconds: float) -> None:
    for number in range(int(per_second * seconds)):
        pace.asked(number / per_second)


def test_the_usual_rate_is_that_of_what_is_asked_for() -> None:
    pace = Pace()
    asked(pace, 20.0, 600.0)
    assert pace.usual_rate(600.0) == pytest.approx(20.0, rel=0.05)


def test_those_that_waited_leave_at_half_the_usual_rate() -> None:
    pace = Pace()
    asked(pace, 20.0, 600.0)
    turns = [pace.turn(600.0) for _ in range(101)]
    assert turns[0] == 600.0
    assert turns[-1] - turns[0] == pytest.approx(10.0, rel=0.05)


def test_one_that_waited_alone_leaves_at_once() -> None:
    pace = Pace()
    assert pace.turn(5.0) == 5.0
    assert pace.turn(9.0) == 9.0


def test_a_quiet_plane_still_sends_what_waited() -> None:
    pace = Pace(PaceSettings(fewest_per_second=5.0))
    turns = [pace.turn(0.0) for _ in range(11)]
    assert turns[-1] == pytest.approx(2.0)
