"""What commands, circuits and alerts of some time say together: which errors repeat, how reliable hosts are. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from seawall.core.command import CommandState
from seawall.core.errors import Circumstance, CommandErrorCode, by_fault_of_its_host
from seawall.engine.downtime import Down, availability, down_within
from seawall.engine.durations import Durations
from seawall.engine.history import PastCommand, PastFailure
from seawall.engine.records import AgentRecord

MOST_COMMANDS: Final = 1_000_000
MOST_PATTERNS: Final = 20_000
"""Different patterns that are told apart; failures that belong to none of them are counted."""

_MOST_PARTS: Final = 31
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_WIDTHS: Final = (
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 6 * _HOUR),
    *(_DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY),
)
LONGEST_SECONDS: Final = 366.0 * _DAY


# There may be tens of thousands of these two, so that the garbage collector isn't to look at them or what they hold.


class ErrorPattern(Struct, frozen=True, gc=False):
    """How often an operation failed on a host with a code, altogether and in each part of the time."""

    code: str
    agent_id: str
    host: str
    operation: str
    total: int
    counts: tuple[int, ...]


class HostFigures(Struct, frozen=True, gc=False):
    """How reliable a host was. Shares are from 0 to 1; durations are those of commands that succeeded, with all waits.

    `failed` counts commands that failed by the host's fault, and those whose outcome isn't known. `outages` is how
    often it was down, `mtbf_seconds` how long it was up for each of those, `mttr_seconds` how long one that is over
    took. `reliability` is the availability times the share of commands that didn't fail.
    """

    agent_id: str
    host: str
    commands: int
    succeeded: int
    failed: int
    reliability: float
    availability: float
    down_seconds: float
    outages: int
    mtbf_seconds: float | None
    mttr_seconds: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    availabilities: tuple[float | None, ...]


class Spread(Struct, frozen=True):
    """How long the commands of a part of the time took that succeeded, and how many there were."""

    commands: int
    p50_seconds: float | None
    p95_seconds: float | None


class Analytics(Struct, frozen=True):
    """The figures of a time, in parts of equal length that begin at `parts`; the first and the last may be cut short.

    Hosts come the least reliable first, patterns the most frequent first. `commands` is how many were looked at; if
    `complete` is false those were the newest, and go back to `read_back_to` only. `unlisted_failures` belong to
    patterns that were too many to be told apart.
    """

    begins_at: datetime
    ends_at: datetime
    part_seconds: float
    parts: list[datetime]
    commands: int
    failures: int
    complete: bool
    read_back_to: datetime
    patterns: list[ErrorPattern]
    unlisted_failures: int
    hosts: list[HostFigures]
    durations: list[Spread]

    def first(self, limit: int) -> Analytics:
        """The same, with so many hosts and patterns at most."""
        unlisted = sum(pattern.total for pattern in self.patterns[limit:])
        return Analytics(
            *(self.begins_at, self.ends_at, self.part_seconds, self.parts, self.commands, self.failures),
            *(self.complete, self.read_back_to, self.patterns[:limit], self.unlisted_failures + unlisted),
            *(self.hosts[:limit], self.durations),
        )


class Window:
    """A time between two moments, in seconds since 1970, and its parts: they begin at even times, UTC."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end
        self.width = next((each for each in _WIDTHS if (end - begin) / each <= _MOST_PARTS - 1), _WIDTHS[-1])
        first = begin // self.width * self.width
        self._starts = [first + n * self.width for n in range(int((end - first) // self.width) + 1)]

    @property
    def starts(self) -> list[float]:
        """When its parts begin."""
        return [max(start, self.begin) for start in self._starts]

    @property
    def edges(self) -> list[float]:
        """When its parts begin, and when the last one ends."""
        return [*self.starts, self.end]

    def part(self, at: float) -> int:
        """The number of the part that a moment is in; what is outside belongs to the part beside it."""
        return max(0, bisect_right(self._starts, at) - 1)


class _Host:
    __slots__ = ("commands", "durations", "failed", "name", "succeeded")

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands = self.succeeded = self.failed = 0
        self.durations = Durations()


class Tally:
    """Counts the commands of a time, page by page."""

    def __init__(self, window: Window, most_patterns: int = MOST_PATTERNS) -> None:
        self._window = window
        self._most_patterns = most_patterns
        self.commands = self.failures = self.unlisted = 0
        self.oldest = window.end
        self._hosts: dict[str, _Host] = {}
        self._patterns: dict[tuple[str, str, str], array[int]] = {}
        self._durations = [Durations() for _ in window.starts]

    def take(self, commands: Sequence[PastCommand]) -> bool:
        """Count those that were accepted in the time; False if all are from before it."""
        begin, end, goes_on = self._window.begin, self._window.end, False
        for command in commands:
            if command.accepted_at >= begin:
                goes_on = True
                if command.accepted_at <= end:
                    self._count(command)
        return goes_on

    def _count(self, command: PastCommand) -> None:
        host = self._hosts.get(command.agent_id)
        if host is None:
            host = self._hosts[command.agent_id] = _Host(command.agent)
        self.commands += 1
        self.oldest = min(self.oldest, command.accepted_at)
        host.commands += 1
        if command.state == CommandState.SUCCEEDED.value:
            host.succeeded += 1
            host.durations.add(command.duration_seconds)
            self._durations[self._window.part(command.accepted_at)].add(command.duration_seconds)
        elif _failed_by_its_host(command):
            host.failed += 1
        for failure in command.failures:
            self._note(command, failure)

    def _note(self, command: PastCommand, failure: PastFailure) -> None:
        self.failures += 1
        key = (failure.code, command.agent_id, command.operation)
        counts = self._patterns.get(key)
        if counts is None:
            if len(self._patterns) >= self._most_patterns:
                self.unlisted += 1
                return
            counts = self._patterns[key] = array("L", [0]) * len(self._durations)
        counts[self._window.part(failure.at)] += 1

    def figures(
        self, agents: Sequence[AgentRecord], downs: Mapping[str, Sequence[Down]], *, complete: bool
    ) -> Analytics:
        """All of it together, for these hosts and those that had commands."""
        window = self._window
        known = {agent.agent_id: agent for agent in agents}
        counted = {agent.agent_id: _Host(agent.name) for agent in agents} | self._hosts
        hosts = [
            self._host(agent_id, host, known.get(agent_id), downs.get(agent_id, ()))
            for agent_id, host in counted.items()
        ]
        hosts.sort(key=lambda host: (host.reliability, -(host.p95_seconds or 0.0), host.host))
        patterns = [
            ErrorPattern(
                *(code, agent_id, self._hosts[agent_id].name, operation),
                total=sum(counts),
                counts=tuple(counts),
            )
            for (code, agent_id, operation), counts in self._patterns.items()
        ]
        patterns.sort(key=lambda each: (-each.total, each.code, each.host, each.operation))
        return Analytics(
            begins_at=_moment(window.begin),
            ends_at=_moment(window.end),
            part_seconds=float(window.width),
            parts=[_moment(start) for start in window.starts],
            commands=self.commands,
            failures=self.failures,
            complete=complete,
            read_back_to=_moment(window.begin if complete else self.oldest),
            patterns=patterns,
            unlisted_failures=self.unlisted,
            hosts=hosts,
            durations=[
                Spread(each.count, each.percentile(50), each.percentile(95)) for each in self._durations
            ],
        )

    def _host(
        self, agent_id: str, host: _Host, agent: AgentRecord | None, downs: Sequence[Down]
    ) -> HostFigures:
        window = self._window
        joined = agent.joined_at.timestamp() if agent is not None else window.begin
        begin = min(max(window.begin, joined), window.end)
        length = window.end - begin
        down = down_within(downs, begin, window.end)
        ended = [each.end - each.begin for each in downs if each.over]
        share = 1.0 - down / length if length > 0 else 1.0
        return HostFigures(
            agent_id=agent_id,
            host=host.name,
            commands=host.commands,
            succeeded=host.succeeded,
            failed=host.failed,
            reliability=share * (1.0 - host.failed / host.commands if host.commands else 1.0),
            availability=share,
            down_seconds=down,
            outages=len(downs),
            mtbf_seconds=(length - down) / len(downs) if downs else None,
            mttr_seconds=sum(ended) / len(ended) if ended else None,
            p50_seconds=host.durations.percentile(50),
            p95_seconds=host.durations.percentile(95),
            p99_seconds=host.durations.percentile(99),
            availabilities=tuple(availability(downs, window.edges, begin)),
        )


def _failed_by_its_host(command: PastCommand) -> bool:
    if command.state == CommandState.UNKNOWN.value:
        return True
    if command.state != CommandState.FAILED.value or not command.failures:
        return False
    last = command.failures[-1]
    try:
        code, circumstance = CommandErrorCode(last.code), Circumstance(last.circumstance)
    except ValueError:
        # Of a version that had other words.
        return True
    return by_fault_of_its_host(code, circumstance)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
