"""The sliding window of outcomes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seawall.core.window import OutcomeWindow

WINDOW_SECONDS = 60.0


def test_an_outcome_counts_for_seven_eighths_of_the_window_at_least() -> None:
    window = OutcomeWindow()
    window.add_failure(1000.0, WINDOW_SECONDS)
    window.turn(1000.0 + WINDOW_SECONDS * 7 / 8 - 0.01, WINDOW_SECONDS)
    assert window.failures == 1


def test_an_outcome_is_forgotten_when_it_is_a_window_old() -> None:
    window = OutcomeWindow()
    window.add_failure(1000.0, WINDOW_SECONDS)
    window.add_success(1000.0, WINDOW_SECONDS)
    window.turn(1000.0 + WINDOW_SECONDS, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (0, 0)


def test_a_bucket_of_thousands_keeps_its_proportion() -> None:
    window = OutcomeWindow()
    for _ in range(3000):
        window.add_success(1000.0, WINDOW_SECONDS)
    for _ in range(1000):
        window.add_failure(1000.0, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (1000, 3000)
    window.turn(1010.0, WINDOW_SECONDS)
    assert 0.24 <= window.failures / (window.failures + window.successes) <= 0.26


def test_clear_forgets_everything() -> None:
    window = OutcomeWindow()
    window.add_failure(1000.0, WINDOW_SECONDS)
    window.turn(1010.0, WINDOW_SECONDS)
    window.clear()
    window.turn(1020.0, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (0, 0)


def test_a_number_of_failures_taken_on_trust_counts_as_recent() -> None:
    window = OutcomeWindow()
    window.add_failure(1000.0, WINDOW_SECONDS)
    window.turn(1030.0, WINDOW_SECONDS)
    window.replace_failures(4)
    window.turn(1080.0, WINDOW_SECONDS)
    assert window.failures == 4


def test_an_eighth_of_the_window_is_forgotten_at_a_time_all_at_once() -> None:
    window = OutcomeWindow()
    for now in (997.5, 1000.0, 1004.9):
        window.add_failure(now, WINDOW_SECONDS)
        window.add_success(now, WINDOW_SECONDS)
    assert window.ends_at == 1005.0
    window.add_failure(1005.0, WINDOW_SECONDS)
    window.add_success(1005.0, WINDOW_SECONDS)
    assert window.ends_at == 1012.5
    window.turn(1057.4, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (4, 4)
    window.turn(1057.5, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (1, 1)


def test_the_first_outcome_after_an_eighth_belongs_to_the_next_whatever_it_is() -> None:
    for add in ("add_failure", "add_success"):
        window = OutcomeWindow()
        getattr(window, add)(997.5, WINDOW_SECONDS)
        getattr(window, add)(1005.0, WINDOW_SECONDS)
        window.turn(1057.5, WINDOW_SECONDS)
        assert window.failures + window.successes == 1


def test_steady_outcomes_fill_eight_eighths_and_no_more() -> None:
    window = OutcomeWindow()
    for eighth in range(40):
        now = 997.5 + 7.5 * eighth
        window.add_success(now, WINDOW_SECONDS)
        for _ in range(2):
            window.add_failure(now + 1.0, WINDOW_SECONDS)
        kept = min(eighth + 1, 8)
        assert (window.failures, window.successes) == (2 * kept, kept)


def test_a_pause_of_a_few_eighths_forgets_just_these() -> None:
    window = OutcomeWindow()
    for eighth in range(8):
        window.add_failure(997.5 + 7.5 * eighth, WINDOW_SECONDS)
    window.turn(997.5 + 7.5 * 10, WINDOW_SECONDS)
    assert window.failures == 5
    window.turn(997.5 + 7.5 * 14, WINDOW_SECONDS)
    assert window.failures == 1


def test_a_bucket_that_is_just_full_keeps_every_outcome() -> None:
    window = OutcomeWindow()
    for _ in range(255):
        window.add_success(1000.0, WINDOW_SECONDS)
    window.add_failure(1000.0, WINDOW_SECONDS)
    window.turn(1010.0, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (1, 255)


def test_a_fuller_bucket_is_scaled_down_by_the_greater_of_the_two() -> None:
    window = OutcomeWindow()
    for _ in range(510):
        window.add_failure(1000.0, WINDOW_SECONDS)
    for _ in range(100):
        window.add_success(1000.0, WINDOW_SECONDS)
    window.turn(1010.0, WINDOW_SECONDS)
    assert (window.failures, window.successes) == (255, 50)


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60), st.floats(1, 600))
def test_the_counts_lie_between_those_of_the_shortest_and_the_longest_memory(
    steps: list[tuple[float, bool]], window_seconds: float
) -> None:
    window, now, seen = OutcomeWindow(), 1000.0, []
    for pause, failed in steps:
        now += pause
        (window.add_failure if failed else window.add_success)(now, window_seconds)
        seen.append((now, failed))
    window.turn(now, window_seconds)
    # A hair of tolerance: bucket limits are rounded like any float.
    surely = [failed for at, failed in seen if now - at < window_seconds * 7 / 8 - 1e-6]
    perhaps = [failed for at, failed in seen if now - at <= window_seconds + 1e-6]
    assert sum(surely) <= window.failures <= sum(perhaps)
    assert len(surely) - sum(surely) <= window.successes <= len(perhaps) - sum(perhaps)
