"""Whether a chain of audit entries is whole, and if not, where the first bad one is and what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from seawall.engine.audit import ORIGIN, Action, AuditRecord, Head, link, sealed_bytes


class Fault(Struct, frozen=True):
    """What is wrong, first of all at `position`; `kind` is altered, missing, reordered, replaced or truncated."""

    position: int
    kind: str
    text: str


class Verdict(Struct, frozen=True):
    """What was found: the entries from `first` on that are there, the last one's place and hash, and the first fault.

    `head_was` says how the head that was given relates to the chain: "" if none was given, `held`, `pruned` if it is
    older than what is kept, else `contradicted`.
    """

    entries: int
    first: int
    head: str
    head_was: str = ""
    fault: Fault | None = None


class _Pruning(Struct, frozen=True):
    """The detail of an entry that says up to where the chain was cut off."""

    last: int
    last_hash: str


class ChainCheck:
    """Takes the entries in the order of their positions, some at a time, and judges them at the end."""

    def __init__(self, head: Head | None = None) -> None:
        self._head = head
        self._first: AuditRecord | None = None
        self._last: AuditRecord | None = None
        self._entries = 0
        self._suspect: AuditRecord | None = None
        self._fault: Fault | None = None
        self._prunings: set[tuple[int, str]] = set()
        self._at_head: bytes | None = None

    def take(self, records: Iterable[AuditRecord]) -> None:
        """The next entries. After the first fault they are only counted."""
        for record in records:
            if self._fault is None:
                self._fault = self._fault_of(record)
            if self._first is None:
                self._first = record
            if self._fault is None:
                self._note(record)
            self._last = record
            self._entries += 1

    def verdict(self) -> Verdict:
        """What was found in all that was taken."""
        if self._first is None or self._last is None:
            text = "the log is empty, though each start of a controller makes an entry"
            return Verdict(0, 0, "", fault=Fault(1, "missing", text))
        found = [each for each in (self._moved() or self._fault, self._beginning(self._first)) if each]
        fault, head_was = min(found, key=lambda each: each.position, default=None), ""
        if fault is None:
            head_was, fault = self._compared(self._first, self._last)
        last = str(Head(self._last.position, self._last.hash))
        return Verdict(self._entries, self._first.position, last, head_was, fault)

    def _fault_of(self, record: AuditRecord) -> Fault | None:
        position, before = record.position, self._last
        if before is not None and position != before.position + 1:
            first, last = before.position + 1, position - 1
            which = f"entry {first} is" if first == last else f"entries {first} to {last} are"
            return Fault(first, "missing", f"{which} missing")
        if _hash_of(record, position) != record.hash:
            self._suspect = record
            return Fault(
                position, "altered", f"entry {position} isn't what was recorded: its hash is another one"
            )
        if before is not None and record.previous != before.hash:
            text = (
                f"entry {before.position} isn't the one that entry {position} was chained to: it was altered and "
                "hashed anew, or another was put in its place"
            )
            return Fault(before.position, "replaced", text)
        return None

    def _note(self, record: AuditRecord) -> None:
        if record.action == Action.AUDIT_PRUNED:
            try:
                pruning = msgspec.json.decode(record.detail, type=_Pruning)
            except msgspec.DecodeError:
                return
            self._prunings.add((pruning.last, pruning.last_hash))
        if self._head is not None and record.position == self._head.position:
            self._at_head = record.hash

    def _beginning(self, first: AuditRecord) -> Fault | None:
        """What is wrong with the beginning. Entries may be missing there if a later one says that they were pruned."""
        before = first.position - 1
        if not before:
            wrong = first.previous != ORIGIN
            return (
                Fault(1, "replaced", "entry 1 follows another one, as no first entry does") if wrong else None
            )
        if (before, first.previous.hex()) in self._prunings:
            return None
        which = "entry 1 is" if before == 1 else f"entries 1 to {before} are"
        return Fault(1, "missing", f"{which} missing, and no later entry says that they were pruned")

    def _moved(self) -> Fault | None:
        """Whether the suspect is a good entry in another's place."""
        suspect, last = self._suspect, self._last
        if suspect is None or last is None:
            return None
        for position in range(1, last.position + 1):
            if _hash_of(suspect, position) == suspect.hash:
                text = f"entry {suspect.position} is what was recorded as entry {position}"
                return Fault(suspect.position, "reordered", text)
        return None

    def _compared(self, first: AuditRecord, last: AuditRecord) -> tuple[str, Fault | None]:
        head = self._head
        if head is None:
            return "", None
        if head.position > last.position:
            text = (
                f"the log ends at entry {last.position}, and had one of position {head.position}: the end was cut off, "
                "or the database is an older one"
            )
            return "contradicted", Fault(last.position + 1, "truncated", text)
        if head.position < first.position - 1:
            return "pruned", None
        found = first.previous if head.position == first.position - 1 else self._at_head
        if found == head.hash:
            return "held", None
        text = f"entry {head.position} isn't the one whose hash was kept: it, or one before it, was replaced"
        return "contradicted", Fault(head.position, "replaced", text)


def _hash_of(record: AuditRecord, position: int) -> bytes:
    """The hash that an entry should have in this place."""
    try:
        return link(position, record.previous, sealed_bytes(record.content))
    except (AttributeError, TypeError, ValueError):
        # Whoever alters a table may put anything into it.
        return b""
