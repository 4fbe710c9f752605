"""One run: a play, a contender, a seed. The same three give the same run, to the last event."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from seawall.clock import seeded_dice
from seawall.core.retry import Dice
from seawall.simulator.contenders import Contender
from seawall.simulator.host import Host
from seawall.simulator.link import Link
from seawall.simulator.plane import Order, Plane
from seawall.simulator.tally import Tally
from seawall.simulator.timeline import Timeline

_SETTLING_SECONDS = 600.0
"""What is under way at the end may still end."""


class World(Struct, frozen=True):
    """A controller and its time, before there are hosts."""

    contender: Contender
    timeline: Timeline
    plane: Plane
    tally: Tally
    seed: str

    def dice(self, whose: str) -> Dice:
        """Dice of their own for a host, or its callers: what happens to one doesn't change what another draws."""
        return seeded_dice(f"{self.seed}/{whose}")

    def connect(self, host: Host) -> Link:
        """A host joins."""
        return Link(host, self.plane, self.timeline, watched=self.contender.careful)


class Play(Protocol):
    """What can be run: a scenario, or a recorded history."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @property
    def healed_at(self) -> float | None:
        """When the last fault is over, if it ever is."""

    def stage(self, world: World) -> Sequence[Link]:
        """Put the hosts, their callers and their troubles into a world."""


def run(play: Play, contender: Contender, seed: int) -> Tally:
    """Run it to its end, and let what is under way then end as well."""
    timeline, tally, name = Timeline(), Tally(), f"{play.name}/{seed}"
    plane = Plane(contender, timeline, seeded_dice(name), tally)
    links = play.stage(World(contender, timeline, plane, tally, name))
    timeline.run(play.seconds + _SETTLING_SECONDS)
    tally.repeated_effects = sum(link.host.repeated_effects for link in links)
    return tally


class Caller:
    """Asks for commands on one host, in a Poisson process or evenly."""

    def __init__(
        self,
        world: World,
        link: Link,
        per_second: float,
        arrivals: Literal["poisson", "even"],
        changes: float,
        order: Order,
        until: float,
    ) -> None:
        self._world = world
        self._link = link
        self._mean = 1.0 / per_second
        self._even = arrivals == "even"
        self._changes = changes
        self._order = order
        self._until = until
        self._dice = world.dice(f"{link.host.name}/callers")
        # Somewhere in the first interval, so that a fleet isn't asked in step.
        world.timeline.at(self._dice() * self._mean if self._even else self._pause(), self._ask)

    def _ask(self) -> None:
        timeline = self._world.timeline
        order = self._order
        if self._changes:
            order = Order(order.timeout_seconds, order.deadline_seconds, self._dice() < self._changes)
        self._world.plane.submit(self._link, order)
        when = timeline.now + self._pause()
        if when < self._until:
            timeline.at(when, self._ask)

    def _pause(self) -> float:
        return self._mean if self._even else -self._mean * math.log(1.0 - self._dice())
