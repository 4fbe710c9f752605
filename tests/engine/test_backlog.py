"""What an earlier start left open, until its agent comes or its time has come."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from seawall.core.command import CommandState
from seawall.engine.backlog import WARM_UP_SECONDS, Backlog
from seawall.engine.records import Unsettled
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio


class Waiting:
    """A backlog, and when it woke what."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.woken: list[tuple[float, list[str]]] = []
        self.start = self.clock.now()
        self.backlog = Backlog(self.clock, self.wake)

    def wake(self, command_ids: list[str]) -> None:
        self.woken.append((self.clock.now() - self.start, command_ids))

    def command(self, command_id: str, seconds: float, *, sent: bool = False, agent: str = "a") -> Unsettled:
        state = CommandState.DISPATCHED if sent else CommandState.ACCEPTED
        return Unsettled(command_id, agent, 1, state, self.clock.wall() + timedelta(seconds=seconds))


async def test_each_wakes_once_when_its_deadline_has_come() -> None:
    waiting = Waiting()
    waiting.backlog.fill(
        [waiting.command("late", 50.0), waiting.command("soon", 5.0), waiting.command("then", 5.0)]
    )
    await waiting.clock.advance(1_000.0)
    assert waiting.woken == [(5.0, ["soon", "then"]), (50.0, ["late"])]
    assert len(waiting.backlog) == 0
    assert waiting.clock.timers == []


async def test_what_may_have_been_sent_waits_through_the_warm_up_and_what_was_not_does_not() -> None:
    waiting = Waiting()
    waiting.backlog.fill([waiting.command("sent", -60.0, sent=True), waiting.command("unsent", -60.0)])
    await waiting.clock.advance(0.0)
    assert waiting.woken == [(0.0, ["unsent"])]
    await waiting.clock.advance(WARM_UP_SECONDS - 0.1)
    assert len(waiting.woken) == 1
    await waiting.clock.advance(0.1)
    assert waiting.woken[1:] == [(WARM_UP_SECONDS, ["sent"])]


async def test_who_is_taken_by_its_agent_or_removed_never_wakes() -> None:
    waiting = Waiting()
    backlog = waiting.backlog
    backlog.fill(
        [waiting.command("one", 5.0), waiting.command("two", 5.0), waiting.command("b", 5.0, agent="b")]
    )
    assert (backlog.waiting("a"), len(backlog), backlog.holds("a", "one")) == (2, 3, True)
    assert backlog.remove("b", "b")
    assert not backlog.remove("b", "b")
    assert backlog.take("a")
    assert not backlog.take("a")
    assert not backlog.holds("a", "one")
    await waiting.clock.advance(60.0)
    assert waiting.woken == []


async def test_a_closed_backlog_wakes_nobody() -> None:
    waiting = Waiting()
    waiting.backlog.fill([waiting.command("one", 5.0)])
    waiting.backlog.close()
    await waiting.clock.advance(60.0)
    assert waiting.woken == []


async def test_a_hundred_thousand_are_taken_in_at_once() -> None:
    waiting = Waiting()
    commands = [
        waiting.command(f"c-{n}", float(n % 977), sent=n % 3 == 0, agent=f"a-{n % 1000}")
        for n in range(100_000)
    ]
    began = time.process_time()  # others may be busy on this machine
    waiting.backlog.fill(commands)
    took = time.process_time() - began
    print(f"100,000 commands taken in within {took:.3f} s")  # noqa: T201 - a figure to look at
    assert len(waiting.backlog) == 100_000
    assert took < 1.0
