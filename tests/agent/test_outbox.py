"""Results until they are acknowledged: in order, so many at once, and again."""

from __future__ import annotations

import pytest

from seawall.agent.answers import pack
from seawall.agent.ledger import Entry, Ledger
from seawall.agent.outbox import WINDOW, Outbox
from seawall.core.command import Outcome
from seawall.testing.clock import FakeClock
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Completed, FromAgent

pytestmark = pytest.mark.asyncio


class Post:
    """An outbox, and what it sends."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger: Ledger = MemoryDisk().ledger("agent-1", self.clock)
        self.sent: list[Completed] = []
        self.outbox = Outbox(self.ledger, self.clock, self.send)

    def send(self, message: FromAgent) -> None:
        assert isinstance(message, Completed)
        self.sent.append(message)

    async def finish(self, number: int, response: object = None) -> Entry:
        outcome = pack(Outcome(response=response))
        return await self.ledger.finish(number, f"command-{number}", "container_stop", pack({}), outcome)

    def acknowledge(self, *sequences: int) -> None:
        self.ledger.acknowledge(sequences, 0)
        self.outbox.acknowledged(sequences)

    def take(self) -> list[int]:
        taken = [message.sequence for message in self.sent]
        self.sent.clear()
        return taken


async def test_a_session_begins_with_all_results_in_order_so_many_at_once() -> None:
    post = Post()
    for number in range(100, 0, -1):
        await post.finish(number)
    post.outbox.begin_session(1)
    assert post.take() == list(range(1, WINDOW + 1))
    post.acknowledge(2)
    assert post.take() == [WINDOW + 1]
    post.acknowledge(*range(1, 101))
    assert post.take() == []


async def test_large_results_go_one_by_one() -> None:
    post = Post()
    for number in (1, 2, 3):
        await post.finish(number, "x" * 700_000)
    post.outbox.begin_session(1)
    assert post.take() == [1, 2], "until a mebibyte is under way"
    post.acknowledge(1)
    assert post.take() == [3]


async def test_an_unacknowledged_result_comes_again_ever_more_slowly() -> None:
    post = Post()
    await post.finish(1)
    post.outbox.begin_session(1)
    times = list[float]()
    for second in range(700):
        if post.take():
            times.append(second)
        await post.clock.advance(1)
    assert times == [0, 15, 45, 105, 225, 465]
    post.acknowledge(1)
    await post.clock.advance(1000)
    assert post.take() == []
    assert post.clock.timers == []


async def test_a_new_session_begins_anew() -> None:
    post = Post()
    for number in range(1, 51):
        await post.finish(number)
    post.outbox.begin_session(1)
    post.acknowledge(1)
    post.take()
    post.outbox.begin_session(2)
    assert post.take() == list(range(2, WINDOW + 2))
    post.sent.clear()
    post.outbox.begin_session(3)
    assert post.sent[0].epoch == 3


async def test_without_a_session_a_result_waits() -> None:
    post = Post()
    entry = await post.finish(1)
    post.outbox.answer(entry, Outcome(), ["attempt-1"])
    assert post.take() == []
    post.outbox.begin_session(1)
    assert post.take() == [1]


async def test_an_attempt_that_waits_is_answered_whatever_the_window_says() -> None:
    post = Post()
    for number in range(1, 101):
        await post.finish(number)
    post.outbox.begin_session(1)
    post.take()
    entry = await post.finish(101)
    post.outbox.answer(entry, Outcome(), ["attempt"])
    assert post.take() == [101]


async def test_an_unasked_result_says_what_it_is_about() -> None:
    post = Post()
    await post.finish(1, {"state": "exited"})
    post.outbox.begin_session(4)
    (message,) = post.sent
    assert (message.correlation_id, message.epoch, message.recorded) == ("", 4, True)
    assert message.response == {"state": "exited"}
    assert message.origin is not None
    assert (message.origin.operation, message.origin.finished_at) == (
        "container_stop",
        "2030-01-01T00:00:00Z",
    )
