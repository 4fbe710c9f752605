"""A pull as a command: its secrets stay out of the ledger, and what was not applied is delivered again."""

from __future__ import annotations

import pytest

from seawall.agent.ledger import State
from seawall.testing.docker import Latency
from tests.agent.worker_bench import Bench, opened, summary

pytestmark = pytest.mark.asyncio

CANARY = "canary-in-the-mine"
PULL = {"reference": "registry.test/app:1", "username": "me", "password": CANARY}


def ledger_of(bench: Bench) -> str:
    entries = [bench.worker.ledger.entry(f"command-{number}") for number in range(1, bench.count + 1)]
    return repr([entry for entry in entries if entry is not None])


async def test_the_ledger_keeps_no_secret() -> None:
    bench = await opened()
    bench.acknowledges = False
    assert summary(await bench.answer(bench.give("image_pull", **PULL))) == (None, "none")
    wrong = await bench.answer(bench.give("image_pull", **{**PULL, "reference": "No:1"}))
    assert wrong.code == "invalid_argument"
    newer = await bench.answer(bench.give("image_teleport", password=CANARY))
    assert newer.code == "unsupported_operation"
    told = ledger_of(bench)
    assert "registry.test/app:1" in told
    assert CANARY not in told
    assert CANARY not in repr(bench.sent)


async def test_a_pull_that_was_not_applied_is_delivered_again_with_its_secret() -> None:
    bench = await opened()
    bench.docker.latency = lambda operation: Latency(request=5.0 if operation == "image_pull" else 0.0)
    bench.give("image_pull", **PULL)
    await bench.clock.settle()
    entry = bench.worker.ledger.entry("command-1")
    assert entry is not None
    assert entry.state is State.STARTED
    bench.docker.kill_daemon()
    bench.docker.start_daemon()
    await bench.restart()
    assert CANARY not in ledger_of(bench)
    await bench.clock.advance(20)
    entry = bench.worker.ledger.entry("command-1")
    assert entry is not None
    assert entry.state is State.VOID
    bench.docker.latency = None
    again = bench.again(1, "image_pull", epoch=2, **PULL)
    assert (await bench.answer(again)).code is None
    assert [effect.step for effect in bench.docker.history] == ["pull", "tag"]


async def test_a_registry_that_is_down_blames_neither_agent_nor_docker() -> None:
    bench = await opened()
    bench.docker.registries.down.add("registry.test")
    answer = await bench.answer(bench.give("image_pull", **PULL))
    assert summary(answer) == ("docker_error", "registry_unreachable")
    assert not answer.recorded
    bench.docker.registries.down.clear()
    assert (await bench.answer(bench.again(1, "image_pull", **PULL))).code is None


async def test_a_registry_that_takes_too_long_is_told_as_such() -> None:
    bench = await opened()
    bench.docker.latency = lambda operation: Latency(effect=100.0 if operation == "image_pull" else 0.0)
    attempt = bench.give("image_pull", 10.0, **PULL)
    await bench.clock.advance(9.9)
    assert summary(await bench.answer(attempt)) == ("timeout", "registry_unreachable")
