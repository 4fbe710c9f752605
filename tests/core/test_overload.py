"""A host that is slow because of its load, and what becomes of it after that: virtual time, the real core."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import pytest

from seawall.core.breaker import BreakerSettings
from seawall.core.command import Command, Outcome, SafetyClass
from seawall.core.dispatch import Dispatch, Finish, Send, Step, Wait
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.guard import Guard, Guards, Pass
from seawall.core.retry import DEFAULT_RETRY_POLICY
from seawall.core.retry_gate import RetryGate

WORKERS, SERVICE_SECONDS, ARRIVALS_PER_SECOND, TIMEOUT_SECONDS = 4, 0.5, 7.0, 5.0
SLOW_FROM, SLOW_UNTIL, END = 60.0, 90.0, 300.0
TIMED_OUT = Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT)
OPEN = Outcome(CommandErrorCode.CIRCUIT_OPEN)
FULL = Outcome(CommandErrorCode.BULKHEAD_FULL)


class Host:
    """Four workers, first come first served. What its callers have given up is worked off all the same."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.idle = WORKERS
        self.queue: deque[Callable[[], None]] = deque()

    def take(self, done: Callable[[], None]) -> None:
        self.queue.append(done)
        self.work()

    def work(self) -> None:
        while self.idle and self.queue:
            self.idle -= 1
            done = self.queue.popleft()
            slow = SLOW_FROM <= self.world.now < SLOW_UNTIL
            seconds = self.world.random.expovariate(1 / (SERVICE_SECONDS * (3.0 if slow else 1.0)))
            self.world.at(self.world.now + seconds, lambda done=done: self.finish(done))

    def finish(self, done: Callable[[], None]) -> None:
        self.idle += 1
        done()
        self.work()


class World:
    """Callers of one host. With `guarded=False` each tries three times, and nothing else holds it back."""

    def __init__(self, seed: int, *, guarded: bool) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.order = 0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.host = Host(self)
        self.guards: Guards[Call] | None = Guards(BreakerSettings()) if guarded else None
        self.gate = RetryGate() if guarded else None
        self.ended: list[tuple[float, bool]] = []
        self.attempts = 0

    def at(self, when: float, event: Callable[[], None]) -> None:
        self.order += 1
        heappush(self.events, (when, self.order, event))

    def run(self) -> World:
        arrival = 0.0
        while (arrival := arrival + self.random.expovariate(ARRIVALS_PER_SECOND)) < END:
            self.at(arrival, lambda: Call(self).start())
        while self.events:
            self.now, _, event = heappop(self.events)
            event()
        return self

    def success(self, since: float, until: float) -> float:
        """The share of the commands that came in this time and succeeded."""
        ends = [success for came, success in self.ended if since <= came < until]
        return sum(ends) / len(ends)


class Call:
    """One command, carried as the engine does it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.came = world.now
        command = Command(
            "c", "container_list", "a1", {}, SafetyClass.SAFE_READ, True, TIMEOUT_SECONDS, world.now + 60.0
        )
        self.dispatch = Dispatch(command, DEFAULT_RETRY_POLICY, gate=world.gate)
        self.guard: Guard[Call] | None = None
        self.permits: Pass | None = None
        self.attempt = 0

    def start(self) -> None:
        self.go_on(self.dispatch.start(self.world.now))

    def go_on(self, step: Step) -> None:
        if isinstance(step, Send):
            self.send()
        elif isinstance(step, Wait):
            self.world.at(step.until, lambda: self.go_on(self.dispatch.on_wake(self.world.now)))
        elif isinstance(step, Finish):
            self.world.ended.append((self.came, step.result.success))

    def over(self, outcome: Outcome) -> None:
        self.attempt += 1
        self.go_on(self.dispatch.on_outcome(outcome, self.world.now, self.world.random.random))

    def send(self) -> None:
        guards, now = self.world.guards, self.world.now
        if guards is None:
            self.exchange()
            return
        self.guard = guard = guards.of("a1")
        guard.wake(now)
        if guard.refusal(self.dispatch.command, now) is not None:
            self.over(OPEN)
        elif guard.bulkhead.enter():
            self.begin()
        elif guard.bulkhead.queue(self):
            self.world.at(now + TIMEOUT_SECONDS, self.give_up)
        else:
            self.over(FULL)

    def give_up(self) -> None:
        if self.guard is not None and self.guard.bulkhead.abandon(self):
            self.over(FULL)

    def begin(self) -> None:
        assert self.guard is not None
        permits = self.guard.acquire(self.dispatch.command, self.world.now, TIMEOUT_SECONDS + 5.0)
        if isinstance(permits, Pass):
            self.permits = permits
            self.exchange()
        else:
            self.leave()
            self.over(OPEN)

    def exchange(self) -> None:
        self.world.attempts += 1
        attempt = self.attempt
        self.world.host.take(lambda: self.answered(attempt, Outcome()))
        self.world.at(self.world.now + TIMEOUT_SECONDS, lambda: self.answered(attempt, TIMED_OUT))

    def answered(self, attempt: int, outcome: Outcome) -> None:
        if attempt != self.attempt:
            return  # late
        if self.guard is not None and self.permits is not None:
            self.guard.record(self.permits, outcome, self.world.now, self.world.random.random)
            self.leave()
        self.over(outcome)

    def leave(self) -> None:
        assert self.guard is not None
        if self.guard.bulkhead.leave():
            while (given := self.guard.bulkhead.admit()) is not None:
                given[0].begin()


@pytest.mark.parametrize("seed", range(3))
def test_incident_32_naive_retries_stay_collapsed_after_an_overload_and_ours_recover(seed: int) -> None:
    naive, ours = World(seed, guarded=False).run(), World(seed, guarded=True).run()
    assert naive.success(0.0, 60.0) > 0.95
    assert naive.success(200.0, 290.0) < 0.2, "the overload was too harmless to prove anything"
    assert naive.attempts > 2.5 * len(naive.ended)
    assert ours.success(0.0, 60.0) > 0.95
    assert ours.success(105.0, 290.0) > 0.95
    assert ours.attempts < 1.1 * len(ours.ended)
