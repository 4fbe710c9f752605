"""What the controller said about a command, against the truth and against what it had said: I3, I5, I6."""

from __future__ import annotations

from collections.abc import Iterator

from seawall.core.command import CommandState
from tests.simulation.history import (
    AcceptedDurable,
    Answered,
    Effect,
    Fault,
    NotFound,
    StateCommitted,
    StateShown,
)
from tests.simulation.invariants.record import NEVER_STARTED, Invariant, Record, Story, Violation


def check_presence(record: Record) -> Iterator[Violation]:
    """I3: no 2xx before the commit, nothing accepted is lost, all of it becomes final."""
    for answer in record.of(Answered):
        if not answer.command_id or not 200 <= answer.status < 300:
            continue
        accepts = _accepts(record, answer.command_id)
        if not accepts or accepts[0].order > answer.order:
            sentence = f"the client was answered {answer.status} before the accept was durable"
            yield Violation(Invariant.I3, answer.command_id, sentence, (answer, *accepts[:1]))
    for miss in record.of(NotFound):
        for accept in _accepts(record, miss.command_id):
            if accept.order < miss.order and record.restore_after(accept, miss.order) is None:
                sentence = f"{miss.reader} was told that there is none, though it was accepted"
                yield Violation(Invariant.I3, miss.command_id, sentence, (accept, miss))
                break
    if record.healed is not None:
        for story in record.stories.values():
            yield from _check_finality(record, story)


def _accepts(record: Record, command_id: str) -> list[AcceptedDurable]:
    story = record.stories.get(command_id)
    return story.accepts if story is not None else []


def _check_finality(record: Record, story: Story) -> Iterator[Violation]:
    kept = [accept for accept in story.accepts if record.restore_after(accept) is None]
    if not kept:
        return
    accept = kept[-1]
    since = accept.deadline_at if accept.agent in record.out else accept.at
    due = record.due_at(since)
    if due is None:
        return
    last = current_state(record, story, due)
    if last is None or not last.state.final:
        state = "ACCEPTED" if last is None else last.state.value
        sentence = f"still {state} at {due}, {record.settle_seconds:g} s after all faults had healed"
        yield Violation(Invariant.I3, story.command_id, sentence, (accept, last) if last else (accept,))


def current_state(record: Record, story: Story, at: float) -> StateCommitted | None:
    """What the controller held of this command at that time: its last commit that no restore took back."""
    for commit in reversed(story.commits):
        if commit.at <= at:
            restore = record.restore_after(commit)
            if restore is None or restore.at > at:
                return commit
    return None


def check_truth(record: Record) -> Iterator[Violation]:
    """I5: SUCCEEDED has an effect, REJECTED, EXPIRED and CANCELLED have none, UNKNOWN has a fault."""
    outsiders: dict[tuple[str, str], list[Effect]] = {}
    for effect in record.of(Effect):
        if effect.command_id is None:
            outsiders.setdefault((effect.agent, effect.container), []).append(effect)
    for story in record.stories.values():
        if not story.accepts:
            continue
        for commit in story.commits:
            if not commit.state.final or _resolved(story, commit):
                continue
            lie = _lie(record, story, commit, outsiders)
            if lie is not None:
                yield lie
                break


def _lie(
    record: Record, story: Story, commit: StateCommitted, outsiders: dict[tuple[str, str], list[Effect]]
) -> Violation | None:
    accept = story.accepts[0]

    def violation(sentence: str, *proof: Effect) -> Violation:
        return Violation(Invariant.I5, story.command_id, sentence, (accept, *proof, commit))

    if commit.state is CommandState.UNKNOWN:
        if story.read:
            return violation("a read has no effect, so it can't be UNKNOWN")
        if not record.fault_over(accept.agent, accept.at, commit.at):
            return violation(f"UNKNOWN at {commit.at}, though no fault met it since {accept.at}")
    if commit.state is CommandState.SUCCEEDED and not story.read:
        # Somebody else may have brought about what was asked for: then it is satisfied, and says so.
        others = outsiders.get((accept.agent, accept.container), [])
        satisfied = any(effect.began_at <= commit.at for effect in story.effects) or any(
            effect.ended_at >= accept.at and effect.began_at <= commit.at for effect in others
        )
        if not satisfied:
            return violation("SUCCEEDED, though dockerd did nothing")
    if commit.state in NEVER_STARTED:
        for effect in story.effects:
            # One that began later is a broken promise: I2.
            if effect.changed and (effect.began_at < commit.at or effect.order < commit.order):
                return violation(f"{commit.state.value} says that it never started, but it did", effect)
    return None


