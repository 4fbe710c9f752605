"""An agent that is told to restart: the next process tells that it has happened, and it happens once."""

from __future__ import annotations

import asyncio

import pytest

from seawall.agent.ledger import State
from seawall.agent.operations.own_process import OwnProcess
from seawall.agent.verification import QUIET_SECONDS
from tests.agent.worker_bench import Bench, held, last, state_of

pytestmark = pytest.mark.asyncio

RESTART = "system_restart_agent"


def begin(bench: Bench, version: str = "1.0") -> OwnProcess:
    """A process that can be started anew, on the ledger that the last one left."""
    process = OwnProcess(bench.clock, version)
    bench.runners |= process.runners
    bench.verifiers |= process.verifiers
    bench.start()
    return process


async def test_the_process_is_to_end_and_the_next_one_tells_that_it_has() -> None:
    bench = Bench()
    process = begin(bench)
    await bench.open()
    bench.give(RESTART)
    await bench.clock.settle()
    assert process.leaving.is_set()
    await bench.worker.close(5.0)
    begin(bench, "1.1")
    await bench.open(2)
    await bench.clock.advance(QUIET_SECONDS)
    answer = last(bench)
    assert (answer.code, answer.recorded) == (None, True)
    assert answer.response == {
        "restarted": True,
        "version": "1.1",
        "verified": True,
        "state_satisfied": True,
        "attributed": "seawall",
    }


async def test_a_restart_waits_for_others_and_not_for_itself() -> None:
    bench, release, begun = Bench(), asyncio.Event(), list[str]()
    bench.runners["container_restart"] = held(release, begun)
    begin(bench)
    await bench.open()
    bench.give("container_restart", container="web")
    bench.give(RESTART)
    await bench.clock.settle()
    closing = asyncio.create_task(bench.worker.close(5.0))
    await bench.clock.settle()
    assert not closing.done()
    release.set()
    await closing
    assert last(bench).code is None
    assert bench.clock.timers == []


async def test_the_next_process_does_not_end_again() -> None:
    bench = Bench()
    begin(bench)
    await bench.open()
    bench.give(RESTART)
    await bench.clock.settle()
    await bench.crash()
    follower = begin(bench)
    await bench.open(2)
    bench.again(1, RESTART, epoch=2)
    await bench.clock.advance(QUIET_SECONDS)
    assert last(bench).code is None
    assert not follower.leaving.is_set()


async def test_a_power_cut_before_the_process_was_to_end_leaves_the_restart_to_the_next_attempt() -> None:
    bench = Bench()
    begin(bench)
    bench.runners[RESTART] = held(asyncio.Event(), [])
    bench.start()
    await bench.open()
    bench.give(RESTART)
    await bench.clock.settle()
    assert state_of(bench) is State.STARTED
    await bench.crash()
    follower = begin(bench)
    await bench.open(2)
    await bench.clock.advance(2 * QUIET_SECONDS)
    assert state_of(bench) is State.VOID
    bench.again(1, RESTART, epoch=2)
    await bench.clock.settle()
    assert follower.leaving.is_set()
