"""A history made ready for questions: one pass sorts its events by kind and by command; rules then read it in lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import (
    AcceptedDurable,
    Acknowledged,
    Effect,
    Event,
    Fault,
    FaultKind,
    Healed,
    LedgerDone,
    OperatorResolved,
    Place,
    Quarantined,
    ResultCommitted,
    StateCommitted,
    StateShown,
)

E = TypeVar("E", bound=Event)

_TURNED_AWAY = frozenset({CommandErrorCode.CIRCUIT_OPEN, CommandErrorCode.BULKHEAD_FULL})

NEVER_STARTED = frozenset({CommandState.REJECTED, CommandState.EXPIRED, CommandState.CANCELLED})


class Invariant(Enum):
    """What must hold in every history; the words are those of a report."""

    I1 = "at most one effect per command and step"
    I2 = "an effect follows an accept, and no proof that it will not be"
    I3 = "what was accepted stays, and becomes final"
    I4 = "a durable result is committed unchanged, then acknowledged"
    I5 = "a final state says the truth about the effect"
    I6 = "final states are stable, and shown only once they are durable"
    I7 = "effects and results come from the newest epoch and the owner"
    I8 = "one idempotency key, one command"
    I9 = "changes of one container never overlap and keep their order"
    I10 = "nothing starts past its deadline"
    I11 = "an event cursor has no gap"
    I12 = "once the faults heal, everything calms down"
    I13 = "the audit chain verifies"


class Violation(Struct, frozen=True):
    """An invariant that doesn't hold: for whom (a command, an agent, a key ...), what is wrong, and the proof."""

    invariant: Invariant
    subject: str
    sentence: str
    proof: tuple[Event, ...]

    def __str__(self) -> str:
        lines = [f"{self.invariant.name} ({self.invariant.value}): {self.subject}: {self.sentence}"]
        lines += [f"    #{event.order} {event!r}" for event in self.proof]
        return "\n".join(lines)


class Story(Struct):
    """All that happened to one command, each list in order. One that was imported has several accepts."""

    command_id: str
    accepts: list[AcceptedDurable] = msgspec.field(default_factory=list)
    commits: list[StateCommitted] = msgspec.field(default_factory=list)
    shown: list[StateShown] = msgspec.field(default_factory=list)
    effects: list[Effect] = msgspec.field(default_factory=list)
    done: list[LedgerDone] = msgspec.field(default_factory=list)
    results: list[ResultCommitted] = msgspec.field(default_factory=list)
    acknowledged: list[Acknowledged] = msgspec.field(default_factory=list)
    resolved: list[OperatorResolved] = msgspec.field(default_factory=list)

    @property
    def turned_away(self) -> bool:
        """Whether nothing was ever sent, because a circuit was open or too much was under way.

        Its idempotency key is free again then, and it may have no sequence.
        """
        return any(result.code in _TURNED_AWAY for result in self.results) and any(
            commit.state is CommandState.REJECTED for commit in self.commits
        )

    @property
    def read(self) -> bool:
        """Whether it only reads."""
        return bool(self.accepts) and self.accepts[0].safety is SafetyClass.SAFE_READ


class Span(Struct, frozen=True):
    """A fault from its beginning to its end (seconds of the world's clock)."""

    fault: Fault
    begins_at: float
    ends_at: float


