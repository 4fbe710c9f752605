"""What dockerd really did, against what was accepted and promised: I1, I2, I9, I10."""

from __future__ import annotations

from collections.abc import Iterator

from seawall.core.command import SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import AcceptedDurable, Effect, LedgerDone, StateCommitted
from tests.simulation.invariants.record import NEVER_STARTED, Invariant, Record, Story, Violation

PROOFS_OF_NO_START = frozenset(
    {
        CommandErrorCode.CANCELLED,
        CommandErrorCode.DEADLINE_EXCEEDED,
        CommandErrorCode.UNSUPPORTED_OPERATION,
        CommandErrorCode.INVALID_ARGUMENT,
        CommandErrorCode.CIRCUIT_OPEN,
        CommandErrorCode.BULKHEAD_FULL,
        CommandErrorCode.AGENT_NOT_CONNECTED,
    }
)
"""In a ledger, these say that the command never started and never will."""


def check_effects(record: Record) -> Iterator[Violation]:
    """I1, I2, I10 command by command."""
    for story in record.stories.values():
        if story.effects:
            yield from _repeated(story)
            yield from _unfounded(record, story)
            yield from _late(record, story)


def _repeated(story: Story) -> Iterator[Violation]:
    first: dict[str, Effect] = {}
    for effect in story.effects:
        if not effect.changed:
            continue
        earlier = first.setdefault(effect.step, effect)
        if earlier is not effect:
            step = f"step {effect.step} of it" if effect.step else "it"
            yield Violation(
                Invariant.I1,
                story.command_id,
                f"dockerd performed {step} a second time at {effect.began_at}, after {earlier.began_at}",
                (earlier, effect),
            )


def _unfounded(record: Record, story: Story) -> Iterator[Violation]:
    """Effects that nobody asked for, or that were ruled out before."""
    for effect in story.effects:
        accept = story.accepts[0] if story.accepts else None
        if accept is None or accept.at > effect.began_at or accept.order > effect.order:
            yield Violation(
                Invariant.I2,
                story.command_id,
                f"an effect began at {effect.began_at} without a durable accept before it",
                (effect,) if accept is None else (effect, accept),
            )
        elif accept.safety is SafetyClass.SAFE_READ and effect.changed:
            yield Violation(Invariant.I2, story.command_id, "a read changed something", (accept, effect))
        elif effect.changed and (proof := _ruled_out(record, story, effect)) is not None:
            what = proof.state.value if isinstance(proof, StateCommitted) else "the refusal in the ledger"
            yield Violation(
                Invariant.I2,
                story.command_id,
                f"an effect began at {effect.began_at}, after {what} at {proof.at} had ruled it out",
                (proof, effect),
            )


def _ruled_out(record: Record, story: Story, effect: Effect) -> StateCommitted | LedgerDone | None:
    """The first proof, older than the effect's beginning, that there would be none."""
    for commit in story.commits:
        if commit.state in NEVER_STARTED and commit.at <= effect.began_at and commit.order < effect.order:
            restore = record.restore_after(commit)
            if restore is None or effect.began_at < restore.at:
                return commit
    for row in story.done:
        if row.code in PROOFS_OF_NO_START and row.at <= effect.began_at and row.order < effect.order:
            return row
    return None


def _late(record: Record, story: Story) -> Iterator[Violation]:
    if not story.accepts:
        return
    accept = story.accepts[0]
    # What was begun in time goes on: the second step of two may come late, also if another process resumes it.
    first = min(effect.began_at for effect in story.effects)
    for effect in story.effects:
        late = effect.began_at - accept.deadline_at
        resumed = effect.operation != accept.operation
        in_time = resumed or first <= accept.deadline_at + record.skew_seconds
        if late > record.skew_seconds and not in_time:
            yield Violation(
                Invariant.I10,
                story.command_id,
                f"an effect began {late:g} s past the deadline ({record.skew_seconds:g} s are allowed)",
                (accept, effect),
            )


def check_order(record: Record) -> Iterator[Violation]:
    """I9: sequences are what they should be, and the effects of each container follow them one by one."""
    yield from _check_sequences(record)
    by_container: dict[tuple[str, str], list[Effect]] = {}
    for effect in record.of(Effect):
        if effect.command_id is not None and effect.changed:
            by_container.setdefault((effect.agent, effect.container), []).append(effect)
    for (agent, container), effects in by_container.items():
        if len(effects) > 1:
            effects.sort(key=lambda effect: (effect.began_at, effect.order))
            yield from _check_container(record, f"{container} on {agent}", effects)


def _check_sequences(record: Record) -> Iterator[Violation]:
    taken: dict[tuple[str, int], AcceptedDurable] = {}
    for accept in record.of(AcceptedDurable):
        reads = accept.safety is SafetyClass.SAFE_READ
        if not accept.sequence and record.stories[accept.command_id].turned_away:
            continue
        if reads != (accept.sequence == 0):
            what = "a read has a place in" if reads else "a changing command has no place in"
            sentence = f"{what} the sequence of {accept.agent}"
            yield Violation(Invariant.I9, accept.command_id, sentence, (accept,))
        if reads or accept.sequence == 0:
            continue
        earlier = taken.setdefault((accept.agent, accept.sequence), accept)
        if earlier.command_id == accept.command_id:
            continue
        taken[accept.agent, accept.sequence] = accept
        if record.restore_after(earlier, accept.order) is None:
            sentence = (
                f"has sequence {accept.sequence} of {accept.agent}, which {earlier.command_id} has already"
            )
            yield Violation(Invariant.I9, accept.command_id, sentence, (earlier, accept))


def _check_container(record: Record, name: str, effects: list[Effect]) -> Iterator[Violation]:
    """`effects` in the order in which they began."""
    longest = effects[0]
    newest: tuple[int, Effect] = (0, effects[0])
    for effect in effects:
        if effect.began_at < longest.ended_at and effect.command_id != longest.command_id:
            sentence = (
                f"{effect.command_id} began at {effect.began_at} while {longest.command_id} was at work "
                f"until {longest.ended_at}"
            )
            yield Violation(Invariant.I9, name, sentence, (longest, effect))
        if effect.ended_at > longest.ended_at:
            longest = effect
        sequence = _sequence(record, effect)
        if sequence and sequence < newest[0]:
            sentence = f"{effect.command_id} (sequence {sequence}) took effect after sequence {newest[0]}"
            yield Violation(Invariant.I9, name, sentence, (newest[1], effect))
        newest = max(newest, (sequence, effect), key=lambda pair: pair[0])


def _sequence(record: Record, effect: Effect) -> int:
    """0 where the order can't be told: a backup without the command may have given its sequence away again."""
    accepts = record.stories[effect.command_id or ""].accepts
    if not accepts or record.restore_after(accepts[0]) is not None:
        return 0
    return accepts[0].sequence
