"""Back-off: bounded, spread, and refused where it can't be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import CommandErrorCode
from seawall.core.retry import DEFAULT_RETRY_POLICY, Jitter, RetryPolicy, back_off

seconds = st.floats(0, 1e6, allow_nan=False)
throws = st.floats(0, 1, exclude_max=True)
failures = st.integers(1, 10_000)
jitters = st.sampled_from([True, False, *Jitter])


@st.composite
def policies(draw: st.DrawFn, jitter: st.SearchStrategy[bool | Jitter] = jitters) -> RetryPolicy:
    return RetryPolicy(
        initial_delay=draw(seconds),
        max_delay=draw(seconds),
        backoff_multiplier=draw(st.floats(1, 100)),
        jitter=draw(jitter),
    )


@given(policies(), failures, throws, st.none() | seconds)
def test_incident_29_jitter_never_exceeds_the_cap(
    policy: RetryPolicy, failed: int, throw: float, previous: float | None
) -> None:
    assert 0 <= back_off(policy, failed, lambda: throw, previous) <= policy.max_delay


@given(policies(st.just(True)), failures, throws)
def test_the_default_jitter_is_centred_on_the_delay(policy: RetryPolicy, failed: int, throw: float) -> None:
    plain = back_off(RetryPolicy(**{**_fields(policy), "jitter": False}), failed, lambda: throw)
    delay = back_off(policy, failed, lambda: throw)
    assert 0.5 * plain <= delay <= min(1.5 * plain, policy.max_delay) + 1e-9


@given(policies(st.just(False)), failures)
def test_without_jitter_the_delays_never_shrink(policy: RetryPolicy, failed: int) -> None:
    assert back_off(policy, failed, _no_dice) <= back_off(policy, failed + 1, _no_dice)


def test_the_delays_double_up_to_the_cap() -> None:
    policy = RetryPolicy(initial_delay=1.0, max_delay=30.0, backoff_multiplier=2.0, jitter=False)
    assert [back_off(policy, n, _no_dice) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("jitter", "lowest", "middle"),
    [
        (False, 4.0, 4.0),
        (Jitter.NONE, 4.0, 4.0),
        (True, 2.0, 4.0),
        (Jitter.PROPORTIONAL, 2.0, 4.0),
        (Jitter.FULL, 0.0, 2.0),
        (Jitter.EQUAL, 2.0, 3.0),
        (Jitter.DECORRELATED, 1.0, 3.5),
    ],
)
def test_each_jitter_draws_from_its_own_range(jitter: bool | Jitter, lowest: float, middle: float) -> None:
    policy = RetryPolicy(initial_delay=1.0, max_delay=30.0, jitter=jitter)
    assert back_off(policy, 3, lambda: 0.0, previous=2.0) == lowest
    assert back_off(policy, 3, lambda: 0.5, previous=2.0) == middle


def test_at_the_cap_the_delays_do_not_pile_up() -> None:
    policy = RetryPolicy(initial_delay=1.0, max_delay=30.0)
    drawn = [back_off(policy, 20, lambda n=n: n / 100) for n in range(100)]
    assert len(set(drawn)) == 100
    assert (min(drawn), max(drawn) < 30.0) == (15.0, True)


def test_decorrelated_starts_from_the_initial_delay() -> None:
    policy = RetryPolicy(initial_delay=2.0, max_delay=30.0, jitter=Jitter.DECORRELATED)
    assert back_off(policy, 1, lambda: 0.0) == 2.0
    assert back_off(policy, 1, lambda: 0.5) == 4.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", -1),
        ("initial_delay", -0.1),
        ("initial_delay", float("nan")),
        ("initial_delay", float("inf")),
        ("max_delay", -1.0),
        ("max_delay", float("inf")),
        ("backoff_multiplier", 0.5),
        ("backoff_multiplier", 101.0),
        ("backoff_multiplier", float("nan")),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RetryPolicy(**{name: value})


def test_a_policy_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        DEFAULT_RETRY_POLICY.max_attempts = 9  # type: ignore[misc]  # that is the point


def test_the_default_policy_does_not_retry_unknown_errors() -> None:
    assert CommandErrorCode.UNKNOWN_ERROR in RetryPolicy().retryable_error_codes
    assert CommandErrorCode.UNKNOWN_ERROR not in DEFAULT_RETRY_POLICY.retryable_error_codes


def _no_dice() -> float:
    raise AssertionError("no jitter, no dice")


def _fields(policy: RetryPolicy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in policy.__struct_fields__}


def test_unless_somebody_says_otherwise_three_attempts_are_made_with_delays_of_a_second_and_more() -> None:
    policy = RetryPolicy(jitter=False)
    assert policy.max_attempts == DEFAULT_RETRY_POLICY.max_attempts == 3
    assert [back_off(policy, failed, lambda: 0.5) for failed in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_one_attempt_is_a_policy_and_none_is_not() -> None:
    assert RetryPolicy(max_attempts=1).max_attempts == 1
    with pytest.raises(ValueError, match="max_attempts"):
        RetryPolicy(max_attempts=0)
