"""The audit log in the database: entries are chained as their transaction ends, all of it by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, literal_column, select

from seawall.engine.audit import (
    CONTROLLER,
    ORIGIN,
    Action,
    AuditRecord,
    Caller,
    Content,
    Detail,
    Entry,
    Head,
    content_of,
    link,
    sealed_bytes,
    user_actor,
)
from seawall.storage.schema import OF_EVERY_COMMAND, audit, entry_is_a_persons, entry_is_rare
from seawall.storage.statements import (
    NO_OFFSET,
    Connection,
    Database,
    Row,
    Statement,
    columns,
    to_microseconds,
)

AUDIT_LOG = "audit"
"""The subject of what concerns the log itself."""

_PRUNED_AT_ONCE = 5_000

_entries = select(*columns(audit, AuditRecord))
_LAST = Statement(
    select(audit.c.position, audit.c.hash)
    .order_by(audit.c.position.desc())
    .limit(literal_column("1"))
    .offset(NO_OFFSET)
)
_ADD = Statement(insert(audit), AuditRecord._fields)
_AFTER = Statement(
    _entries.where(audit.c.position > bindparam("after"))
    .order_by(audit.c.position)
    .limit(bindparam("most"))
    .offset(NO_OFFSET)
)
_OLD = Statement(
    _entries.where(audit.c.position < bindparam("keep"))
    .order_by(audit.c.position)
    .limit(bindparam("most"))
    .offset(NO_OFFSET)
)
_FORGET = Statement(delete(audit).where(audit.c.position <= bindparam("last")))


Noted = tuple[Content, bytes]
"""An entry that waits for its place, and what its hash covers beside that."""


class Began(Detail, frozen=True, gc=False):
    """Whose chain it is, and how many commands there were before it."""

    controller_id: str
    earlier_commands: int


class Pruning(Detail, frozen=True, gc=False):
    """Which entries were removed, what the hash of the last one was, and from before which time they were."""

    first: int
    last: int
    last_hash: str
    before: datetime


class _Filter(NamedTuple):
    """Which parameters a list of entries has; the statement for one is made once.

    `person` and `rare` say that an index serves: the actor is a person, or none of the actions is one of every command.
    """

    actor: bool
    person: bool
    actions: int
    rare: bool
    subject: bool
    since: bool
    before: bool

    @classmethod
    def of(
        cls,
        actor: str | None = None,
        actions: Sequence[Action] = (),
        subject: str | None = None,
        since: datetime | None = None,
        before: int | None = None,
    ) -> _Filter:
        """That of these wishes."""
        return cls(
            actor=actor is not None,
            person=actor is not None and actor.startswith(user_actor("")),
            actions=len(set(actions)),
            rare=bool(actions) and not set(actions) & set(OF_EVERY_COMMAND),
            subject=subject is not None,
            since=since is not None,
            before=before is not None,
        )


def noted(entry: Entry) -> Noted:
    """What can be made of an entry before its place is known."""
    content = content_of(entry)
    return content, sealed_bytes(content)


def append(connection: Connection, entries: Sequence[Noted]) -> None:
    """Put entries at the end of the chain, in their order."""
    head = read_head(connection)
    position, previous = head if head is not None else (0, ORIGIN)
    rows: list[Row] = []
    for content, sealed in entries:
        position += 1
        digest = link(position, previous, sealed)
        rows.append((position, *content, previous, digest))
        previous = digest
    connection.execute_all(_ADD, rows)


def read_head(connection: Connection) -> Head | None:
    """The last entry's place and hash; None if there is none."""
    row = connection.execute(_LAST, {}).fetchone()
    return None if row is None else Head(int(str(row[0])), _bytes(row[1]))


def begin_chain(connection: Connection, now: datetime, detail: Began) -> None:
    """If there is no entry yet, make the first."""
    if read_head(connection) is None:
        connection.note(Entry(now, CONTROLLER, Action.CHAIN_BEGAN, AUDIT_LOG, detail))


class AuditTables(Database):
    """`engine.store.AuditStore`."""

    async def record(self, *entries: Entry) -> None:
        """See `AuditStore.record`."""
        await self.write(lambda connection: connection.note(*entries))

    async def audit(
        self,
        *,
        actor: str | None = None,
        actions: Sequence[Action] = (),
        subject: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[AuditRecord]:
        """See `AuditStore.audit`."""
        chosen = sorted({action.value for action in actions})
        wanted = _Filter.of(actor, actions, subject, since, before)
        parameters: dict[str, object] = {
            "who": actor,
            "about": subject,
            "from": to_microseconds(since) if since is not None else None,
            "end": before,
            "most": max(0, limit),
            **{f"action_{index}": action for index, action in enumerate(chosen)},
        }
        statement = _listing(wanted)
        rows = await self.read(lambda connection: connection.execute(statement, parameters).fetchall())
        return [to_record(row) for row in rows]

    async def audit_after(self, position: int, limit: int) -> list[AuditRecord]:
        """See `AuditStore.audit_after`."""
        return await self.read(lambda connection: read_after(connection, position, limit))

    async def prune_audit(self, before: datetime, now: datetime, caller: Caller) -> int:
        """See `AuditStore.prune_audit`."""
        limit = to_microseconds(before)

        def job(connection: Connection) -> int:
            head = read_head(connection)
            keep = head.position if head is not None else 0
            question = {"keep": keep, "most": _PRUNED_AT_ONCE}
            old = [to_record(row) for row in connection.execute(_OLD, question).fetchall()]
            young = next((index for index, record in enumerate(old) if record.at >= limit), len(old))
            if not young:
                return 0
            last = old[young - 1]
            detail = Pruning(old[0].position, last.position, last.hash.hex(), before)
            connection.note(Entry(now, caller, Action.AUDIT_PRUNED, AUDIT_LOG, detail))
            connection.execute(_FORGET, {"last": last.position})
            return young

        pruned = 0
        while (some := await self.write(job)) > 0:
            pruned += some
            if some < _PRUNED_AT_ONCE:
                break
        return pruned


def read_after(connection: Connection, position: int, limit: int) -> list[AuditRecord]:
    """The entries behind a position, in order."""
    rows = connection.execute(_AFTER, {"after": position, "most": limit}).fetchall()
    return [to_record(row) for row in rows]


def to_record(found: Row) -> AuditRecord:
    """The record of a row, whatever a forger has put into it."""
    position, at, actor, source, action, subject, detail, previous, digest = found
    return AuditRecord(
        int(str(position)),
        at if isinstance(at, int) else -1,
        *(str(actor), str(source), str(action), str(subject), str(detail)),
        *(_bytes(previous), _bytes(digest)),
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@cache
def _listing(wanted: _Filter) -> Statement:
    question = _entries
    if wanted.actor:
        question = question.where(audit.c.actor == bindparam("who"))
    if wanted.person:
        question = question.where(entry_is_a_persons)
    if wanted.rare:
        question = question.where(entry_is_rare)
    if wanted.actions:
        question = question.where(
            audit.c.action.in_([bindparam(f"action_{index}") for index in range(wanted.actions)])
        )
    if wanted.subject:
        question = question.where(audit.c.subject == bindparam("about"))
    if wanted.since:
        question = question.where(audit.c.at >= bindparam("from"))
    if wanted.before:
        question = question.where(audit.c.position < bindparam("end"))
    return Statement(question.order_by(audit.c.position.desc()).limit(bindparam("most")).offset(NO_OFFSET))
