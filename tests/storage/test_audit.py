"""The audit log: nothing is changed without an entry, and no entry is changed without a trace."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.engine.alert_records import ChannelRecord, SilenceRecord
from seawall.engine.audit import (
    Action,
    AuditRecord,
    Caller,
    Entry,
    Head,
    exported,
    link,
    read_exported,
    sealed_bytes,
)
from seawall.engine.audit_chain import ChainCheck, Verdict
from seawall.engine.store import IdempotencyConflict, JoinTokenRefused
from seawall.storage.audit_file import AuditUnreadable, read_audit
from seawall.storage.migrate import MIGRATIONS, migrate
from seawall.storage.restore import restore_backup, verify_backup
from seawall.storage.sqlite import SqliteStore
from seawall.writer import commit
from tests.storage.backends import (
    BACKENDS,
    LEDGER,
    NOW,
    OpenStore,
    agent,
    attempt,
    command,
    join_token,
    later,
    sign_in,
    token,
    transition,
    user,
)
from tests.storage.backups import back_up

ANN = Caller("token:ann", "192.0.2.7")
CHANNEL = ChannelRecord("ops", "webhook", "https://…", "sealed", "sealed", NOW)


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    return BACKENDS[request.param](tmp_path)


@pytest_asyncio.fixture
async def store(open_store: OpenStore) -> AsyncIterator[SqliteStore]:
    store = await open_store()
    assert isinstance(store, SqliteStore)
    yield store
    await store.close()


async def everything(store: SqliteStore) -> list[AuditRecord]:
    return await store.audit_after(0, 100_000)


def judged(records: list[AuditRecord], head: Head | None = None) -> Verdict:
    check = ChainCheck(head)
    check.take(records)
    return check.verdict()


def of_file(database: Path, head: Head | None = None) -> Verdict:
    return judged([record for some in read_audit(database) for record in some], head)


async def use(store: SqliteStore, commands: int = 4) -> None:
    """Some of everything."""
    await store.add_join_token(join_token("secret"), ANN)
    await store.redeem("secret", NOW, agent(), "198.51.100.1")
    await store.add_token(token(), ANN)
    for number in range(commands):
        record = await store.accept(command(f"c-{number}"), sequenced=True, caller=ANN)
        record.state, record.finished_at = CommandState.SUCCEEDED, later(1)
        await store.finish(record)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a log of some entries, which isn't in use."""
    path = tmp_path_factory.mktemp("used") / "seawall.db"

    async def fill() -> None:
        store = await SqliteStore.open(path, SystemClock())
        await use(store)
        await store.close()

    asyncio.run(fill())
    return path


@pytest.fixture
def database(used: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(used, tmp_path / "seawall.db"))


