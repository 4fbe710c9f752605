"""Long work that nobody waits for is done at leisure."""

from __future__ import annotations

import pytest

from seawall.clock import LEISURE, at_leisure
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio

HOSTS = list(range(250))


async def test_a_long_list_comes_whole_and_in_order_in_pieces() -> None:
    pieces = [list(piece) async for piece in at_leisure(FakeClock(), HOSTS)]
    assert [host for piece in pieces for host in piece] == HOSTS
    assert max(map(len, pieces)) < len(HOSTS) / 2
    assert [piece async for piece in at_leisure(FakeClock(), [])] == []


class Stopwatch(FakeClock):
    """Time that passes while somebody works, and how long pauses are."""

    def __init__(self) -> None:
        super().__init__()
        self.worked, self.pauses = 0.0, list[float]()

    def now(self) -> float:
        return self.worked

    async def sleep_until(self, when: float) -> None:
        self.pauses.append(when - self.worked)


@pytest.mark.parametrize(("taken", "pause"), [(0.002, 0.002 * (LEISURE - 1)), (1.0, 0.1), (0.0, 0.0)])
async def test_after_each_piece_everybody_else_has_most_of_the_time_but_not_without_end(
    taken: float, pause: float
) -> None:
    clock, pieces = Stopwatch(), 0
    async for _ in at_leisure(clock, HOSTS):
        clock.worked += taken
        pieces += 1
    assert clock.pauses == pytest.approx([pause] * pieces)


async def test_for_who_waits_there_are_no_pauses() -> None:
    clock = Stopwatch()
    async for _ in at_leisure(clock, HOSTS, share=1):
        clock.worked += 0.002
    assert set(clock.pauses) == {0.0}
