"""The networks of a fake Docker Engine."""

from __future__ import annotations

from collections.abc import Callable

from seawall.clock import Clock
from seawall.testing.docker.engine import FakeEngine
from seawall.testing.faults import Latency


class FakeNetworks(FakeEngine):
    """`agent.docker.networks.Networks` in memory."""

    def __init__(
        self, clock: Clock, *, hostname: str = "simulated", latency: Callable[[str], Latency] | None = None
    ) -> None:
        super().__init__(clock, hostname=hostname, latency=latency)