class Record:
    """A history, sorted. The three durations are the allowances of `checker.check`."""

    def __init__(
        self,
        history: Iterable[Event],
        *,
        skew_seconds: float,
        settle_seconds: float,
        aftermath_seconds: float = 0.0,
    ) -> None:
        self.aftermath_seconds = aftermath_seconds
        self.skew_seconds = skew_seconds
        self.settle_seconds = settle_seconds
        events = sorted(history, key=lambda event: event.order)
        self._by_kind: dict[type[Event], list[Event]] = {}
        for event in events:
            self._by_kind.setdefault(type(event), []).append(event)
        self.ends_at = max((event.at for event in events[-1:]), default=0.0)
        self.stories: dict[str, Story] = {}
        self._collect()
        self.healed = next(iter(self.of(Healed)), None)
        self.restores = [
            fault for fault in self.of(Fault) if fault.kind is FaultKind.RESTORED and not fault.ended
        ]
        self.spans = list(_spans(self.of(Fault), self.healed))
        self.out = self._out()

    def of(self, kind: type[E]) -> Sequence[E]:
        """All events of this kind, in order."""
        return cast("list[E]", self._by_kind.get(kind, ()))

    def restore_after(self, event: Event, before: float = float("inf")) -> Fault | None:
        """The restore from a backup that took back what `event` made durable, if one came (before this `order`)."""
        for restore in self.restores:
            if restore.backup_order < event.order < restore.order < before:
                return restore
        return None

    def fault_over(self, agent: str, begins_at: float, ends_at: float) -> bool:
        """Whether a fault of the controller, or of this agent, its link or its Docker, overlaps that time.

        Its consequences may last until the heartbeats have shown what it did to the connections.
        """
        return any(
            span.begins_at <= ends_at
            and span.ends_at + self.aftermath_seconds >= begins_at
            and (span.fault.place is Place.CONTROLLER or span.fault.agent in ("", agent))
            for span in self.spans
        )

    def ledger_lost(self, agent: str, after: Event, before: float = float("inf")) -> bool:
        """Whether a new ledger, or an older copy, took the place of this agent's after that (before this `order`)."""
        return any(
            fault.kind is FaultKind.LEDGER_LOST
            and fault.agent == agent
            and after.order < fault.order < before
            for fault in self.of(Fault)
        )

    def due_at(self, since: float = 0.0) -> float | None:
        """When what began at `since` must have calmed down; None if the history doesn't reach that far."""
        if self.healed is None:
            return None
        due = max(self.healed.at, since) + self.settle_seconds
        return due if due <= self.ends_at else None

    def _story(self, command_id: str) -> Story:
        story = self.stories.get(command_id)
        if story is None:
            story = self.stories[command_id] = Story(command_id)
        return story

    def _collect(self) -> None:
        story = self._story
        for accept in self.of(AcceptedDurable):
            story(accept.command_id).accepts.append(accept)
        for commit in self.of(StateCommitted):
            story(commit.command_id).commits.append(commit)
        for shown in self.of(StateShown):
            story(shown.command_id).shown.append(shown)
        for effect in self.of(Effect):
            if effect.command_id is not None:
                story(effect.command_id).effects.append(effect)
        for done in self.of(LedgerDone):
            story(done.command_id).done.append(done)
        for result in self.of(ResultCommitted):
            story(result.command_id).results.append(result)
        for acknowledged in self.of(Acknowledged):
            story(acknowledged.command_id).acknowledged.append(acknowledged)
        for resolved in self.of(OperatorResolved):
            story(resolved.command_id).resolved.append(resolved)

    def _out(self) -> frozenset[str]:
        """Agents that are kept out at the end: nobody can expect an answer of them."""
        out: set[str] = set()
        for event in self.of(Quarantined):
            (out.discard if event.released else out.add)(event.agent)
        revoked: set[str] = set()
        for fault in self.of(Fault):
            if fault.kind is FaultKind.REVOKED:
                (revoked.discard if fault.ended else revoked.add)(fault.agent)
        return frozenset(out | revoked)


def _spans(faults: Sequence[Fault], healed: Healed | None) -> Iterable[Span]:
    """Pairs beginnings with ends; what has no end lasts until the healing."""
    begun: dict[tuple[FaultKind, Place, str], list[Fault]] = {}
    for fault in faults:
        key = (fault.kind, fault.place, fault.agent)
        if not fault.ended:
            begun.setdefault(key, []).append(fault)
        elif begun.get(key):
            beginning = begun[key].pop()
            yield Span(beginning, beginning.at, fault.at)
    last = healed.at if healed is not None else float("inf")
    for left in begun.values():
        for fault in left:
            yield Span(
                fault, fault.at, float("inf") if fault.kind is FaultKind.REVOKED else max(last, fault.at)
            )
