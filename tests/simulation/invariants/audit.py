"""The audit log as a chain of digests: I13."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from tests.simulation.history import AuditEntry, Fault
from tests.simulation.invariants.record import Invariant, Record, Violation


def link_digest(number: int, previous: str, content: str) -> str:
    """The digest of an entry: it binds its place, all that came before, and what it says.

    As docs/reference/audit.md has it, written down once more: what the program does is judged by this.
    """
    place = f"{len(str(number))}:{number},32:".encode()
    before = bytes.fromhex(previous) if previous else bytes(32)
    return hashlib.sha256(place + before + b"," + content.encode()).hexdigest()


def check_audit(record: Record) -> Iterator[Violation]:
    """I13: no entry is missing, changed, inserted or out of place."""
    return broken_links(record.of(AuditEntry), record.restores)


def broken_links(entries: Iterable[AuditEntry], restores: Iterable[Fault] = ()) -> Iterator[Violation]:
    """The entries that don't follow from the one before. A restore goes back to the last entry of its backup."""
    chain: list[AuditEntry] = []
    coming = sorted(restores, key=lambda restore: restore.order)
    for entry in entries:
        while coming and coming[0].order < entry.order:
            restore = coming.pop(0)
            chain = [
                kept for kept in chain if kept.order <= restore.backup_order or kept.order > restore.order
            ]
        before = chain[-1] if chain else None
        chain.append(entry)
        sentence = _fault_of(entry, before)
        if sentence is not None:
            proof = (entry,) if before is None else (before, entry)
            yield Violation(Invariant.I13, f"audit entry {entry.number}", sentence, proof)


def _fault_of(entry: AuditEntry, before: AuditEntry | None) -> str | None:
    number, previous = (0, "") if before is None else (before.number, before.digest)
    if entry.number != number + 1:
        return f"follows entry {number}"
    if entry.previous != previous:
        return "names another digest as the one before than that entry has"
    if entry.digest != link_digest(entry.number, entry.previous, entry.content):
        return "its digest isn't that of its content"
    return None
