"""What a look at the breaker costs: a permit taken and given back."""

from __future__ import annotations

from bench.measure import Row, in_turns, row
from seawall.core.breaker import Breaker, BreakerSettings
from seawall.core.errors import CircuitVerdict
from seawall.core.guard import Guards

LEASE_SECONDS = 35.0


def dice() -> float:
    return 0.5


async def circuits(times: int, rounds: int) -> list[Row]:
    breaker = Breaker(BreakerSettings(), Guards[None]().next_generation)

    async def check_and_record(count: int) -> None:
        good, now = CircuitVerdict.SUCCESS, 1000.0
        for _ in range(count):
            breaker.record(breaker.acquire(now, LEASE_SECONDS), good, now, dice)  # type: ignore[arg-type]  # CLOSED
        assert breaker.window.successes >= count

    name = "breaker: acquire and record"
    return [row(await in_turns({name: check_and_record}, times, rounds), name, limit=1_000)]
