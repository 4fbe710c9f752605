"""Tells a command's life in words, from what was recorded: what happened when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from seawall.clock import Clock, wall_of
from seawall.core.command import CommandState
from seawall.core.events import CommandParked, RetryScheduled, SlotAwaited
from seawall.engine.records import AttemptRecord, CommandRecord, DecisionRecord, TransitionRecord
from seawall.engine.settlement import MIRROR

STOPPED = {
    "attempts": "no attempt follows: all {max_attempts} have been made",
    "deadline": "no attempt follows: the next one could not end before the deadline",
    "circuit": "no attempt follows: a circuit of the host has opened meanwhile",
    "bulkhead": "no attempt follows: the host has too much under way",
    "agent_budget": "no attempt follows: the host's retry budget is used up, so that retries don't add to its load",
    "plane_budget": "no attempt follows: the retry budget of the whole plane is used up",
    "history": "no attempt follows: of the latest retries after this kind of failure almost none succeeded",
    "cancelled": "no attempt follows: it was cancelled",
}


class Line(Struct, frozen=True):
    """One line of a timeline; `kind` is a word for programs, `text` a sentence for people."""

    at: datetime
    kind: str
    text: str


def decision_of(event: RetryScheduled | CommandParked | SlotAwaited, clock: Clock) -> DecisionRecord:
    """The decision that an event tells of, in values that last."""
    at = wall_of(clock, event.at)
    match event:
        case RetryScheduled():
            code = event.outcome.code
            asked = event.outcome.retry_after_seconds is not None
            return DecisionRecord(
                at,
                "retry",
                {
                    "attempt": event.failed_attempts + 1,
                    "of": event.max_attempts,
                    "delay_seconds": event.delay_seconds,
                    "error_code": code.value if code is not None else None,
                    "asked_for": asked,
                },
            )
        case CommandParked():
            endless = event.until == float("inf")
            return DecisionRecord(
                at, "parked", {"until": None if endless else wall_of(clock, event.until).isoformat()}
            )
        case SlotAwaited():
            return DecisionRecord(at, "slot", {"waited_seconds": event.waited_seconds, "got": event.got})


def explain(
    record: CommandRecord, decisions: Sequence[DecisionRecord], transitions: Sequence[TransitionRecord]
) -> list[Line]:
    """The timeline of a command. Of the `transitions` of its host's circuits those of its time are told."""
    ends_at = record.finished_at
    lines = [Line(record.accepted_at, "accepted", _accepted(record))]
    for attempt in record.attempts:
        lines += _attempt(record, attempt)
    lines += [Line(decision.at, decision.kind, _decision(decision)) for decision in decisions]
    lines += [
        Line(change.at, "circuit", _circuit(change))
        for change in transitions
        if change.at >= record.accepted_at and (ends_at is None or change.at <= ends_at)
    ]
    if ends_at is not None:
        if record.stopped_by is not None:
            text = STOPPED.get(record.stopped_by, f"no attempt follows ({record.stopped_by})")
            lines.append(Line(ends_at, "stopped", text.format(max_attempts=record.max_attempts)))
        lines.append(Line(ends_at, "finished", _finished(record)))
        if record.fallback is not None:
            lines.append(Line(ends_at, "fallback", _fallback(record.fallback)))
    # What happened at the same moment stays in the order in which it is told here.
    return sorted(lines, key=lambda line: line.at)


def _accepted(record: CommandRecord) -> str:
    by = f" from {record.requested_by}" if record.requested_by else ""
    seconds = (record.deadline_at - record.accepted_at).total_seconds()
    number = f" as number {record.sequence} of its changes" if record.sequence else ""
    return (
        f"{record.operation} for host {record.agent} was accepted{by}{number}: {record.max_attempts} attempts of "
        f"{record.timeout_seconds:g} s each, all within {seconds:.0f} s"
    )


def _attempt(record: CommandRecord, attempt: AttemptRecord) -> list[Line]:
    lines = [Line(attempt.started_at, "attempt", f"attempt {attempt.number} was sent")]
    if attempt.finished_at is None:
        return lines
    seconds = (attempt.finished_at - attempt.started_at).total_seconds()
    if attempt.error_code is None:
        text = f"attempt {attempt.number} succeeded after {seconds:.2f} s"
    elif attempt.circumstance == "not_sent":
        lines[0] = Line(attempt.started_at, "attempt", f"attempt {attempt.number} was to be sent")
        text = f"attempt {attempt.number} was not sent ({attempt.error_code}): {attempt.error}"
    else:
        text = (
            f"attempt {attempt.number} failed after {seconds:.2f} s ({attempt.error_code}): {attempt.error}"
        )
    return [*lines, Line(attempt.finished_at, "outcome", text)]


def _circuit(change: TransitionRecord) -> str:
    by = f" by {change.by}" if change.by else ""
    return f"the host's circuit ({change.domain}) went from {change.origin} to {change.target}{by}: {change.reason}"


def _decision(decision: DecisionRecord) -> str:
    said = decision.content
    match decision.kind:
        case "retry":
            why = "as the host asked" if said.get("asked_for") else "back-off with jitter"
            return (
                f"attempt {said.get('attempt')} of {said.get('of')} follows in {_number(said, 'delay_seconds'):.2f} s "
                f"({why}), because of {said.get('error_code')}"
            )
        case "parked":
            until = f", until {said['until']} at most" if said.get("until") else ""
            return f"it waits for the host to connect{until}"
        case "slot":
            waited = _number(said, "waited_seconds")
            came = "and got one" if said.get("got") else "in vain"
            return f"it waited {waited:.2f} s for one of the host's slots, {came}"
        case "remediation":
            return f"the rule {said.get('rule')} asked for it, try {said.get('number')}: {said.get('reason')}"
        case "settled":
            if said.get("by"):
                return f"{said['by']} resolved it as {said.get('state')}: {said.get('reason')}"
            return f"the agent's ledger told that it was {said.get('state')}"
        case _:
            return f"{decision.kind}: {said}"


def _finished(record: CommandRecord) -> str:
    took = f"after {record.duration_seconds:.2f} s and {record.total_attempts} attempts"
    if record.state is CommandState.SUCCEEDED:
        return f"it is SUCCEEDED {took}"
    return f"it is {record.state.value} {took} ({record.error_code}): {record.error}"


def _fallback(given: dict[str, object]) -> str:
    if given.get("kind") == MIRROR:
        why = f" ({given['error_code']}): {given.get('error')}" if given.get("error_code") else ""
        return f"the mirror {given.get('mirror')} stood in for the image's registry, which could not be reached{why}"
    return (
        f"what the host had answered {_number(given, 'age_seconds'):.0f} s before (at {given.get('as_of')}) is given "
        "in its place, marked as stale: it may not be so any more, and the error stays"
    )


def _number(said: dict[str, object], name: str) -> float:
    value = said.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
