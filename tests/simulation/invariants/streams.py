"""Event streams: I11."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import CursorRead, Fault
from tests.simulation.invariants.record import Invariant, Record, Violation


def check_streams(record: Record) -> Iterator[Violation]:
    """I11: every reader gets every number once, in order, and under one number all get the same."""
    last: dict[tuple[str, str], CursorRead] = {}
    seen: dict[tuple[str, int], CursorRead] = {}
    for read in record.of(CursorRead):
        reader = (read.stream, read.reader)
        before = last.get(reader)
        last[reader] = read
        if before is not None and _restored(record, before, read) is None and read.after != before.cursor:
            sentence = f"read on after {read.after}, though {before.cursor} was the last that it had"
            yield Violation(Invariant.I11, read.reader, sentence, (before, read))
        elif read.cursor != read.after + 1:
            sentence = f"got {read.cursor} after {read.after}"
            yield Violation(Invariant.I11, read.reader, sentence, (read,))
        other = seen.setdefault((read.stream, read.cursor), read)
        if other.about != read.about:
            if _restored(record, other, read) is None:
                sentence = f"number {read.cursor} was {read.about!r}, but {other.about!r} to {other.reader}"
                yield Violation(Invariant.I11, read.reader, sentence, (other, read))
            seen[read.stream, read.cursor] = read


def _restored(record: Record, first: CursorRead, second: CursorRead) -> Fault | None:
    """A restore between the two: numbers that the backup doesn't hold are given again."""
    return next((restore for restore in record.restores if first.order < restore.order < second.order), None)
