"""Idempotency keys: I8."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import AcceptedDurable, Answered
from tests.simulation.invariants.record import Invariant, Record, Violation

_CONFLICT = 409


def check_keys(record: Record) -> Iterator[Violation]:
    """I8: a key and a body mean one command for ever, another body is refused."""
    yield from _check_accepts(record)
    yield from _check_answers(record)


def _check_accepts(record: Record) -> Iterator[Violation]:
    by_key: dict[str, AcceptedDurable] = {}
    by_command: dict[str, AcceptedDurable] = {}
    for accept in record.of(AcceptedDurable):
        again = by_command.setdefault(accept.command_id, accept)
        by_command[accept.command_id] = accept
        if again is not accept and not accept.imported and record.restore_after(again, accept.order) is None:
            yield Violation(Invariant.I8, accept.command_id, "it was accepted twice", (again, accept))
            continue
        if not accept.key or accept.imported:
            continue
        earlier = by_key.get(accept.key)
        by_key[accept.key] = accept
        if earlier is None or earlier.command_id == accept.command_id:
            continue
        if record.stories[earlier.command_id].turned_away:
            continue
        if record.restore_after(earlier, accept.order) is None:
            sentence = f"made {accept.command_id} as well as {earlier.command_id}"
            yield Violation(Invariant.I8, f"key {accept.key}", sentence, (earlier, accept))


def _check_answers(record: Record) -> Iterator[Violation]:
    first: dict[str, Answered] = {}
    for answer in record.of(Answered):
        if not answer.key:
            continue
        subject = f"key {answer.key}"
        earlier = first.get(answer.key)
        if earlier is not None and record.restore_after(earlier, answer.order) is not None:
            earlier = None
        story = record.stories.get(earlier.command_id) if earlier is not None else None
        if story is not None and story.turned_away:
            earlier = None
        good = 200 <= answer.status < 300
        if earlier is None:
            if good:
                first[answer.key] = answer
        elif answer.fingerprint == earlier.fingerprint and answer.status == _CONFLICT:
            sentence = f"the body of {earlier.command_id} was refused as another one"
            yield Violation(Invariant.I8, subject, sentence, (earlier, answer))
        elif good and answer.fingerprint != earlier.fingerprint:
            sentence = f"another body was answered {answer.status}, the key stands for {earlier.command_id}"
            yield Violation(Invariant.I8, subject, sentence, (earlier, answer))
        elif good and answer.command_id != earlier.command_id:
            sentence = f"was answered with {earlier.command_id} and later with {answer.command_id}"
            yield Violation(Invariant.I8, subject, sentence, (earlier, answer))
