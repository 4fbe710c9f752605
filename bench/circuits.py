"""What a look at the breaker costs: a permit taken and given back, and a rejection."""

from __future__ import annotations

from bench.measure import Row, in_turns, row
from seawall.core.breaker import Breaker, BreakerSettings, CircuitState
from seawall.core.circuits import Circuits
from seawall.core.errors import CircuitVerdict

LEASE_SECONDS = 35.0
NOW = 1000.0


def dice() -> float:
    return 0.5


async def circuits(times: int, rounds: int) -> list[Row]:
    shared = Circuits(BreakerSettings())
    closed, opened = shared.new_breaker(), shared.new_breaker()
    opened.put(CircuitState.OPEN, NOW)

    async def check_and_record(count: int) -> None:
        good = CircuitVerdict.SUCCESS
        for _ in range(count):
            closed.record(closed.acquire(NOW, LEASE_SECONDS), good, NOW, dice)  # type: ignore[arg-type]  # CLOSED
        assert closed.window.successes >= count

    async def be_rejected(count: int) -> None:
        for _ in range(count):
            opened.acquire(NOW, LEASE_SECONDS)
        assert rejects(opened)

    passes, rejection = "breaker: acquire and record", "breaker: a rejection"
    samples = await in_turns({passes: check_and_record, rejection: be_rejected}, times, rounds)
    return [row(samples, passes, limit=1_000), row(samples, rejection, limit=1_000)]


def rejects(breaker: Breaker) -> bool:
    return breaker.rejection(NOW) is not None