def change(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# What is recorded


Deed = Callable[[SqliteStore], Awaitable[object]]


async def no_store(_: SqliteStore) -> None:
    pass


async def _let_in(store: SqliteStore) -> None:
    await store.add_join_token(join_token("secret"))
    await store.redeem("secret", NOW, agent())


async def _user(store: SqliteStore) -> None:
    await store.add_user(user(name="eve"))


async def _signed_in(store: SqliteStore) -> None:
    await _user(store)
    await store.add_sign_in(sign_in())


async def _unknown(store: SqliteStore) -> None:
    record = command(state=CommandState.DISPATCHED)
    await store.accept(record)
    record.state, record.settled = CommandState.UNKNOWN, False
    await store.finish(record)


RECORDED: list[tuple[Deed, Deed, list[tuple[Action, str, str]]]] = [
    (
        no_store,
        lambda store: store.accept(command(attempts=[attempt()]), caller=ANN),
        [(Action.COMMAND_ACCEPTED, "token:ann", "c-1")],
    ),
    (
        lambda store: store.accept(command()),
        lambda store: store.start_attempt("c-1", attempt()),
        [(Action.COMMAND_DISPATCHED, "controller", "c-1")],
    ),
    (
        lambda store: store.accept(command()),
        lambda store: store.finish(command(state=CommandState.SUCCEEDED)),
        [(Action.COMMAND_FINISHED, "host:local", "c-1")],
    ),
    (
        lambda store: store.accept(command()),
        lambda store: store.finish(command(state=CommandState.EXPIRED)),
        [(Action.COMMAND_FINISHED, "controller", "c-1")],
    ),
    (
        _unknown,
        lambda store: store.settle(command(state=CommandState.FAILED), caller=ANN),
        [(Action.COMMAND_SETTLED, "token:ann", "c-1")],
    ),
    (
        _unknown,
        lambda store: store.settle(command(state=CommandState.SUCCEEDED, recorded=True)),
        [(Action.COMMAND_SETTLED, "host:local", "c-1")],
    ),
    (
        no_store,
        lambda store: store.adopt(command(state=CommandState.SUCCEEDED, recorded=True)),
        [(Action.COMMAND_IMPORTED, "host:local", "c-1")],
    ),
    (
        no_store,
        lambda store: store.add_join_token(join_token("secret"), ANN),
        [(Action.JOIN_TOKEN_CREATED, "token:ann", "j-secret")],
    ),
    (
        lambda store: store.add_join_token(join_token("secret")),
        lambda store: store.redeem("secret", NOW, agent(), "198.51.100.1"),
        [(Action.HOST_JOINED, "host:local", "a-1")],
    ),
    (
        _let_in,
        lambda store: store.open_session(agent(), LEDGER, "198.51.100.1"),
        [(Action.HOST_CONNECTED, "host:local", "a-1")],
    ),
    (
        _let_in,
        lambda store: store.quarantine("a-1", NOW),
        [(Action.HOST_QUARANTINED, "controller", "a-1")],
    ),
    (_let_in, lambda store: store.release("a-1", NOW, ANN), [(Action.HOST_RELEASED, "token:ann", "a-1")]),
    (_let_in, lambda store: store.revoke_agent("a-1", NOW, ANN), [(Action.HOST_REVOKED, "token:ann", "a-1")]),
    (
        no_store,
        lambda store: store.add_user(user(name="eve"), ANN, first=True),
        [(Action.SET_UP_CODE_USED, "user:eve", "u-1")],
    ),
    (no_store, lambda store: store.add_user(user(), ANN), [(Action.USER_ADDED, "token:ann", "u-1")]),
    (
        _user,
        lambda store: store.change_user("eve", NOW, ANN, password_hash="another", role="viewer"),
        [
            (Action.USER_PASSWORD_CHANGED, "token:ann", "u-1"),
            (Action.USER_ROLE_CHANGED, "token:ann", "u-1"),
        ],
    ),
    (_user, lambda store: store.remove_user("eve", NOW, ANN), [(Action.USER_REMOVED, "token:ann", "u-1")]),
    (_user, lambda store: store.add_sign_in(sign_in()), [(Action.SIGNED_IN, "user:eve", "s-1")]),
    (_signed_in, lambda store: store.end_sign_in("s-1", NOW, ANN), [(Action.SIGNED_OUT, "token:ann", "s-1")]),
    (
        no_store,
        lambda store: store.keep_alerts([], entries=[Entry(NOW, ANN, Action.ALERT_ACKNOWLEDGED, "n-1")]),
        [(Action.ALERT_ACKNOWLEDGED, "token:ann", "n-1")],
    ),
    (
        no_store,
        lambda store: store.add_silence(SilenceRecord("q-1", later(60)), NOW, ANN),
        [(Action.SILENCE_ADDED, "token:ann", "q-1")],
    ),
    (
        lambda store: store.add_silence(SilenceRecord("q-1", later(60)), NOW),
        lambda store: store.end_silence("q-1", NOW, ANN),
        [(Action.SILENCE_ENDED, "token:ann", "q-1")],
    ),
    (
        no_store,
        lambda store: store.add_channel(CHANNEL, ANN),
        [(Action.CHANNEL_ADDED, "token:ann", "ops")],
    ),
    (
        lambda store: store.add_channel(CHANNEL),
        lambda store: store.remove_channel("ops", NOW, ANN),
        [(Action.CHANNEL_REMOVED, "token:ann", "ops")],
    ),
    (no_store, lambda store: store.add_token(token(), ANN), [(Action.TOKEN_CREATED, "token:ann", "t-1")]),
    (
        lambda store: store.add_token(token()),
        lambda store: store.revoke_token("t-1", NOW, ANN),
        [(Action.TOKEN_REVOKED, "token:ann", "t-1")],
    ),
    (
        no_store,
        lambda store: store.add_transitions([transition("one"), transition("two")]),
        [(Action.CIRCUIT_CHANGED, "controller", "a-1/docker")] * 2,
    ),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("before", "deed", "entries"), RECORDED)
async def test_a_change_is_recorded_with_who_did_it_and_to_what(
    store: SqliteStore, before: Deed, deed: Deed, entries: list[tuple[Action, str, str]]
) -> None:
    await before(store)
    last = (await everything(store))[-1].position
    await deed(store)
    new = await store.audit_after(last, 100)
    assert [(record.action, record.actor, record.subject) for record in new] == entries
    assert judged(await everything(store)).fault is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "refused",
    [
        lambda store: store.accept(command("c-2", idempotency_key="key", fingerprint="other")),
        lambda store: store.accept(command("c-2", idempotency_key="key")),
        lambda store: store.redeem("unknown", NOW, agent("a-2", "other")),
        lambda store: store.finish(command(state=CommandState.FAILED)),
        lambda store: store.settle(command(state=CommandState.FAILED)),
        lambda store: store.adopt(command()),
        lambda store: store.revoke_token("t-9", NOW),
        lambda store: store.revoke_agent("a-9", NOW),
        lambda store: store.quarantine("a-9", NOW),
    ],
)
async def test_what_changes_nothing_is_not_recorded(store: SqliteStore, refused: Deed) -> None:
    await store.accept(command(idempotency_key="key"))
    await store.finish(command(state=CommandState.SUCCEEDED, idempotency_key="key"))
    before = await everything(store)
    with suppress(IdempotencyConflict, JoinTokenRefused):
        await refused(store)
    assert await everything(store) == before


