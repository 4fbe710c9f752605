"""Who may command and who may answer: I7."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import (
    Fault,
    FaultKind,
    FrameTaken,
    Place,
    SessionClosed,
    SessionOpened,
)
from tests.simulation.invariants.record import Invariant, Record, Violation


def check_sessions(record: Record) -> Iterator[Violation]:
    """I7: epochs and terms only grow, stale frames and sockets do nothing, only the owner acts and answers."""
    yield from _check_openings(record)
    for closed in record.of(SessionClosed):
        if 0 < closed.socket_epoch < closed.epoch:
            sentence = f"the end of socket {closed.socket_epoch} closed the newer session {closed.epoch}"
            yield Violation(Invariant.I7, closed.agent, sentence, (closed,))
    yield from _check_frames(record)
    yield from _check_owners(record)


def _check_openings(record: Record) -> Iterator[Violation]:
    newest: dict[str, SessionOpened] = {}
    for opened in record.of(SessionOpened):
        before = newest.get(opened.agent)
        if before is not None and opened.term < before.term:
            sentence = f"a session of term {opened.term} was opened after one of term {before.term}"
            yield Violation(Invariant.I7, opened.agent, sentence, (before, opened))
        elif before is not None and opened.epoch <= before.epoch and not _both_forgot(record, before, opened):
            sentence = f"epoch {opened.epoch} was opened after epoch {before.epoch}"
            yield Violation(Invariant.I7, opened.agent, sentence, (before, opened))
        if before is None or (opened.term, opened.epoch) > (before.term, before.epoch):
            newest[opened.agent] = opened


def _both_forgot(record: Record, before: SessionOpened, opened: SessionOpened) -> bool:
    """Whether nobody is left who knows the last epoch: then the newer term alone tells the sessions apart."""
    if record.restore_after(before, opened.order) is None or opened.term <= before.term:
        return False
    return not any(
        frame.agent == before.agent and (frame.epoch, frame.term) == (before.epoch, before.term)
        for frame in record.of(FrameTaken)
    ) or any(
        fault.kind is FaultKind.LEDGER_LOST and fault.agent == before.agent for fault in record.of(Fault)
    )


def _check_frames(record: Record) -> Iterator[Violation]:
    openings: dict[str, list[SessionOpened]] = {}
    for opened in record.of(SessionOpened):
        openings.setdefault(opened.agent, []).append(opened)
    for frame in record.of(FrameTaken):
        subject = frame.command_id or frame.agent
        if frame.epoch != frame.current_epoch or frame.term != frame.current_term:
            sentence = (
                f"{frame.kind} of epoch {frame.epoch}, term {frame.term} was acted on "
                f"in epoch {frame.current_epoch}, term {frame.current_term}"
            )
            yield Violation(Invariant.I7, subject, sentence, (frame,))
            continue
        if frame.taker is not Place.CONTROLLER:
            continue
        if frame.sender != frame.agent:
            sentence = f"{frame.kind} of {frame.sender} was taken for one of {frame.agent}"
            yield Violation(Invariant.I7, subject, sentence, (frame,))
            continue
        # The controller opens sessions itself, so it knows of a newer one; an agent may not have heard yet.
        newer = _newer(openings.get(frame.agent, []), frame)
        if newer is not None:
            sentence = (
                f"{frame.kind} of epoch {frame.epoch} was acted on after epoch {newer.epoch} was opened"
            )
            yield Violation(Invariant.I7, subject, sentence, (newer, frame))


def _newer(openings: list[SessionOpened], frame: FrameTaken) -> SessionOpened | None:
    for opened in reversed(openings):
        if opened.order < frame.order:
            return opened if opened.term >= frame.term and opened.epoch > frame.epoch else None
    return None


def _check_owners(record: Record) -> Iterator[Violation]:
    for story in record.stories.values():
        if not story.accepts:
            continue
        accept = story.accepts[0]
        for effect in story.effects:
            if effect.agent != accept.agent:
                sentence = f"an effect happened on {effect.agent}, though it belongs to {accept.agent}"
                yield Violation(Invariant.I7, story.command_id, sentence, (accept, effect))
        for result in story.results:
            if result.agent not in ("", accept.agent):
                sentence = f"its result came from {result.agent}, though it belongs to {accept.agent}"
                yield Violation(Invariant.I7, story.command_id, sentence, (accept, result))
