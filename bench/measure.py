"""Measures things side by side: in turns, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable
from statistics import median

from msgspec import Struct

Timed = Callable[[int], Awaitable[None]]
"""Does the thing this many times."""


class Row(Struct, frozen=True):
    """One line of the table. `ratio` is to the row named `beside`, round by round; `limit` bounds it, or the value."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str | None = None
    limit: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the limit is kept; None if there is none."""
        return (
            None
            if self.limit is None
            else (self.ratio if self.ratio is not None else self.value) <= self.limit
        )


async def in_turns(things: dict[str, Timed], times: int, rounds: int) -> dict[str, list[float]]:
    """Nanoseconds for each single time, by thing and round. The order turns with each round."""
    samples: dict[str, list[float]] = {name: [] for name in things}
    names = list(things)
    for thing in things.values():
        await thing(max(1, times // 4))  # nobody is the one who warms the machine up
    for _ in range(rounds):
        for name in names:
            gc.collect()
            began = time.perf_counter_ns()
            await things[name](times)
            samples[name].append((time.perf_counter_ns() - began) / times)
        names.append(names.pop(0))
    return samples


def row(
    samples: dict[str, list[float]], name: str, *, beside: str | None = None, limit: float | None = None
) -> Row:
    """The median of a thing, and of its ratio to another in the same round."""
    ratio = None
    if beside is not None:
        ratio = median(mine / other for mine, other in zip(samples[name], samples[beside], strict=True))
    return Row(name, median(samples[name]), "ns", ratio, beside, limit)
