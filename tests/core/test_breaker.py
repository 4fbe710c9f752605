"""The circuit breaker: its table, and a machine that tries everything in any order."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit, Rejection
from seawall.core.errors import CircuitVerdict

GOOD, BAD, NEUTRAL = CircuitVerdict.SUCCESS, CircuitVerdict.FAILURE, CircuitVerdict.NEUTRAL
CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
LEASE_SECONDS = 35.0


def middle() -> float:
    """Dice that leave the open time as it is."""
    return 0.5


def new_breaker(**settings: float) -> Breaker:
    numbers = count(1)
    return Breaker(BreakerSettings(**settings), lambda: next(numbers))


def taken(breaker: Breaker, now: float = 0.0) -> Permit:
    permit = breaker.acquire(now, LEASE_SECONDS)
    assert isinstance(permit, Permit)
    return permit


def play(breaker: Breaker, verdicts: str, now: float = 0.0) -> None:
    """`+`, `-` and `.` are a success, a failure and a neutral outcome, each with a permit of its own."""
    for sign in verdicts:
        breaker.record(taken(breaker, now), {"+": GOOD, "-": BAD, ".": NEUTRAL}[sign], now, middle)


def opened(now: float = 0.0, **settings: float) -> Breaker:
    breaker = new_breaker(**settings)
    play(breaker, "-----", now)
    assert breaker.state is OPEN
    return breaker


def half_open(now: float = 100.0, **settings: float) -> Breaker:
    breaker = opened(now - 30.0, **settings)
    assert breaker.wake(now) is not None
    assert breaker.state is HALF_OPEN
    return breaker


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ("", CLOSED),
        ("----", CLOSED),
        ("-----", OPEN),
        ("....." * 3, CLOSED),
        ("----.", CLOSED),
        ("+" * 100, CLOSED),
        ("+++++-----", OPEN),
        ("++++++-----", CLOSED),
        ("++++++------", OPEN),
        ("+++++++++-" * 10, CLOSED),
    ],
)
def test_it_opens_on_five_failures_that_are_half_of_the_outcomes(verdicts: str, state: CircuitState) -> None:
    breaker = new_breaker()
    play(breaker, verdicts)
    assert breaker.state is state


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ("-----", OPEN),
        ("+-----", CLOSED),
        ("+------", CLOSED),
        ("+-------", OPEN),
        ("++--------", OPEN),
        ("+++-------", CLOSED),
        ("++++-----------", OPEN),
        ("++++----------", CLOSED),
        ("+-" * 50, CLOSED),
        ("+---" * 3 + "+--", OPEN),
    ],
)
def test_where_chance_is_allowed_for_the_share_counts_from_the_first_failures_on(
    verdicts: str, state: CircuitState
) -> None:
    breaker = new_breaker(failure_rate=0.6, allow_for_chance=True)
    play(breaker, verdicts)
    assert breaker.state is state


def test_a_new_circuit_is_closed_and_has_nothing_to_remember() -> None:
    breaker = new_breaker()
    assert (breaker.state, breaker.forced, breaker.generation) == (CLOSED, False, 0)
    assert (breaker.probe_successes, breaker.admits_at, breaker.opened_at) == (0, 0.0, None)
    assert breaker.rejection(0.0) is None


def test_a_program_may_say_since_when_it_is_open() -> None:
    breaker = new_breaker()
    breaker.put(OPEN, 100.0, opened_at=90.0)
    assert (breaker.opened_at, breaker.admits_at) == (90.0, 120.0)
    breaker.put(OPEN, 100.0)
    assert (breaker.opened_at, breaker.admits_at) == (100.0, 130.0)


def test_incident_20_successes_between_do_not_hide_a_host_that_fails_half_of_the_time() -> None:
    breaker = new_breaker()
    play(breaker, "+-" * 5)
    assert breaker.state is OPEN


def test_failures_older_than_the_window_do_not_count() -> None:
    breaker = new_breaker()
    play(breaker, "----", now=0.0)
    play(breaker, "-", now=61.0)
    assert breaker.state is CLOSED


def test_the_transition_says_from_where_to_where_and_why() -> None:
    breaker = new_breaker()
    play(breaker, "----")
    transition = breaker.record(taken(breaker), BAD, 0.0, middle)
    assert transition is not None
    assert (transition.origin, transition.target) == (CLOSED, OPEN)
    assert transition.reason == "5 failures in 60 s, 100% of the outcomes"


def test_open_rejects_and_says_for_how_long() -> None:
    breaker = opened(now=0.0)
    assert breaker.acquire(10.0, LEASE_SECONDS) == Rejection(20.0)
    assert breaker.rejection(10.0) == Rejection(20.0)
    assert breaker.opened_at == 0.0


def test_while_it_is_open_the_failures_that_opened_it_can_be_seen() -> None:
    assert opened().window.failures == 5


def test_it_wakes_when_the_open_time_is_over_and_not_before() -> None:
    breaker = opened(now=0.0)
    assert breaker.wake(29.9) is None
    transition = breaker.wake(30.0)
    assert transition is not None
    assert (transition.origin, transition.target) == (OPEN, HALF_OPEN)


@pytest.mark.parametrize(("throw", "open_seconds"), [(0.0, 27.0), (0.5, 30.0), (0.999999, 33.0)])
def test_the_open_time_is_spread_by_a_tenth_either_way(throw: float, open_seconds: float) -> None:
    breaker = new_breaker()
    play(breaker, "----")
    breaker.record(taken(breaker), BAD, 0.0, lambda: throw)
    assert breaker.admits_at == pytest.approx(open_seconds, abs=1e-3)


def test_each_reopening_doubles_the_open_time_up_to_the_longest() -> None:
    breaker, now, waits = opened(now=0.0), 0.0, []
    for _ in range(4):
        waits.append(breaker.admits_at - now)
        now = breaker.admits_at
        breaker.wake(now)
        play(breaker, "-", now)
    assert waits == [30.0, 60.0, 120.0, 120.0]


def test_a_healthy_minute_takes_back_one_doubling() -> None:
    breaker = half_open(now=100.0)
    play(breaker, "-", 100.0)
    breaker.wake(160.0)
    play(breaker, "++", 160.0)
    assert breaker.state is CLOSED
    play(breaker, "-----", 160.0 + 60.0)
    assert breaker.admits_at - 220.0 == 60.0


def test_a_healthy_minute_counts_once_however_often_one_looks() -> None:
    breaker = half_open(now=100.0)
    play(breaker, "-", 100.0)
    breaker.wake(160.0)
    play(breaker, "++", 160.0)
    assert [breaker.clean(now) for now in (219.0, 221.0, 222.0, 279.0, 280.0)] == [False] * 4 + [True]


def test_after_enough_healthy_minutes_the_open_time_is_the_first_again() -> None:
    breaker = half_open(now=100.0)
    play(breaker, "++", 100.0)
    play(breaker, "-----", 300.0)
    assert breaker.admits_at == 330.0


def test_incident_21_half_open_lets_one_of_fifty_through() -> None:
    breaker = half_open()
    answers = [breaker.acquire(100.0, LEASE_SECONDS) for _ in range(50)]
    assert sum(isinstance(answer, Permit) for answer in answers) == 1
    assert answers[1] == Rejection(1.0)


def test_two_successful_probes_close_it_and_clear_the_window() -> None:
    breaker = half_open()
    play(breaker, "+", 100.0)
    assert (breaker.state, breaker.probe_successes) == (HALF_OPEN, 1)
    play(breaker, "+", 100.0)
    assert (breaker.state, breaker.window.failures) == (CLOSED, 0)


def test_a_failed_probe_opens_it_again() -> None:
    breaker = half_open()
    play(breaker, "+-", 100.0)
    assert breaker.state is OPEN


def test_a_neutral_probe_gives_its_place_back() -> None:
    breaker = half_open()
    play(breaker, ".", 100.0)
    assert (breaker.state, breaker.probe_successes) == (HALF_OPEN, 0)
    assert isinstance(breaker.acquire(100.0, LEASE_SECONDS), Permit)


def test_incident_11_a_probe_that_never_returns_is_given_out_again() -> None:
    breaker = half_open(now=100.0)
    lost = taken(breaker, 100.0)
    assert isinstance(breaker.acquire(134.9, LEASE_SECONDS), Rejection)
    second = taken(breaker, 135.0)
    assert breaker.record(lost, BAD, 136.0, middle) is None
    assert breaker.state is HALF_OPEN
    breaker.record(second, GOOD, 136.0, middle)
    assert breaker.probe_successes == 1


def test_incident_22_a_result_from_before_the_change_of_state_changes_nothing() -> None:
    breaker = new_breaker()
    late = [taken(breaker) for _ in range(3)]
    play(breaker, "-----")
    breaker.wake(30.0)
    for permit, verdict in zip(late, (GOOD, BAD, GOOD), strict=True):
        assert breaker.record(permit, verdict, 30.0, middle) is None
    assert (breaker.state, breaker.probe_successes) == (HALF_OPEN, 0)


def test_a_late_failure_does_not_count_in_the_circuit_that_has_closed_since() -> None:
    breaker = new_breaker()
    late = taken(breaker)
    play(breaker, "-----")
    breaker.wake(30.0)
    play(breaker, "++", 30.0)
    breaker.record(late, BAD, 30.0, middle)
    assert breaker.window.failures == 0


def test_incident_23_a_cancelled_call_neither_opens_nor_closes() -> None:
    breaker = new_breaker()
    play(breaker, "----" + "." * 50)
    assert breaker.state is CLOSED
    probing = half_open()
    play(probing, "." * 50, 100.0)
    assert (probing.state, probing.probe_successes) == (HALF_OPEN, 0)


def test_incident_25_a_host_that_is_heard_is_probed_at_once() -> None:
    breaker = opened(now=0.0)
    transition = breaker.heard(1.0, "the agent is back")
    assert transition is not None
    assert (transition.target, transition.reason) == (HALF_OPEN, "the agent is back")
    assert isinstance(breaker.acquire(1.0, LEASE_SECONDS), Permit)


@pytest.mark.parametrize("make", [new_breaker, half_open])
def test_to_be_heard_changes_nothing_unless_the_circuit_is_open(make) -> None:  # noqa: ANN001
    breaker = make()
    assert breaker.heard(100.0, "heard") is None


def test_forced_open_rejects_all_for_as_long_as_the_operator_wants() -> None:
    breaker = new_breaker()
    breaker.force(OPEN, 0.0, "maintenance")
    assert breaker.wake(1e9) is None
    assert breaker.heard(1e9, "heard") is None
    assert isinstance(breaker.acquire(1e9, LEASE_SECONDS), Rejection)
    assert breaker.forced


def test_forced_closed_admits_all_whatever_fails() -> None:
    breaker = opened()
    breaker.force(CLOSED, 0.0, "I know better")
    play(breaker, "-" * 100)
    assert breaker.state is CLOSED


def test_half_open_can_not_be_forced() -> None:
    with pytest.raises(ValueError, match="half-open"):
        new_breaker().force(HALF_OPEN, 0.0, "?")


def test_reset_forgets_order_failures_and_openings() -> None:
    breaker = opened()
    breaker.force(OPEN, 0.0, "maintenance")
    breaker.reset(1.0, "disk replaced")
    assert (breaker.state, breaker.forced, breaker.window.failures) == (CLOSED, False, 0)
    play(breaker, "-----", 1.0)
    assert breaker.admits_at == 31.0


def test_a_transition_says_whose_order_it_was() -> None:
    breaker = new_breaker()
    assert breaker.force(OPEN, 0.0, "maintenance", by="ada").by == "ada"
    assert breaker.reset(1.0, "disk replaced", by="bob").by == "bob"
    play(breaker, "----", 1.0)
    opening = breaker.record(taken(breaker, 1.0), BAD, 1.0, middle)
    assert opening is not None
    assert opening.by == ""


def test_in_shadow_it_opens_and_recovers_as_it_would_but_rejects_nothing() -> None:
    shadow, live = new_breaker(shadow=True), new_breaker()
    for breaker in (shadow, live):
        play(breaker, "-----", 0.0)
    for now in (0.0, 10.0, 29.9):
        assert shadow.rejection(now) is None
        shadow.record(taken(shadow, now), GOOD, now, middle)
    assert (shadow.state, shadow.admits_at) == (live.state, live.admits_at) == (OPEN, 30.0)
    for breaker in (shadow, live):
        assert breaker.wake(30.0) is not None
        play(breaker, "+-", 30.0)
        assert (breaker.state, breaker.admits_at) == (OPEN, 90.0)


def test_in_shadow_only_the_one_that_a_live_circuit_would_let_through_is_its_probe() -> None:
    breaker = half_open(shadow=True)
    permits = [taken(breaker, 100.0) for _ in range(50)]
    assert [permit.probe for permit in permits] == [True] + [False] * 49
    for permit in permits[1:]:
        assert breaker.record(permit, BAD, 100.0, middle) is None
    assert breaker.state is HALF_OPEN
    breaker.record(permits[0], GOOD, 100.0, middle)
    assert breaker.probe_successes == 1


def test_the_reason_of_a_change_in_shadow_says_so() -> None:
    breaker = new_breaker(shadow=True)
    play(breaker, "----")
    opening = breaker.record(taken(breaker), BAD, 0.0, middle)
    waking = breaker.wake(30.0)
    assert opening is not None
    assert waking is not None
    assert opening.reason == "5 failures in 60 s, 100% of the outcomes (shadow: nothing is rejected)"
    assert waking.reason == "the open time is over (shadow: nothing is rejected)"


def test_an_operator_who_forces_it_open_is_obeyed_in_shadow_too() -> None:
    breaker = new_breaker(shadow=True)
    assert breaker.force(OPEN, 0.0, "maintenance").reason == "maintenance"
    assert isinstance(breaker.acquire(1e9, LEASE_SECONDS), Rejection)


def test_incident_28_a_breaker_keeps_no_exception_and_no_traceback() -> None:
    breaker = opened()
    for _ in range(1000):
        assert isinstance(breaker.acquire(1.0, LEASE_SECONDS), Rejection)
    assert not hasattr(breaker, "__dict__")
    assert all(not isinstance(getattr(breaker, name), BaseException | list) for name in Breaker.__slots__)


def test_it_is_clean_once_its_failures_and_openings_are_forgotten() -> None:
    breaker = new_breaker()
    assert breaker.clean(0.0)
    play(breaker, "-", 0.0)
    assert not breaker.clean(1.0)
    assert breaker.clean(61.0)
    recovered = half_open(now=100.0)
    play(recovered, "++", 100.0)
    assert not recovered.clean(159.0)
    assert recovered.clean(160.0)


class AnyOrder(RuleBasedStateMachine):
    """Everything that can happen to a breaker, in any order, with permits kept for later."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.breaker = new_breaker()
        self.permits: list[Permit] = []
        self.leases: dict[int, float] = {}

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 31.0, 40.0, 61.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def wake(self) -> None:
        due = self.breaker.state is OPEN and not self.breaker.forced and self.now >= self.breaker.admits_at
        assert (self.breaker.wake(self.now) is not None) == due

    @rule()
    def ask(self) -> None:
        expected = self.breaker.rejection(self.now)
        answer = self.breaker.acquire(self.now, LEASE_SECONDS)
        if isinstance(answer, Rejection):
            assert answer == expected
            assert answer.retry_after_seconds >= 0
            return
        assert expected is None
        if answer.probe:
            assert self.breaker.state is HALF_OPEN
            under_way = [
                permit
                for permit in self.permits
                if permit.probe
                and permit.generation == self.breaker.generation
                and self.leases[id(permit)] > self.now
            ]
            assert not under_way, "two probes at a time"
        self.permits.append(answer)
        self.leases[id(answer)] = self.now + LEASE_SECONDS

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), verdict=st.sampled_from(CircuitVerdict))
    def answer(self, data: st.DataObject, verdict: CircuitVerdict) -> None:
        permit = self.permits.pop(data.draw(st.integers(0, len(self.permits) - 1)))
        breaker, before = self.breaker, self.shown()
        stale = permit.generation < breaker.generation
        transition = breaker.record(permit, verdict, self.now, middle)
        if stale or breaker.forced:
            assert transition is None
        if stale:
            assert self.shown() == before
        if verdict is NEUTRAL:
            assert transition is None
            assert breaker.state is before[0]

    @rule(state=st.sampled_from([CLOSED, OPEN]))
    def operator_forces(self, state: CircuitState) -> None:
        self.breaker.force(state, self.now, "an order")
        assert (self.breaker.state, self.breaker.forced) == (state, True)

    @rule()
    def operator_resets(self) -> None:
        self.breaker.reset(self.now, "an order")
        assert (self.breaker.state, self.breaker.forced) == (CLOSED, False)
        assert self.breaker.clean(self.now)

    @rule()
    def host_is_heard(self) -> None:
        probes_now = self.breaker.state is OPEN and not self.breaker.forced
        assert (self.breaker.heard(self.now, "heard") is not None) == probes_now

    @invariant()
    def an_open_time_is_bounded(self) -> None:
        if self.breaker.state is OPEN and not self.breaker.forced:
            assert self.breaker.admits_at - self.now <= 120.0 * 1.1

    @invariant()
    def a_lease_is_bounded(self) -> None:
        if self.breaker.state is HALF_OPEN:
            assert self.breaker.admits_at - self.now <= LEASE_SECONDS

    def shown(self) -> tuple[object, ...]:
        breaker = self.breaker
        return (
            breaker.state,
            breaker.generation,
            breaker.probe_successes,
            breaker.admits_at,
            breaker.window.failures,
            breaker.window.successes,
        )


TestAnyOrder = AnyOrder.TestCase
