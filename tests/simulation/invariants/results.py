"""From the agent's ledger to the controller's record: I4."""

from __future__ import annotations

from collections.abc import Iterator

from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import FrameTaken, LedgerDone, Place, Rare, Reached, ResultCommitted
from tests.simulation.invariants.record import Invariant, Record, Story, Violation
from tests.simulation.invariants.states import current_state


def check_results(record: Record) -> Iterator[Violation]:
    """I4: a row DONE never changes, reaches the record as it is, and is acknowledged only when it is there."""
    for story in record.stories.values():
        if story.done:
            yield from _check_rows(record, story)
            yield from _check_committed(record, story, story.done[-1])
        if story.acknowledged:
            yield from _check_acknowledged(record, story)


def _check_rows(record: Record, story: Story) -> Iterator[Violation]:
    first: dict[str, LedgerDone] = {}
    for row in story.done:
        earlier = first.setdefault(row.ledger_id, row)
        if record.ledger_lost(row.agent, earlier, row.order):
            first[row.ledger_id] = row
        elif (row.code, row.digest) != (earlier.code, earlier.digest):
            sentence = f"its row in the ledger said {_word(earlier)} and later {_word(row)}"
            yield Violation(Invariant.I4, story.command_id, sentence, (earlier, row))


def _check_committed(record: Record, story: Story, row: LedgerDone) -> Iterator[Violation]:
    results = [result for result in story.results if record.restore_after(result) is None]
    last = results[-1] if results else None
    if story.resolved or (last is not None and _same(row, last)):
        return
    if last is not None and any(
        _same(earlier, last) and record.ledger_lost(row.agent, earlier, row.order) for earlier in story.done
    ):
        return  # an older copy of the ledger came to another conclusion
    if last is not None and last.code is not None and _was_void(record, story, row, last):
        return  # and here one that doesn't know that there was no effect
    if last is not None and _lost_for_good(record, story, row, last):
        return  # its ledger was lost, which settles it; what a copy of it knows makes no difference
    now = current_state(record, story, record.ends_at)
    gone = _row_is_gone(record, story, row)
    if gone and (now is None or now.state is CommandState.UNKNOWN):
        return
    if last is not None and now is not None and now.state.final and now.settled:
        sentence = f"the ledger says {_word(row)}, but {_word(last)} was committed"
        yield Violation(Invariant.I4, story.command_id, sentence, (row, last))
    elif not gone and row.agent not in record.out and record.due_at(row.at) is not None:
        sentence = f"the ledger says {_word(row)}, which was never committed"
        yield Violation(Invariant.I4, story.command_id, sentence, (row,) if now is None else (row, now))


def _was_void(record: Record, story: Story, row: LedgerDone, last: ResultCommitted) -> bool:
    """Whether the ledger had ruled out an effect before that was committed, and this row is from another."""
    return any(
        reached.name == Rare.VOID
        and reached.command_id == story.command_id
        and reached.order < last.order
        and record.ledger_lost(row.agent, reached, row.order)
        for reached in record.of(Reached)
    )


def _lost_for_good(record: Record, story: Story, row: LedgerDone, last: ResultCommitted) -> bool:
    """Whether the controller gave up on a lost ledger, and this row is from a copy of it: that came later, or it is in
    the place of the ledger since, and knows of the command because it had come to the host before."""
    agent = row.agent
    gave_up = last.code is CommandErrorCode.OUTCOME_UNKNOWN and not last.agent
    if not gave_up or not any(record.ledger_lost(agent, accept, last.order) for accept in story.accepts[:1]):
        return False
    return record.ledger_lost(agent, last, row.order) or any(
        record.ledger_lost(agent, frame, min(last.order, row.order))
        for frame in record.of(FrameTaken)
        if frame.taker is Place.AGENT and frame.agent == agent and frame.command_id == story.command_id
    )


def _row_is_gone(record: Record, story: Story, row: LedgerDone) -> bool:
    """Lost with its ledger, or forgotten after an acknowledgement that a restored controller doesn't remember."""
    return record.ledger_lost(row.agent, row) or any(
        acknowledged.order < restore.order
        for restore in record.restores
        for acknowledged in story.acknowledged
        if acknowledged.order > row.order
    )


def _check_acknowledged(record: Record, story: Story) -> Iterator[Violation]:
    final = [commit for commit in story.commits if commit.state.final]
    for acknowledged in story.acknowledged:
        before = acknowledged.order
        durable = any(
            event.order < before and record.restore_after(event, before) is None
            for event in (*story.results, *final)
        )
        if not durable:
            sentence = f"its result was acknowledged to {acknowledged.agent} before it was committed"
            proof = (acknowledged, *story.results[:1])
            yield Violation(Invariant.I4, story.command_id, sentence, proof)


def _same(row: LedgerDone, result: ResultCommitted) -> bool:
    comparable = row.digest and result.digest
    return row.code is result.code and (not comparable or row.digest == result.digest)


def _word(outcome: LedgerDone | ResultCommitted) -> str:
    code = "success" if outcome.code is None else outcome.code.value
    return f"{code} ({outcome.digest})" if outcome.digest else code
