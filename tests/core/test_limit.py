"""The limit that a host teaches: slowly more, quickly less, always within its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seawall.core.limit import LearntLimit


def limit(value: float = 8.0) -> LearntLimit:
    return LearntLimit(value, smallest=1, largest=32)


def test_as_many_successes_as_there_are_slots_give_about_one_more() -> None:
    learnt = limit()
    seen = [learnt.succeeded(0.0) for _ in range(9)]
    assert seen == [8] * 8 + [9]


def test_a_timeout_takes_three_tenths() -> None:
    learnt = limit()
    assert learnt.timed_out(0.0) == 5
    assert learnt.value == 8.0 * 0.7


def test_a_burst_of_timeouts_counts_once_a_second() -> None:
    learnt = limit(32.0)
    for now in (0.0, 0.0, 0.5, 0.999):
        learnt.timed_out(now)
    assert learnt.value == 32.0 * 0.7
    learnt.timed_out(1.0)
    assert learnt.value == 32.0 * 0.7 * 0.7


def test_it_is_stale_a_minute_after_it_last_changed() -> None:
    learnt = limit()
    assert learnt.stale(0.0)
    learnt.succeeded(100.0)
    assert not learnt.stale(159.9)
    assert learnt.stale(160.0)
    learnt.timed_out(200.0)
    assert not learnt.stale(201.0)


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=400))
def test_it_stays_within_its_bounds_whatever_happens(steps: list[tuple[float, bool]]) -> None:
    learnt, now = limit(), 0.0
    for pause, timed_out in steps:
        now += pause
        before = learnt.value
        after = learnt.timed_out(now) if timed_out else learnt.succeeded(now)
        assert 1 <= after <= 32
        assert after == int(learnt.value)
        assert learnt.value <= before if timed_out else learnt.value >= before


def test_the_bounds_can_be_reached() -> None:
    learnt = limit()
    for _ in range(1000):
        learnt.succeeded(0.0)
    assert learnt.value == 32.0
    for now in range(100):
        learnt.timed_out(float(now))
    assert learnt.value == 1.0