def check_stability(record: Record) -> Iterator[Violation]:
    """I6: a final state stays, but for an UNKNOWN that is told later, and nobody sees one that isn't durable."""
    for story in record.stories.values():
        if len(story.commits) > 1:
            yield from _check_commits(record, story)
        if story.shown:
            yield from _check_shown(record, story)


def _check_commits(record: Record, story: Story) -> Iterator[Violation]:
    before: StateCommitted | None = None
    for index, commit in enumerate(story.commits):
        if before is not None:
            restore = record.restore_after(before, commit.order)
            if restore is not None:
                yield from _check_restored(story, before, restore, commit)
                before = _kept(record, story.commits[:index], restore)
            if before is not None and not _may_follow(story, before, commit):
                sentence = f"{before.state.value} became {commit.state.value}"
                if before.state is CommandState.UNKNOWN:
                    sentence += ", though it was settled" if before.settled else ", which is not final"
                yield Violation(Invariant.I6, story.command_id, sentence, (before, commit))
        before = commit


def _kept(record: Record, commits: list[StateCommitted], restore: Fault) -> StateCommitted | None:
    """What the backup held: a restore before it may have taken something back."""
    return next(
        (
            commit
            for commit in reversed(commits)
            if commit.order <= restore.backup_order
            and record.restore_after(commit, restore.backup_order + 1) is None
        ),
        None,
    )


def _check_restored(
    story: Story, before: StateCommitted, restore: Fault, commit: StateCommitted
) -> Iterator[Violation]:
    """A restored controller may forget what a ledger said, never contradict it."""
    if (
        story.done
        and before.state in (CommandState.SUCCEEDED, CommandState.FAILED)
        and commit.state.final
        and commit.state not in (before.state, CommandState.UNKNOWN)
        and not _resolved(story, commit)
        and not _resolved(story, before)
    ):
        sentence = f"{before.state.value} by the agent's ledger became {commit.state.value} after a restore"
        yield Violation(Invariant.I6, story.command_id, sentence, (before, restore, commit))


def _may_follow(story: Story, before: StateCommitted, commit: StateCommitted) -> bool:
    if not before.state.final or before.state is commit.state:
        return True
    if before.state is not CommandState.UNKNOWN or not commit.state.final:
        return False
    return not before.settled or _resolved(story, commit)


def _resolved(story: Story, commit: StateCommitted) -> bool:
    """Whether an operator, not the agent, decided on this state."""
    return any(
        resolved.order < commit.order and resolved.state is commit.state for resolved in story.resolved
    )


def _check_shown(record: Record, story: Story) -> Iterator[Violation]:
    last: dict[str, StateShown] = {}
    for shown in story.shown:
        before = last.get(shown.reader)
        if before is not None and not _may_be_seen_after(record, before, shown):
            sentence = f"{shown.reader} saw {before.state.value} and later {shown.state.value}"
            yield Violation(Invariant.I6, story.command_id, sentence, (before, shown))
        last[shown.reader] = shown
        if shown.state.final and not any(
            commit.order < shown.order and commit.state is shown.state for commit in story.commits
        ):
            sentence = f"{shown.reader} saw {shown.state.value}, which was not committed"
            yield Violation(Invariant.I6, story.command_id, sentence, (shown, *story.commits[-1:]))


def _may_be_seen_after(record: Record, before: StateShown, shown: StateShown) -> bool:
    if not before.state.final or before.state is shown.state:
        return True
    if before.state is CommandState.UNKNOWN and shown.state.final:
        return True
    return any(before.order < restore.order < shown.order for restore in record.restores)
