"""The bulkhead: never above its limits, lane by lane, first come first served within a lane."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seawall.core.bulkhead import PLANE_LIMITS, Bulkhead, BulkheadLimits, host_limits, new_bulkhead
from seawall.core.command import Lane, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode

CONTROL, DEFAULT, BULK = Lane.CONTROL, Lane.DEFAULT, Lane.BULK
DONE = Outcome()
TIMED_OUT = Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT)


def full(in_flight: int = 1, queue: int = 3) -> Bulkhead[str]:
    bulkhead: Bulkhead[str] = new_bulkhead(BulkheadLimits(in_flight, queue))
    for _ in range(in_flight):
        assert bulkhead.enter()
    return bulkhead


def busy_host(*lanes: Lane) -> Bulkhead[str]:
    """A host's bulkhead with an attempt under way in each of these lanes."""
    bulkhead: Bulkhead[str] = new_bulkhead(host_limits())
    for lane in lanes:
        assert bulkhead.enter(lane)
    return bulkhead


def next_one(bulkhead: Bulkhead[str], lane: Lane = DEFAULT) -> str | None:
    """Who gets the slot that somebody leaves."""
    given = bulkhead.admit() if bulkhead.leave(lane) else None
    return given[0] if given is not None else None


def test_a_slot_is_free_until_the_limit_is_reached() -> None:
    bulkhead = full(in_flight=2)
    assert not bulkhead.enter()
    assert not bulkhead.leave()
    assert bulkhead.enter()


def test_the_queue_is_bounded() -> None:
    bulkhead = full(queue=2)
    assert bulkhead.queue("a")
    assert bulkhead.queue("b")
    assert not bulkhead.queue("c")
    assert bulkhead.waiting == 2


def test_a_bulkhead_without_a_queue_lets_nobody_wait() -> None:
    assert not full(queue=0).queue("a")


def test_a_slot_goes_to_who_has_waited_longest() -> None:
    bulkhead = full()
    for name in "abc":
        bulkhead.queue(name)
    assert [next_one(bulkhead) for _ in range(4)] == ["a", "b", "c", None]
    assert bulkhead.in_flight == 0


def test_a_newcomer_does_not_overtake_who_waits_in_its_lane() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.leave()
    assert not bulkhead.enter()
    assert bulkhead.admit() == ("a", DEFAULT)


def test_a_slot_that_is_handed_over_is_never_free_in_between() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    assert next_one(bulkhead) == "a"
    assert bulkhead.in_flight == 1
    assert not bulkhead.enter()


def test_who_gives_up_waiting_gets_no_slot() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.queue("b")
    assert bulkhead.abandon("a")
    assert next_one(bulkhead) == "b"


def test_who_holds_a_slot_already_can_not_give_up_waiting() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.queue("b")
    assert next_one(bulkhead) == "a"
    assert not bulkhead.abandon("a")
    assert not bulkhead.abandon("b", CONTROL)


def test_a_fixed_limit_learns_nothing() -> None:
    bulkhead = full(in_flight=4)
    for now in range(100):
        bulkhead.learn(TIMED_OUT if now % 2 else DONE, float(now))
    assert bulkhead.limit == 4


def test_when_all_slots_are_taken_control_gets_through_twice() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    assert not bulkhead.enter(DEFAULT)
    assert [bulkhead.enter(CONTROL) for _ in range(3)] == [True, True, False]


def test_control_uses_the_free_slots_before_the_reserved_ones() -> None:
    bulkhead = busy_host(*[CONTROL] * 8)
    assert not bulkhead.enter(DEFAULT)
    assert [bulkhead.enter(CONTROL) for _ in range(3)] == [True, True, False]


def test_at_most_two_of_bulk_run_at_once_and_the_rest_of_the_host_is_free() -> None:
    bulkhead = busy_host(BULK, BULK)
    assert not bulkhead.enter(BULK)
    assert [bulkhead.enter(DEFAULT) for _ in range(7)] == [True] * 6 + [False]
    assert bulkhead.enter(CONTROL)


def test_a_full_queue_of_one_lane_keeps_nobody_from_another() -> None:
    bulkhead = busy_host(*[DEFAULT] * 6, BULK, BULK)
    assert [bulkhead.queue(f"pull {number}", BULK) for number in range(17)] == [True] * 16 + [False]
    assert bulkhead.queue("list", DEFAULT)
    assert bulkhead.enter(CONTROL)


def test_a_free_slot_goes_to_the_most_urgent_lane_that_may_take_it() -> None:
    bulkhead = busy_host(*[DEFAULT] * 6, BULK, BULK, CONTROL, CONTROL)
    bulkhead.queue("pull", BULK)
    bulkhead.queue("list", DEFAULT)
    bulkhead.queue("stop", CONTROL)
    assert next_one(bulkhead, DEFAULT) == "stop"
    assert next_one(bulkhead, BULK) is None, "nine are under way still, and eight may be"
    assert next_one(bulkhead, CONTROL) is None
    assert next_one(bulkhead, CONTROL) == "list"
    assert next_one(bulkhead, DEFAULT) == "pull"