@pytest.mark.asyncio
async def test_commands_that_a_lost_ledger_may_have_had_are_recorded_as_ended(store: SqliteStore) -> None:
    await _let_in(store)
    await store.open_session(agent(), LEDGER)
    record = await store.accept(command(state=CommandState.DISPATCHED), sequenced=True)
    last = (await everything(store))[-1].position
    await store.open_session(agent(), type(LEDGER)("another"))
    new = await store.audit_after(last, 100)
    assert [(entry.action, entry.subject) for entry in new] == [
        (Action.HOST_CONNECTED, "a-1"),
        (Action.HOST_LOST_LEDGER, "a-1"),
        (Action.COMMAND_FINISHED, record.command_id),
    ]


@pytest.mark.asyncio
async def test_a_chain_of_many_writers_at_once_is_whole_and_leaves_nothing_out(store: SqliteStore) -> None:
    async def life(number: int) -> None:
        record = await store.accept(command(f"c-{number}"))
        record.state, record.finished_at = CommandState.FAILED, later(1)
        await store.finish(record)

    await asyncio.gather(*(life(number) for number in range(300)))
    records = await everything(store)
    assert judged(records).fault is None
    for action in (Action.COMMAND_ACCEPTED, Action.COMMAND_FINISHED):
        subjects = {record.subject for record in records if record.action == action}
        assert subjects == {f"c-{number}" for number in range(300)}


