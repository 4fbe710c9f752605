"""What is simulated: a fleet, its callers, and what goes wrong. Read strictly from TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from seawall.simulator.faults import Fault, Stage
from seawall.simulator.host import Host, HostModel
from seawall.simulator.link import Link
from seawall.simulator.plane import Order
from seawall.simulator.world import Caller, World

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")

Positive = Annotated[float, Meta(gt=0)]


class ScenarioInvalid(ValueError):
    """A scenario that can't be meant. The message says where, and why."""


class Traffic(Struct, frozen=True, forbid_unknown_fields=True):
    """What callers ask of each host: so many commands `per_second`, in a Poisson process or evenly.

    `timeout_seconds` is that of an attempt, `deadline_seconds` that of a command (None: what its policy may need).
    A share `changes` of them aren't reads.
    """

    per_second: Positive
    arrivals: Literal["poisson", "even"] = "poisson"
    timeout_seconds: Positive = 5.0
    deadline_seconds: Positive | None = None
    changes: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """`seconds` of the life of a fleet of like `hosts`."""

    summary: str
    seconds: Positive
    traffic: Traffic
    hosts: Annotated[int, Meta(ge=1, le=10_000)] = 1
    host: HostModel = HostModel()
    fault: tuple[Fault, ...] = ()
    name: str = ""

    @property
    def healed_at(self) -> float | None:
        """When the last fault is over; None if one lasts to the end, or there is none."""
        end = max((fault.over_at for fault in self.fault), default=self.seconds)
        return end if end < self.seconds else None

    def stage(self, world: World) -> Sequence[Link]:
        """See `world.Play`."""
        traffic = self.traffic
        order = Order(traffic.timeout_seconds, traffic.deadline_seconds)
        links = []
        for number in range(self.hosts):
            name = f"host-{number + 1}"
            link = world.connect(Host(name, self.host, world.timeline, world.dice(name)))
            links.append(link)
            Caller(world, link, traffic.per_second, traffic.arrivals, traffic.changes, order, self.seconds)
        stage = Stage(world.timeline, links, world.plane)
        for fault in self.fault:
            fault.play(stage)
        return links


def parse(text: str, source: str) -> Scenario:
    """Read a scenario; raises ScenarioInvalid, which names the source and the line."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioInvalid(f"{source}: {error}") from error
    try:
        scenario = msgspec.convert(tables, Scenario, strict=False)
    except msgspec.ValidationError as error:
        message = str(error)
        place = _PLACE.search(message)
        path = place["path"] if place is not None else ""
        unknown = _UNKNOWN.search(message)
        line = _line(text, f"{path}.{unknown['name']}" if unknown is not None else path)
        raise ScenarioInvalid(f"{source}, line {line}: {_PLACE.sub('', message)}") from error
    return msgspec.structs.replace(scenario, name=scenario.name or source.removesuffix(".toml"))


def shipped() -> dict[str, Scenario]:
    """The scenarios that come with Seawall, by name."""
    folder = files("seawall.simulator") / "scenarios"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {
        scenario.name: scenario
        for scenario in (
            parse(each.read_text("utf-8"), each.name) for each in found if each.name.endswith(".toml")
        )
    }


def _line(text: str, path: str) -> int:
    """The line of what a path like `.fault[1].end` means; that of its table if it isn't written down."""
    steps = [(match["name"], match["index"]) for match in _STEP.finditer(path)]
    lines = text.splitlines()
    table = steps[0][0] if steps and len(steps) > 1 else None
    index = next((int(at) for _, at in steps if at is not None and at != "..."), 0)
    first = 0
    if table is not None:
        header = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]\]?")
        found = [number for number, line in enumerate(lines) if header.match(line)]
        if not found:
            return 1
        first = found[min(index, len(found) - 1)]
    name = steps[-1][0] if steps else None
    key = re.compile(rf"\s*{re.escape(name or '')}\s*=")
    for number in range(first + (table is not None), len(lines)):
        if re.match(r"\s*\[", lines[number]) and name is not None and key.match(lines[number]) is None:
            break
        if name is not None and key.match(lines[number]):
            return number + 1
    return first + 1
