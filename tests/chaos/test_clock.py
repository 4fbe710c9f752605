"""Wall clocks that jump: nothing fires early, nothing is lost, since only monotonic time decides."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from seawall.agent.worker import Limits
from seawall.engine.commands import CommandRequest
from seawall.engine.records import CommandRecord
from seawall.testing.clock import FakeClock
from seawall.testing.faults import Latency
from tests.agent.worker_bench import Bench
from tests.chaos.figures import record
from tests.chaos.jumps import STEP_SECONDS, Jumps, LedgerHost, running
from tests.chaos.power import fast_directory

RUNS = int(os.environ.get("SEAWALL_CLOCK_RUNS", "12"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))

FIVE_HOURS = timedelta(hours=5)
YEARS = timedelta(days=400)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120 + 10 * RUNS, func_only=True)]

History = list[tuple[str, str, float]]


@pytest.fixture
def directory() -> Iterator[Path]:
    with fast_directory() as path:
        yield path


def change(container: str, deadline_seconds: float = 120.0) -> CommandRequest:
    return CommandRequest(
        "container_restart",
        "web-1",
        {"container": container},
        timeout_seconds=10.0,
        deadline_seconds=deadline_seconds,
    )


async def controller_history(directory: Path, seed: int, jumps_seed: int | None) -> tuple[History, int]:
    """What reached the host when, how every command ended and when; how often the clock jumped."""
    clock, dice = FakeClock(), random.Random(seed)
    jumps, host, begun = Jumps(clock, jumps_seed), LedgerHost(clock, seed), clock.now()
    async with running(directory, clock) as plane:
        accepted = list[CommandRecord]()
        for step in range(320):
            if step < 100 and dice.random() < 0.06:
                wanted = change(f"c{len(accepted)}", dice.choice((15.0, 60.0, 120.0)))
                accepted.append(await plane.commands.accept(wanted))
            if step == 40:
                plane.connect(host)
            jumps.maybe()
            await plane.advance(STEP_SECONDS)
        ends = [await plane.store.command(one.command_id) for one in accepted]
    reached = [(name, f"attempt {number}", when - begun) for name, number, when in host.reached]
    ended = [(name, "ended", when - begun) for name, when in plane.ended]
    states = [(str(one.arguments["container"]), one.state.value, 0.0) for one in ends if one is not None]
    assert all(one is not None and one.state.final for one in ends), f"seed {seed}: {states}"
    return sorted([*reached, *ended, *states]), jumps.count


async def agent_history(seed: int, jumps_seed: int | None) -> tuple[History, int]:
    """What the agent answered when; how often its clock jumped."""
    dice = random.Random(seed)
    bench = Bench(Limits(at_once=2, reserved=1))
    begun, told, given = bench.clock.now(), History(), 0
    bench.docker.latency = lambda _: Latency(effect=dice.choice((0.1, 2.0, 8.0)))
    bench.on_send = lambda message: told.append(
        (
            getattr(message, "correlation_id", ""),
            f"{type(message).__name__} {getattr(message, 'code', '')}",
            bench.clock.now() - begun,
        )
    )
    jumps = Jumps(bench.clock, jumps_seed)
    await bench.open()
    for step in range(160):
        if step < 60 and dice.random() < 0.3:
            given += 1
            bench.give("container_restart", dice.choice((3.0, 10.0, 30.0)), container="web")
        jumps.maybe()
        await bench.clock.advance(STEP_SECONDS)
    assert len({one.command_id for one in bench.completions()}) == given, f"seed {seed}"
    return sorted(told), jumps.count


def assert_alike(steady: History, jumping: History, why: str) -> None:
    """The same things happened at the same monotonic times."""
    assert [event[:2] for event in jumping] == [event[:2] for event in steady], why
    for one, other in zip(steady, jumping, strict=True):
        assert abs(one[2] - other[2]) <= 2 * STEP_SECONDS, f"{why}: {other[:2]} at {other[2]}, not {one[2]}"


async def test_incident_24_a_controller_does_the_same_at_the_same_time_however_its_clock_jumps(
    directory: Path,
) -> None:
    jumps, events = 0, set[str]()
    for seed in range(SEED, SEED + RUNS):
        for name in ("steady", "jumping"):
            (directory / f"{name}-{seed}").mkdir()
        steady, _ = await controller_history(directory / f"steady-{seed}", seed, None)
        jumping, count = await controller_history(directory / f"jumping-{seed}", seed, seed)
        assert_alike(steady, jumping, f"seed {seed}")
        jumps, events = jumps + count, events | {event[1] for event in steady}
    record("jumps of the controller's clock", jumps, unit="jumps")
    for rare in ("SUCCEEDED", "EXPIRED", "attempt 2"):
        assert rare in events, f"{rare} was never reached from seed {SEED} on: these runs prove nothing"


async def test_incident_24_an_agent_does_the_same_at_the_same_time_however_its_clock_jumps() -> None:
    jumps, events = 0, set[str]()
    for seed in range(SEED, SEED + 4 * RUNS):
        steady, _ = await agent_history(seed, None)
        jumping, count = await agent_history(seed, seed)
        assert_alike(steady, jumping, f"seed {seed}")
        jumps, events = jumps + count, events | {event[1] for event in steady}
    record("jumps of the agent's clock", jumps, unit="jumps")
    assert {"Completed None", "Completed deadline_exceeded"} <= events, f"seed {SEED}: {events}"


@pytest.mark.parametrize("jump", [-YEARS, -FIVE_HOURS, FIVE_HOURS, YEARS])
async def test_a_clock_that_jumped_while_the_controller_was_away_loses_nothing_that_was_sent(
    jump: timedelta, directory: Path
) -> None:
    clock = FakeClock()
    host = LedgerHost(clock, seed=1)
    async with running(directory, clock) as plane:
        plane.connect(host)
        accepted = [await plane.commands.accept(change(f"c{number}")) for number in range(10)]
        await plane.settle()
        sent = [
            one for one in accepted if any(name == one.arguments["container"] for name, _, _ in host.reached)
        ]
    clock.set_wall(clock.wall() + jump)
    async with running(directory, clock) as plane:
        await plane.advance(5.0)
        plane.connect(host)
        await plane.advance(60.0)
        found = [await plane.store.command(one.command_id) for one in sent]
        waiting = await plane.store.open_commands(host.agent_id)
        done = {name for name, at in host._over_at.items() if at <= clock.now()}
    record("jumps while the controller was away", 1, unit="jumps")
    assert sent
    assert not waiting
    for one in found:
        assert one is not None
        # Whether it may still begin depends on its deadline, a time of day. What was done is told in any case.
        state = "SUCCEEDED" if one.arguments["container"] in done else "EXPIRED"
        assert one.state.value == state, (jump, one.state, one.error)
