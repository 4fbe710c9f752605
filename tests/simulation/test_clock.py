"""The clock of a simulated program."""

from __future__ import annotations

from random import Random

from tests.simulation.clock import SimulatedClock, WallClock
from tests.simulation.loop import SimulatedLoop


class Low(Random):
    """Draws little: by a little the times of a clock and of its loop differ so that they are rounded differently."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(a, min(b, a + 5.0))


def test_a_simulated_clock_never_calls_before_its_time_however_it_is_rounded() -> None:
    loop, random = SimulatedLoop(), Low(26_646)
    early: list[float] = []

    def ask(clock: SimulatedClock, when: float) -> None:
        clock.call_at(when, lambda: early.append(when) if clock.now() < when else None)

    for _ in range(50):
        clock = SimulatedClock(loop, random, WallClock())
        for _ in range(40):
            ask(clock, 20.0 + 90.0 * random.random())
    loop.call_at(101.0, loop.stop)
    loop.run_forever()
    loop.close()
    assert early == []
