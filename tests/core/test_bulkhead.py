"""The bulkhead: never above its limit, first come first served within a priority."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seawall.core.bulkhead import Bulkhead, BulkheadLimits


def full(in_flight: int = 1, queue: int = 3) -> Bulkhead[str]:
    bulkhead: Bulkhead[str] = Bulkhead(BulkheadLimits(in_flight, queue))
    for _ in range(in_flight):
        assert bulkhead.enter()
    return bulkhead


def test_a_slot_is_free_until_the_limit_is_reached() -> None:
    bulkhead = full(in_flight=2)
    assert not bulkhead.enter()
    assert bulkhead.leave() is None
    assert bulkhead.enter()


def test_the_queue_is_bounded() -> None:
    bulkhead = full(queue=2)
    assert bulkhead.queue("a")
    assert bulkhead.queue("b")
    assert not bulkhead.queue("c")
    assert bulkhead.waiting == 2


def test_a_slot_goes_to_who_has_waited_longest() -> None:
    bulkhead = full()
    for name in "abc":
        bulkhead.queue(name)
    assert [bulkhead.leave() for _ in range(4)] == ["a", "b", "c", None]


def test_a_lower_priority_number_waits_less() -> None:
    bulkhead = full()
    bulkhead.queue("later", priority=1)
    bulkhead.queue("sooner", priority=0)
    assert bulkhead.leave() == "sooner"


def test_a_slot_that_is_handed_over_is_never_free_in_between() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    assert bulkhead.leave() == "a"
    assert bulkhead.in_flight == 1
    assert not bulkhead.enter()


def test_who_gives_up_waiting_gets_no_slot() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.queue("b")
    assert bulkhead.abandon("a")
    assert bulkhead.leave() == "b"


def test_who_holds_a_slot_already_can_not_give_up_waiting() -> None:
    bulkhead = full()
    bulkhead.queue("a")
    bulkhead.leave()
    assert not bulkhead.abandon("a")


class AnyOrder(RuleBasedStateMachine):
    """Against a model that keeps plain lists."""

    @initialize(in_flight=st.integers(1, 3), queue=st.integers(0, 4))
    def begin(self, in_flight: int, queue: int) -> None:
        self.limits = BulkheadLimits(in_flight, queue)
        self.bulkhead: Bulkhead[object] = Bulkhead(self.limits)
        self.holding = 0
        self.waiting: list[tuple[int, int, object]] = []
        self.arrivals = 0

    @rule(priority=st.integers(0, 2))
    def arrive(self, priority: int) -> None:
        if self.bulkhead.enter():
            assert self.holding < self.limits.in_flight
            self.holding += 1
            return
        assert self.holding == self.limits.in_flight
        waiter = object()
        queued = self.bulkhead.queue(waiter, priority)
        assert queued == (len(self.waiting) < self.limits.queue)
        if queued:
            self.arrivals += 1
            self.waiting.append((priority, self.arrivals, waiter))

    @precondition(lambda self: self.holding)
    @rule()
    def leave(self) -> None:
        given = self.bulkhead.leave()
        if self.waiting:
            first = min(self.waiting, key=lambda entry: entry[:2])
            assert given is first[2]
            self.waiting.remove(first)
        else:
            assert given is None
            self.holding -= 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.waiting))
        assert self.bulkhead.abandon(entry[2])
        assert not self.bulkhead.abandon(entry[2])
        self.waiting.remove(entry)

    @invariant()
    def the_counts_agree_and_keep_the_limits(self) -> None:
        assert self.bulkhead.in_flight == self.holding <= self.limits.in_flight
        assert self.bulkhead.waiting == len(self.waiting) <= self.limits.queue
        assert self.holding == self.limits.in_flight or not self.waiting, "somebody waits beside a free slot"


TestAnyOrder = AnyOrder.TestCase