def test_a_lane_that_may_not_take_the_slot_does_not_keep_it_from_the_next() -> None:
    bulkhead: Bulkhead[str] = new_bulkhead(BulkheadLimits(2, 4, bulk=1))
    assert bulkhead.enter(BULK)
    assert bulkhead.enter(DEFAULT)
    bulkhead.queue("pull", BULK)
    assert next_one(bulkhead, DEFAULT) is None
    assert bulkhead.enter(DEFAULT)
    assert next_one(bulkhead, BULK) == "pull"


def test_bulk_leaves_a_slot_to_the_others_wherever_there_are_two() -> None:
    for limit, most in ((1, 1), (2, 1), (3, 2), (8, 2)):
        bulkhead: Bulkhead[str] = new_bulkhead(host_limits(in_flight=limit))
        assert sum(bulkhead.enter(BULK) for _ in range(8)) == most


def test_the_limit_of_a_host_grows_by_one_for_as_many_successes_as_it_has_slots() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    for _ in range(9):
        bulkhead.learn(DONE, 0.0)
    assert bulkhead.limit == 9
    assert bulkhead.enter()


def test_successes_that_leave_slots_free_say_nothing_about_more() -> None:
    bulkhead = busy_host(*[DEFAULT] * 7)
    for _ in range(100):
        bulkhead.learn(DONE, 0.0)
    assert bulkhead.limit == 8


def test_only_timeouts_make_the_limit_of_a_host_smaller() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    for code in CommandErrorCode:
        if code is not CommandErrorCode.TIMEOUT:
            bulkhead.learn(Outcome(code), 0.0)
    assert bulkhead.limit == 8
    bulkhead.learn(TIMED_OUT, 0.0)
    assert bulkhead.limit == 5


def test_a_smaller_limit_admits_nobody_until_enough_have_left() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    bulkhead.queue("a")
    bulkhead.learn(TIMED_OUT, 0.0)
    assert [next_one(bulkhead) for _ in range(4)] == [None, None, None, "a"]
    assert bulkhead.in_flight == 5


def test_a_greater_limit_admits_more_than_one_for_one_that_leaves() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    bulkhead.queue("a")
    bulkhead.queue("b")
    for _ in range(9):
        bulkhead.learn(DONE, 0.0)
    assert bulkhead.leave()
    assert [bulkhead.admit(), bulkhead.admit(), bulkhead.admit()] == [("a", DEFAULT), ("b", DEFAULT), None]


def test_the_queues_of_a_host_grow_and_shrink_with_its_limit() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    assert bulkhead.queue_limit == 16
    bulkhead.learn(TIMED_OUT, 0.0)
    assert bulkhead.queue_limit == 10


def test_a_host_that_may_take_more_than_the_usual_most_is_not_cut_down_to_it() -> None:
    assert host_limits().largest == 32
    assert host_limits(in_flight=100).largest == 100


def test_the_limits_that_hold_unless_somebody_says_otherwise() -> None:
    assert BulkheadLimits() == BulkheadLimits(8, 16, reserved=0, bulk=0, smallest=1, largest=0)
    assert host_limits() == BulkheadLimits(8, 16, reserved=2, bulk=2, smallest=1, largest=32)
    assert BulkheadLimits(2_048, 8_192, reserved=256, bulk=1_024) == PLANE_LIMITS


def test_who_is_turned_away_learns_when_those_before_will_be_done() -> None:
    bulkhead = busy_host(*[DEFAULT] * 8)
    assert bulkhead.retry_after_seconds() == 1.0, "nothing is known yet"
    for number in range(16):
        bulkhead.queue(f"list {number}")
    assert bulkhead.retry_after_seconds() == 3.0, "17 in rounds of eight"
    for _ in range(100):
        bulkhead.took(DEFAULT, 4.0)
    assert bulkhead.retry_after_seconds() == pytest.approx(12.0)


def test_what_an_attempt_takes_is_known_lane_by_lane() -> None:
    bulkhead = busy_host(BULK, BULK)
    bulkhead.queue("pull", BULK)
    bulkhead.took(BULK, 6.0)
    bulkhead.took(DEFAULT, 500.0)
    assert bulkhead.retry_after_seconds(BULK) == pytest.approx(2.0)
    assert bulkhead.retry_after_seconds(DEFAULT) == 1.0
    assert bulkhead.retry_after_seconds(CONTROL) == 1.0


def test_the_time_to_wait_is_bounded_either_way() -> None:
    bulkhead = busy_host(BULK, BULK)
    bulkhead.queue("pull", BULK)
    for _ in range(100):
        bulkhead.took(BULK, 3600.0)
    assert bulkhead.retry_after_seconds(BULK) == 60.0
    for _ in range(100):
        bulkhead.took(BULK, 0.0)
    assert bulkhead.retry_after_seconds(BULK) == 0.1


