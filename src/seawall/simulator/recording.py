"""The recorded history of a real fleet, run against another policy.

Taken from the record are when which command was asked for, and how attempts on each host went in each minute: their
outcomes and how long they took. An attempt of the simulation draws one of those that the host really saw in that
minute. So the record's troubles meet the new policy, but they don't react to it: a host that was slow *because* it was
asked too much stays as slow when it is asked less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec
from msgspec import Struct

from seawall.client.models import Command as RecordedCommand
from seawall.core.command import Outcome, SafetyClass, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.retry import Dice
from seawall.operations.registry import OPERATIONS
from seawall.simulator.host import Delivery, Host, HostModel
from seawall.simulator.link import Link
from seawall.simulator.plane import Order
from seawall.simulator.timeline import Timeline
from seawall.simulator.world import World

_MINUTE = 60.0
_LONGEST_SECONDS = 7 * 24 * 3600.0
_DEFAULT_TIMEOUT_SECONDS = 30.0
_UNANSWERED = frozenset({CommandErrorCode.TIMEOUT, CommandErrorCode.OUTCOME_UNKNOWN})


class RecordingInvalid(ValueError):
    """A record that can't be replayed. The message says why."""


class Request(Struct, frozen=True):
    """A command as it was asked for, `at` seconds after the first one."""

    at: float
    host: str
    order: Order


class Sample(Struct, frozen=True):
    """How one attempt went; without an outcome nobody answered."""

    seconds: float
    outcome: Outcome | None


class Recording(Struct, frozen=True):
    """A history as a play. Samples are by host and minute since its start."""

    name: str
    seconds: float
    requests: tuple[Request, ...]
    samples: dict[str, dict[int, list[Sample]]]

    @property
    def healed_at(self) -> float | None:
        """A record doesn't say when its troubles were over."""
        return None

    def stage(self, world: World) -> Sequence[Link]:
        """See `world.Play`."""
        everybody = [
            each for minutes in self.samples.values() for found in minutes.values() for each in found
        ]
        links = {}
        for name in sorted({request.host for request in self.requests}):
            host = RecordedHost(name, self.samples.get(name, {}), everybody, world.timeline, world.dice(name))
            links[name] = world.connect(host)
        for request in self.requests:
            world.timeline.at(request.at, partial(world.plane.submit, links[request.host], request.order))
        return list(links.values())


class RecordedHost(Host):
    """Answers as it did in that minute of its history; in a minute without attempts as in the nearest that has some."""

    def __init__(
        self,
        name: str,
        minutes: dict[int, list[Sample]],
        everybody: Sequence[Sample],
        timeline: Timeline,
        dice: Dice,
    ) -> None:
        super().__init__(name, HostModel(latency_seconds=0.0), timeline, dice)
        self._minutes = minutes
        self._everybody = everybody

    def receive(self, delivery: Delivery) -> None:
        """A command arrives."""
        samples = self._samples(int(self.timeline.now / _MINUTE))
        sample = samples[int(self.dice() * len(samples))]
        if sample.outcome is not None:
            self.timeline.after(sample.seconds, partial(self.answer, delivery, sample.outcome))

    def _samples(self, minute: int) -> Sequence[Sample]:
        found = self._minutes.get(minute)
        if found is not None:
            return found
        nearest = min(self._minutes, key=lambda other: (abs(other - minute), other), default=None)
        return self._everybody if nearest is None else self._minutes[nearest]


def read_recording(text: bytes, source: str) -> Recording:
    """Read what `seawall command list --json` prints; raises RecordingInvalid."""
    try:
        commands = msgspec.json.decode(text, type=list[RecordedCommand])
    except msgspec.DecodeError as error:
        raise RecordingInvalid(
            f"{source} is not what `seawall command list --json` prints: {error}"
        ) from error
    return recorded(commands, source)


def recorded(commands: Iterable[RecordedCommand], source: str) -> Recording:
    """A recording of these commands; raises RecordingInvalid if there is nothing to learn from them."""
    accepted = sorted(
        ((each.accepted_at, each) for each in commands if each.accepted_at is not None),
        key=lambda pair: (pair[0], pair[1].command_id),
    )
    if not accepted:
        raise RecordingInvalid(f"{source} has no commands: there is nothing to replay")
    start = accepted[0][0]
    seconds = (accepted[-1][0] - start).total_seconds() + 1.0
    if seconds > _LONGEST_SECONDS:
        raise RecordingInvalid(f"{source} covers {seconds / 86_400:.1f} days; replay seven at most at a time")
    samples: dict[str, dict[int, list[Sample]]] = {}
    requests = []
    for accepted_at, command in accepted:
        requests.append(Request((accepted_at - start).total_seconds(), command.agent, _order(command)))
        for at, sample in _samples(command, start):
            samples.setdefault(command.agent, {}).setdefault(int(at / _MINUTE), []).append(sample)
    if not samples:
        raise RecordingInvalid(f"{source} has no attempt that is over: there is nothing to learn from it")
    return Recording(source, seconds, tuple(requests), samples)


def _order(command: RecordedCommand) -> Order:
    timeout_seconds = command.timeout_seconds or _DEFAULT_TIMEOUT_SECONDS
    operation = OPERATIONS.get(command.operation)
    changes = operation is None or operation.safety is not SafetyClass.SAFE_READ
    return Order(timeout_seconds, None, changes)


def _samples(command: RecordedCommand, start: datetime) -> Iterable[tuple[float, Sample]]:
    for attempt in command.attempts:
        if attempt.finished_at is None:
            continue
        seconds = (attempt.finished_at - attempt.started_at).total_seconds()
        at = (attempt.started_at - start).total_seconds()
        yield max(at, 0.0), Sample(max(seconds, 0.0), _outcome(attempt.error_code, attempt.circumstance))


def _outcome(code: str | None, circumstance: str) -> Outcome | None:
    if code is None:
        return Outcome(source=Source.AGENT)
    try:
        known = CommandErrorCode(code)
    except ValueError:
        known = CommandErrorCode.UNKNOWN_ERROR
    if known in _UNANSWERED:
        return None
    try:
        return Outcome(known, circumstance=Circumstance(circumstance))
    except ValueError:
        return Outcome(known)
