"""One run: a scenario, a contender, a seed. The same three give the same run, to the last event."""

from __future__ import annotations

import math
from typing import Protocol

from msgspec import Struct

from seawall.clock import seeded_dice
from seawall.core.retry import Dice
from seawall.simulator.contenders import Contender
from seawall.simulator.faults import Stage
from seawall.simulator.host import Host
from seawall.simulator.link import Link
from seawall.simulator.plane import Order, Plane
from seawall.simulator.scenario import Scenario, Traffic
from seawall.simulator.tally import Tally
from seawall.simulator.timeline import Timeline

_SETTLING_SECONDS = 600.0
"""What is under way at the end may still end."""


class World(Struct, frozen=True):
    """A run at its start."""

    timeline: Timeline
    plane: Plane
    tally: Tally
    seed: str


class Play(Protocol):
    """What can be run."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @property
    def healed_at(self) -> float | None:
        """When the last fault is over, if it ever is."""


def run(scenario: Scenario, contender: Contender, seed: int) -> Tally:
    """Run it to its end, and let what is under way then end as well."""
    world = new_world(contender, f"{scenario.name}/{seed}")
    links = []
    for number in range(scenario.hosts):
        name = f"host-{number + 1}"
        # Each host has dice of its own, so that what happens to one doesn't change what is drawn for another.
        host = Host(name, scenario.host, world.timeline, seeded_dice(f"{world.seed}/{name}"))
        link = Link(host, world.plane, world.timeline, watched=contender.careful)
        links.append(link)
        call(world, link, scenario.traffic, scenario.seconds)
    stage = Stage(world.timeline, links, world.plane)
    for fault in scenario.fault:
        fault.play(stage)
    finish(world, scenario.seconds)
    world.tally.repeated_effects = sum(link.host.repeated_effects for link in links)
    return world.tally


def new_world(contender: Contender, seed: str) -> World:
    """A controller without hosts."""
    timeline, tally = Timeline(), Tally()
    plane = Plane(contender, timeline, seeded_dice(f"{seed}/plane"), tally)
    return World(timeline, plane, tally, seed)


def finish(world: World, seconds: float) -> None:
    """Let it run, and then end what is under way."""
    world.timeline.run(seconds + _SETTLING_SECONDS)


def call(world: World, link: Link, traffic: Traffic, until: float) -> None:
    """Let callers ask for commands on this host."""
    dice = seeded_dice(f"{world.seed}/{link.host.name}/callers")
    timeline = world.timeline

    def ask() -> None:
        order = Order(traffic.timeout_seconds, traffic.deadline_seconds, changes=dice() < traffic.changes)
        world.plane.submit(link, order)
        again()

    def again() -> None:
        when = timeline.now + _pause(traffic, dice)
        if when < until:
            timeline.at(when, ask)

    timeline.at(dice() / traffic.per_second, ask if traffic.arrivals == "even" else again)


def _pause(traffic: Traffic, dice: Dice) -> float:
    mean = 1.0 / traffic.per_second
    return mean if traffic.arrivals == "even" else -mean * math.log(1.0 - dice())