def test_it_is_clean_once_it_is_idle_and_what_it_has_learnt_is_old() -> None:
    bulkhead = busy_host()
    assert bulkhead.clean(0.0)
    bulkhead.enter()
    assert not bulkhead.clean(0.0)
    bulkhead.learn(TIMED_OUT, 10.0)
    bulkhead.leave()
    assert not bulkhead.clean(69.9)
    assert bulkhead.clean(70.0)


def test_who_waits_keeps_it_from_being_clean() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.leave()
    assert not bulkhead.clean(0.0)
    assert bulkhead.abandon("a")
    assert bulkhead.clean(0.0)


def test_the_plane_keeps_slots_from_pulls_and_for_control() -> None:
    plane: Bulkhead[str] = new_bulkhead(PLANE_LIMITS)
    assert sum(plane.enter(BULK) for _ in range(3000)) == 1024
    assert sum(plane.enter(DEFAULT) for _ in range(3000)) == 1024
    assert sum(plane.enter(CONTROL) for _ in range(3000)) == 256


class AnyOrder(RuleBasedStateMachine):
    """Against a model that keeps plain lists."""

    @initialize(
        in_flight=st.integers(1, 4),
        queue=st.integers(0, 5),
        reserved=st.integers(0, 2),
        bulk=st.integers(0, 2),
        largest=st.sampled_from([0, 6]),
    )
    def begin(self, in_flight: int, queue: int, reserved: int, bulk: int, largest: int) -> None:
        self.limits = BulkheadLimits(in_flight, queue, reserved, bulk, 1, largest)
        self.bulkhead: Bulkhead[object] = new_bulkhead(self.limits)
        self.now = 0.0
        self.holding: list[Lane] = []
        self.waiting: list[tuple[Lane, object]] = []

    def may_take(self, lane: Lane) -> bool:
        limit, held = self.bulkhead.limit, len(self.holding)
        if lane is CONTROL:
            return held < limit + self.limits.reserved
        allowed = limit
        if lane is BULK and self.limits.bulk:
            allowed = min(self.limits.bulk, limit if limit == 1 else limit - 1)
        return held < limit and (lane is not BULK or self.holding.count(BULK) < allowed)

    @rule(lane=st.sampled_from(Lane))
    def arrive(self, lane: Lane) -> None:
        entered = self.bulkhead.enter(lane)
        assert entered == self.may_take(lane)
        if entered:
            self.holding.append(lane)
            return
        waiter = object()
        ahead = sum(waiting is lane for waiting, _ in self.waiting)
        room = self.limits.queue * self.bulkhead.limit // self.limits.in_flight
        queued = self.bulkhead.queue(waiter, lane)
        assert queued == (ahead < room)
        if queued:
            self.waiting.append((lane, waiter))

    @precondition(lambda self: self.holding)
    @rule(
        data=st.data(),
        outcome=st.sampled_from([DONE, TIMED_OUT, Outcome(CommandErrorCode.AGENT_ERROR), None]),
    )
    def finish(self, data: st.DataObject, outcome: Outcome | None) -> None:
        lane = data.draw(st.sampled_from(self.holding))
        if outcome is not None:
            self.bulkhead.learn(outcome, self.now)
        self.holding.remove(lane)
        if self.bulkhead.leave(lane):
            self.bulkhead.took(lane, data.draw(st.floats(0, 100)))
        while (given := self.bulkhead.admit()) is not None:
            waiter, lane = given
            first = next(waiting for waiting in self.waiting if waiting[0] is lane)
            assert waiter is first[1], "somebody was overtaken"
            assert self.may_take(lane)
            self.waiting.remove(first)
            self.holding.append(lane)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        lane, waiter = data.draw(st.sampled_from(self.waiting))
        assert self.bulkhead.abandon(waiter, lane)
        assert not self.bulkhead.abandon(waiter, lane)
        self.waiting.remove((lane, waiter))

    @rule(seconds=st.sampled_from([0.1, 1.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_counts_agree_and_keep_the_limits(self) -> None:
        bulkhead, limits = self.bulkhead, self.limits
        assert bulkhead.in_flight == len(self.holding)
        assert bulkhead.in_bulk == self.holding.count(BULK)
        assert bulkhead.waiting == len(self.waiting)
        if limits.largest:
            assert limits.smallest <= bulkhead.limit <= limits.largest
        else:
            assert bulkhead.limit == limits.in_flight
            assert bulkhead.in_flight <= limits.in_flight + limits.reserved

    @invariant()
    def nobody_waits_beside_a_slot_that_they_may_take(self) -> None:
        for lane, _ in self.waiting:
            assert not self.may_take(lane)

    @invariant()
    def the_advice_when_to_come_back_is_bounded(self) -> None:
        assert all(0.1 <= self.bulkhead.retry_after_seconds(lane) <= 60.0 for lane in Lane)

    @invariant()
    def it_is_clean_only_when_nobody_is_there(self) -> None:
        if self.bulkhead.clean(self.now):
            assert not self.holding
            assert not self.waiting


TestAnyOrder = AnyOrder.TestCase