@pytest.mark.asyncio
async def test_a_transaction_that_failed_leaves_no_entries_for_the_next(tmp_path: Path) -> None:
    fails = [False]

    def commit_or_fail(connection: sqlite3.Connection) -> None:
        if fails.pop():
            error = sqlite3.OperationalError("locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        commit(connection)

    path = tmp_path / "seawall.db"
    store = await SqliteStore.open(path, SystemClock(), commit=commit_or_fail)
    fails += [False, True]
    with pytest.raises(Exception, match="locked"):
        await store.accept(command("void"))
    await store.accept(command("kept"))
    subjects = [record.subject for record in await everything(store)]
    assert "kept" in subjects
    assert "void" not in subjects
    assert judged(await everything(store)).fault is None
    await store.close()


@pytest.mark.asyncio
async def test_each_start_is_recorded_and_the_chain_goes_on(open_store: OpenStore) -> None:
    for _ in range(3):
        store = await open_store()
        await store.close()
    store = await open_store()
    records = await store.audit_after(0, 100)
    await store.close()
    assert [record.action for record in records] == [Action.CHAIN_BEGAN, *[Action.CONTROLLER_STARTED] * 4]
    assert judged(records).fault is None


@pytest.mark.asyncio
async def test_the_chain_of_an_older_database_begins_with_its_first_start_here(tmp_path: Path) -> None:
    older, path = tmp_path / "older", tmp_path / "seawall.db"
    shutil.copytree(MIGRATIONS, older, ignore=shutil.ignore_patterns("__pycache__", "000[4-9]*", "00[1-9]*"))
    connect = partial(sqlite3.connect, path, isolation_level=None)
    await asyncio.to_thread(migrate, connect, "it", older)
    with pytest.raises(AuditUnreadable, match="no audit log yet"):
        of_file(path)
    change(
        path,
        "INSERT INTO commands (sequence, command_id, operation, agent_id, agent, arguments, state, accepted_at, "
        "deadline_at, timeout_seconds, max_attempts, queue, requested_by, fingerprint, total_attempts, "
        "duration_seconds) VALUES (41, 'c', 'ping', 'a', 'a', '{}', 'SUCCEEDED', 1, 2, 3, 1, 1, '', '', 0, 0)",
        "INSERT INTO circuit_transitions VALUES (1, 1, 'a', 'docker', 'closed', 'open', 'why')",
    )
    store = await SqliteStore.open(path, SystemClock())
    first, second = await everything(store)
    assert [each.by for each in await store.transitions()] == [""]
    await store.close()
    assert (first.position, first.action) == (1, Action.CHAIN_BEGAN)
    assert '"earlier_commands":41' in first.detail
    assert second.action == Action.CONTROLLER_STARTED
    assert of_file(path).fault is None


# Questions


@pytest.mark.asyncio
async def test_entries_are_found_by_who_what_whom_and_when_the_newest_first(store: SqliteStore) -> None:
    await use(store)
    assert [each.action for each in await store.audit(subject="c-1")] == [
        Action.COMMAND_FINISHED,
        Action.COMMAND_ACCEPTED,
    ]
    asked = await store.audit(actor="token:ann", actions=[Action.TOKEN_CREATED, Action.JOIN_TOKEN_CREATED])
    assert [(each.action, each.source) for each in asked] == [
        (Action.TOKEN_CREATED, ANN.source),
        (Action.JOIN_TOKEN_CREATED, ANN.source),
    ]
    late = await store.audit(since=later(0.5))
    assert {each.action for each in late} == {Action.COMMAND_FINISHED}
    assert [each.moment for each in late] == [later(1)] * 4
    newest = await store.audit(limit=2)
    more = await store.audit(limit=2, before=newest[-1].position)
    positions = [each.position for each in (*newest, *more)]
    assert positions == sorted(positions, reverse=True)
    assert len(set(positions)) == 4


# Tampering


def test_a_log_that_nobody_touched_is_whole(database: Path) -> None:
    verdict = of_file(database)
    assert (verdict.fault, verdict.entries, verdict.first) == (None, 13, 1)
    assert of_file(database, Head.of(verdict.head)).head_was == "held"


FORGERIES = {
    "at": "at + 1",
    "actor": "'token:eve'",
    "source": "'203.0.113.9'",
    "action": "'signed_in'",
    "subject": "'c-9'",
    "detail": "detail || ' '",
    "previous": "randomblob(32)",
    "hash": "zeroblob(32)",
}
NONSENSE = {"at": "'never'", "detail": "x'ff'", "hash": "'text'", "previous": "'text'", "subject": "x'00ff'"}


@pytest.mark.parametrize(("column", "value"), [*FORGERIES.items(), *NONSENSE.items()])
def test_a_change_of_any_column_is_found_where_it_is(database: Path, column: str, value: str) -> None:
    # From the end, so that each is the first one.
    for position in (13, 7, 1):
        change(database, f"UPDATE audit SET {column} = {value} WHERE position = {position}")  # noqa: S608 - ours
        fault = of_file(database).fault
        assert fault is not None
        assert (fault.position, fault.kind) == (position, "altered")


def test_every_column_of_the_log_is_among_the_forged_ones(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(audit)")}
    assert columns == {"position", *FORGERIES}


def test_an_entry_that_was_altered_and_hashed_anew_is_found_by_the_one_after_it(database: Path) -> None:
    record = next(record for some in read_audit(database) for record in some if record.position == 7)
    forged = record._replace(actor="token:eve")
    digest = link(7, record.previous, sealed_bytes(forged.content))
    change(database, f"UPDATE audit SET actor = 'token:eve', hash = x'{digest.hex()}' WHERE position = 7")  # noqa: S608 - ours
    fault = of_file(database).fault
    assert fault is not None
    assert (fault.position, fault.kind) == (7, "replaced")


@pytest.mark.parametrize(
    ("gone", "position", "text"),
    [
        ("= 1", 1, "entry 1 is missing"),
        ("< 6", 1, "entries 1 to 5 are missing"),
        ("= 7", 7, "entry 7 is missing"),
        ("IN (7, 8, 9)", 7, "entries 7 to 9 are missing"),
        (">= 1", 1, "the log is empty"),
    ],
)
def test_a_missing_entry_is_found_where_it_was(database: Path, gone: str, position: int, text: str) -> None:
    change(database, f"DELETE FROM audit WHERE position {gone}")  # noqa: S608 - ours
    fault = of_file(database).fault
    assert fault is not None
    assert (fault.position, fault.kind) == (position, "missing")
    assert fault.text.startswith(text)


def test_closing_the_gap_by_moving_the_later_entries_does_not_hide_it(database: Path) -> None:
    change(
        database,
        "DELETE FROM audit WHERE position = 7",
        "UPDATE audit SET position = -position WHERE position > 7",
        "UPDATE audit SET position = -position - 1 WHERE position < 0",
    )
    fault = of_file(database).fault
    assert fault is not None
    assert (fault.position, fault.kind, fault.text) == (
        7,
        "reordered",
        "entry 7 is what was recorded as entry 8",
    )


def test_entries_that_changed_places_are_found_and_named(database: Path) -> None:
    change(
        database,
        "UPDATE audit SET position = -5 WHERE position = 5",
        "UPDATE audit SET position = 5 WHERE position = 9",
        "UPDATE audit SET position = 9 WHERE position = -5",
    )
    fault = of_file(database).fault
    assert fault is not None
    assert (fault.position, fault.kind) == (5, "reordered")
    assert fault.text == "entry 5 is what was recorded as entry 9"


def test_a_cut_off_end_shows_against_the_head_that_was_kept(database: Path) -> None:
    head = Head.of(of_file(database).head)
    change(database, "DELETE FROM audit WHERE position > 10")
    assert of_file(database).fault is None
    verdict = of_file(database, head)
    assert verdict.fault is not None
    assert (verdict.fault.position, verdict.fault.kind, verdict.head_was) == (11, "truncated", "contradicted")


def test_a_log_that_was_made_anew_shows_against_the_head_that_was_kept(database: Path) -> None:
    records = [record for some in read_audit(database) for record in some]
    forged, previous = [], bytes(32)
    for record in records:
        forged.append(record._replace(source="", previous=previous))
        previous = link(record.position, previous, sealed_bytes(forged[-1].content))
        forged[-1] = forged[-1]._replace(hash=previous)
    assert judged(forged).fault is None
    verdict = judged(forged, Head(records[5].position, records[5].hash))
    assert verdict.fault is not None
    assert (verdict.fault.position, verdict.fault.kind) == (6, "replaced")


@pytest.mark.parametrize("text", ["", "7", "x:00", "7:zz", "-1:" + "0" * 64, "7:" + "0" * 63])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no head"):
        Head.of(text)


def test_an_export_is_exactly_what_is_chained(database: Path) -> None:
    records = [record for some in read_audit(database) for record in some]
    lines = [exported(record) for record in records]
    assert [read_exported(line) for line in lines] == records
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)


# Pruning and backups


@pytest.mark.asyncio
async def test_a_pruned_chain_can_still_be_followed_and_says_what_is_gone(store: SqliteStore) -> None:
    await use(store)
    before = await everything(store)
    ends = [record.position for record in before if record.moment >= later(0.5)]
    pruned = await store.prune_audit(later(0.5), later(2), ANN)
    assert pruned > 0
    after = await everything(store)
    assert after[0].position == pruned + 1
    assert after[0].position <= ends[0]
    assert (after[-1].action, after[-1].actor) == (Action.AUDIT_PRUNED, "token:ann")
    assert judged(after).fault is None
    kept, gone = before[-1], before[0]
    assert judged(after, Head(kept.position, kept.hash)).head_was == "held"
    assert judged(after, Head(gone.position, gone.hash)).head_was == "pruned"
    last_gone = before[pruned - 1]
    assert judged(after, Head(last_gone.position, last_gone.hash)).head_was == "held"
    assert judged(after, Head(last_gone.position, bytes(32))).head_was == "contradicted"


@pytest.mark.asyncio
async def test_entries_that_go_beyond_what_was_pruned_are_missed(store: SqliteStore) -> None:
    await use(store)
    await store.prune_audit(later(0.5), later(2), ANN)
    after = await everything(store)
    fault = judged(after[1:]).fault
    assert fault is not None
    assert (fault.position, fault.kind) == (1, "missing")


@pytest.mark.asyncio
async def test_the_last_entry_is_never_pruned_and_pruning_nothing_leaves_no_trace(store: SqliteStore) -> None:
    await use(store)
    while await store.prune_audit(later(10**9), later(2), ANN) > 1:
        pass
    records = await everything(store)
    assert records[-1].action == Action.AUDIT_PRUNED
    assert judged(records).fault is None
    before = await everything(store)
    assert await store.prune_audit(NOW.replace(year=1999), later(3), ANN) == 0
    assert await everything(store) == before


@pytest.mark.asyncio
async def test_a_backup_knows_the_head_and_what_is_restored_goes_on_from_it(
    data: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "b.tar"
    head = Head.of((await asyncio.to_thread(back_up, data, backup)).contents.audit_head)
    assert verify_backup(backup).contents.audit_head == str(head)
    assert of_file(data / "seawall.db", head).head_was == "held"
    await asyncio.to_thread(restore_backup, backup, tmp_path / "restored")
    store = await SqliteStore.open(tmp_path / "restored" / "seawall.db", SystemClock())
    new = await store.audit_after(head.position, 100)
    await store.close()
    assert [record.action for record in new] == [Action.CONTROLLER_STARTED, Action.CONTROLLER_RESTORED]
    assert of_file(tmp_path / "restored" / "seawall.db", head).head_was == "held"
