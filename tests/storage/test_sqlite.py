"""What the store on SQLite promises beyond the contract: how it flushes, fails, and survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.dialects.sqlite import dialect

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.engine.audit import Action
from seawall.engine.store import CommandOver, StoreFailed, StoreFull
from seawall.files import LOOK_SECONDS
from seawall.storage import audit as audit_statements
from seawall.storage import command_list
from seawall.storage import commands as command_statements
from seawall.storage import fleet as fleet_statements
from seawall.storage.schema import controller
from seawall.storage.sqlite import RESERVE_BYTES, SqliteStore
from seawall.storage.statements import Connection, Row, Statement
from seawall.testing.clock import FakeClock
from seawall.writer import LOG_BYTES, commit
from tests.storage.backends import attempt, command, later

pytestmark = pytest.mark.asyncio

Commit = Callable[[sqlite3.Connection], object]

PARAMETERS = {
    "id": "c-1",
    "key": "key",
    "agent": "a-1",
    "now": 0,
    "after": 0,
    "state": "UNKNOWN",
    "error_code": "outcome_unknown",
    "error": "it is lost",
    "state_0": "FAILED",
    "state_1": "UNKNOWN",
    "last": "c-1",
    "most": 50,
    "who": "user:ann",
    "action_0": "token_revoked",
    "end": 7,
}
BREAK_IT = Statement(update(controller), ["term"])
FAILED, RUNNING = (CommandState.FAILED, CommandState.UNKNOWN), (CommandState.RUNNING,)
WITHOUT_SUCCESS = "ix_commands_without_success"
Commands, Entries = command_list.Wanted, audit_statements._Filter


def the_list(wanted: Commands) -> Statement:
    return command_list.listing(wanted)[0]


class Commits:
    """Counts the flushes, and can hold one up or break it."""

    def __init__(self) -> None:
        self.count = 0
        self.before: Commit | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.count += 1
        assert self.gate.wait(20)
        if self.before is not None:
            self.before(connection)
        commit(connection)


@asynccontextmanager
async def opened(
    path: Path, commits: Commit = commit, on_failure: Callable[[StoreFailed], object] | None = None
) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, SystemClock(), commit=commits, on_failure=on_failure)
    try:
        yield store
    finally:
        await store.close()


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def modes_of_files(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


def all_rows(question: str) -> Callable[[Connection], list[Row]]:
    statement = Statement(text(question))
    return lambda connection: connection.execute(statement, {}).fetchall()


# How it is set up


async def test_every_commit_is_flushed_and_only_the_writer_carries_the_log_over(tmp_path: Path) -> None:
    found: dict[str, object] = {}
    commits = Commits()

    def look(connection: sqlite3.Connection) -> None:
        for name in ("journal_mode", "foreign_keys", "wal_autocheckpoint", "busy_timeout"):
            found[name] = pragma(connection, name)

    async with opened(tmp_path / "seawall.db", commits) as store:
        commits.before = look
        await store.check()
        # Inside a transaction SQLite answers this one all the same.
        found["synchronous"] = (await store.write(all_rows("PRAGMA synchronous")))[0][0]
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "busy_timeout": 5000,
        "synchronous": 2,
    }


async def test_a_reader_can_not_write(tmp_path: Path) -> None:
    async with opened(tmp_path / "seawall.db") as store:
        before = await store.read(all_rows("SELECT term FROM controller"))
        with pytest.raises(StoreFailed, match="readonly"):
            await store.read(lambda connection: connection.execute(BREAK_IT, {"term": 9}))
        assert not store.failed
        assert await store.read(all_rows("SELECT term FROM controller")) == before


async def test_one_read_sees_one_state_however_long_it_takes(tmp_path: Path) -> None:
    first_look, go_on = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> tuple[list[Row], list[Row]]:
        count = all_rows("SELECT count(*) FROM commands")
        before = count(connection)
        first_look.set()
        assert go_on.wait(20)
        return before, count(connection)

    async with opened(tmp_path / "seawall.db") as store:
        read = asyncio.create_task(store.read(look_twice))
        await asyncio.to_thread(first_look.wait, 20)
        await store.accept(command())
        go_on.set()
        assert await read == ([(0,)], [(0,)])


async def test_nobody_else_can_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "seawall.db"
    path.touch(mode=0o644)
    async with opened(path) as store:
        await store.accept(command())
        modes = await asyncio.to_thread(modes_of_files, tmp_path)
    assert modes == {"seawall.db": 0o600, "seawall.db-wal": 0o600, "seawall.db-shm": 0o600}


async def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    directory = tmp_path / "50 % of #1? yes&mode=ro"
    directory.mkdir()
    async with opened(directory / "seawall.db") as store:
        await store.accept(command())
        assert await store.command("c-1") == command()
    assert (directory / "seawall.db").is_file()


@pytest.mark.parametrize(
    ("statement", "evidence"),
    [
        (command_statements._OPEN_COMMANDS, "ix_commands_unsettled (agent_id=?)"),
        (command_statements._UNSETTLED, "ix_commands_unsettled"),
        (fleet_statements._FIRST_UNSETTLED, "ix_commands_unsettled"),
        (fleet_statements._LOSE, "ix_commands_unsettled"),
        (fleet_statements._RECORDED_UP_TO, "ix_commands_recorded"),
        (command_statements._COMMAND_BY_KEY, "uq_commands_idempotency_key"),
        (command_statements._COMMAND, "command_id=?"),
        (the_list(Commands.of("a-1", FAILED)), WITHOUT_SUCCESS),
        (the_list(Commands.of(None, FAILED)), WITHOUT_SUCCESS),
        (the_list(Commands.of(None, FAILED, before="c-1")), f"{WITHOUT_SUCCESS} (sequence<?)"),
        (the_list(Commands.of("a-1", RUNNING)), "ix_commands_unsettled (agent_id=?)"),
        (the_list(Commands.of(None, RUNNING)), "ix_commands_unsettled"),
        (audit_statements._listing(Entries.of("user:ann")), "ix_audit_people (actor=?)"),
        (
            audit_statements._listing(Entries.of(None, (Action.TOKEN_REVOKED,), before=7)),
            "ix_audit_rare (action=? AND rowid<?)",
        ),
    ],
)
async def test_the_questions_of_the_hot_path_use_their_index(
    tmp_path: Path, statement: Statement, evidence: str
) -> None:
    async with opened(tmp_path / "seawall.db") as store:
        await store.accept(command())
    with closing(sqlite3.connect(tmp_path / "seawall.db")) as connection:
        question = statement.text(dialect(paramstyle="named"))
        plan = connection.execute(f"EXPLAIN QUERY PLAN {question}", PARAMETERS).fetchall()
    assert "SEARCH" in str(plan) or "USING INDEX" in str(plan)
    assert evidence in str(plan)


async def test_a_statement_with_a_value_of_its_own_is_refused() -> None:
    with pytest.raises(AssertionError, match="belong into the parameters"):
        Statement(insert(controller).values(row=1)).text(dialect(paramstyle="named"))


# How it writes


async def test_many_accepts_at_once_share_few_flushes(tmp_path: Path) -> None:
    commits = Commits()
    async with opened(tmp_path / "seawall.db", commits) as store:
        before = commits.count
        await asyncio.gather(*(store.accept(command(f"c-{n}")) for n in range(1_000)))
        assert commits.count - before <= 20
        assert len(await store.commands(limit=2_000)) == 1_000


async def test_nothing_is_answered_before_its_flush(tmp_path: Path) -> None:
    commits = Commits()
    async with opened(tmp_path / "seawall.db", commits) as store:
        commits.gate.clear()
        asked = [asyncio.create_task(store.accept(command(f"c-{n}"))) for n in range(5)]
        await asyncio.to_thread(_until, lambda: commits.count == 2)
        assert not any(task.done() for task in asked)
        assert await store.commands() == []
        commits.gate.set()
        await asyncio.gather(*asked)


async def test_a_job_that_fails_takes_back_its_own_work_and_nobody_elses(tmp_path: Path) -> None:
    commits = Commits()

    def break_half_way(connection: Connection) -> None:
        connection.execute(BREAK_IT, {"term": 70})
        raise ZeroDivisionError

    def break_a_rule(connection: Connection) -> None:
        connection.execute(BREAK_IT, {"term": 80})
        connection.execute(BREAK_IT, {"term": None})

    async with opened(tmp_path / "seawall.db", commits) as store:
        before = await store.read(all_rows("SELECT term FROM controller"))
        commits.gate.clear()
        first = asyncio.create_task(store.check())
        await asyncio.to_thread(_until, lambda: commits.count == 2)
        jobs = [
            store.accept(command("c-1")),
            store.write(break_half_way),
            store.accept(command("c-2")),
            store.start_attempt("c-9", attempt(1)),
            store.write(break_a_rule),
            store.accept(command("c-1")),
            store.start_attempt("c-1", attempt(1)),
        ]
        batch = [asyncio.ensure_future(job) for job in jobs]
        await asyncio.sleep(0)
        commits.gate.set()
        answers = await asyncio.gather(*batch, return_exceptions=True)
        await first
        assert commits.count == 3, "they were to share one transaction"
        assert [type(answer) for answer in answers] == [
            type(command()),
            ZeroDivisionError,
            type(command()),
            CommandOver,
            sqlite3.IntegrityError,
            sqlite3.IntegrityError,
            type(None),
        ]
        assert [record.command_id for record in await store.commands()] == ["c-2", "c-1"]
        assert await store.read(all_rows("SELECT term FROM controller")) == before
        assert not store.failed


async def test_the_log_stays_short(tmp_path: Path) -> None:
    log, longest = tmp_path / "seawall.db-wal", 0
    async with opened(tmp_path / "seawall.db") as store:
        for n in range(24):
            await store.accept(command(f"c-{n}", response="x" * 1_000_000))
            longest = max(longest, log.stat().st_size)
        assert longest < 2 * LOG_BYTES
        await store.check()
        await store.check()
        assert log.stat().st_size <= LOG_BYTES, "a log that never shrinks is carried over at every write"
    assert not log.exists(), "the last to go carries everything over"


# How it fails


def fail_with(error: Exception) -> Commit:
    def broken(_: sqlite3.Connection) -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        sqlite3.OperationalError("disk I/O error"),
        ZeroDivisionError("a bug"),
    ],
)
async def test_after_a_failed_flush_nothing_is_written_any_more(tmp_path: Path, error: Exception) -> None:
    commits, failures = Commits(), list[StoreFailed]()
    async with opened(tmp_path / "seawall.db", commits, failures.append) as store:
        await store.accept(command("before"))
        count = commits.count
        commits.before = fail_with(error)
        commits.gate.clear()
        first = asyncio.create_task(store.accept(command("c-0")))
        await asyncio.to_thread(_until, lambda: commits.count == count + 1)
        queued = [asyncio.create_task(store.accept(command(f"c-{n}"))) for n in range(1, 20)]
        await asyncio.sleep(0)
        commits.gate.set()
        answers = await asyncio.gather(first, *queued, return_exceptions=True)
        assert all(isinstance(answer, StoreFailed) for answer in answers)
        assert all(str(error) in str(answer) for answer in answers)

        commits.before = None
        for late in (store.accept(command("late")), store.finish(command("before")), store.check()):
            with pytest.raises(StoreFailed, match="nothing more is accepted"):
                await late
        assert commits.count == count + 1, "a flush is never tried again"
        assert store.failed
        assert len(failures) == 1
        assert failures[0].__cause__ is error
        assert [record.command_id for record in await store.commands()] == ["before"]
    log = tmp_path / "seawall.db-wal"
    assert log.stat().st_size > 0, "it wasn't carried over: that would have been another flush"
    async with opened(tmp_path / "seawall.db") as store:
        assert [record.command_id for record in await store.commands()] == ["before"]


async def test_below_the_reserve_nothing_new_is_kept_and_everything_else_is(tmp_path: Path) -> None:
    room, clock = [RESERVE_BYTES], FakeClock()
    store = await SqliteStore.open(tmp_path / "db", clock, free_bytes=lambda _: room[0])
    try:
        first = await store.accept(command("c-1", idempotency_key="k", fingerprint="f"))
        room[0] -= 1
        await clock.advance(LOOK_SECONDS)
        with pytest.raises(StoreFull, match="free some space"):
            await store.accept(command("c-2"))
        assert await store.accept(command("c-3", idempotency_key="k", fingerprint="f")) == first
        await store.start_attempt("c-1", attempt())
        assert not store.failed
    finally:
        await store.close()


async def test_a_full_disk_ends_the_writing_and_loses_nothing(tmp_path: Path) -> None:
    commits, failures = Commits(), list[StoreFailed]()
    async with opened(tmp_path / "seawall.db", commits, failures.append) as store:
        commits.before = lambda connection: connection.execute("PRAGMA max_page_count = 1")
        await store.accept(command("before"))
        commits.before = None
        batch = (store.accept(command(f"c-{n}", response="x" * 100_000)) for n in range(100))
        answers = await asyncio.gather(*batch, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, StoreFailed)]
        assert errors
        assert all("full" in str(error) for error in errors)
        assert store.failed
        assert len(failures) == 1
        kept = {record.command_id for record in await store.commands()}
        assert kept == {"before"} | {
            answer.command_id for answer in answers if not isinstance(answer, BaseException)
        }
    async with opened(tmp_path / "seawall.db") as store:
        assert {record.command_id for record in await store.commands()} == kept


async def test_a_database_locked_by_another_program_is_an_error_that_passes(tmp_path: Path) -> None:
    commits = Commits()
    async with opened(tmp_path / "seawall.db", commits) as store:
        commits.before = lambda connection: connection.execute("PRAGMA busy_timeout = 1")
        await store.accept(command("c-1"))
        with closing(sqlite3.connect(tmp_path / "seawall.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match="locked by another program"):
                await store.accept(command("c-2"))
            other.execute("ROLLBACK")
        assert not store.failed
        await store.accept(command("c-3"))
        assert [record.command_id for record in await store.commands()] == ["c-3", "c-1"]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "seawall.db"
    path.write_bytes(b"a letter to my aunt " * 100)
    with pytest.raises(StoreFailed, match=r"seawall\.db.*not a database.*restore"):
        await SqliteStore.open(path, SystemClock())
    assert path.read_bytes() == b"a letter to my aunt " * 100


async def test_a_database_in_a_directory_that_is_missing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        StoreFailed, match=r"missing/seawall\.db can't be opened: No such file.*another data dir"
    ):
        await SqliteStore.open(tmp_path / "missing" / "seawall.db", SystemClock())


# How it survives

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from tests.storage.backends import attempt, command, later

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), SystemClock())
    async def write(worker):
        n = 0
        while True:
            record = command(f"{worker}-{n}", response="x" * 5_000)
            await store.accept(record)
            print("accepted", record.command_id, flush=True)
            await store.start_attempt(record.command_id, attempt(1))
            record.state, record.finished_at = CommandState.SUCCEEDED, later(1)
            await store.finish(record)
            print("finished", record.command_id, flush=True)
            n += 1
    await asyncio.gather(*(write(worker) for worker in range(16)))

asyncio.run(main())
"""


async def test_what_returned_before_kill_9_is_there_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "seawall.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITE_FOR_EVER,
        str(path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(1_500)]
    process.send_signal(signal.SIGKILL)
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    said = [line.decode().split() for line in lines if line.endswith(b"\n")]
    assert len(said) >= 1_500
    async with opened(path) as store:
        kept = {record.command_id: record for record in await store.commands(limit=100_000)}
        integrity = await store.read(all_rows("PRAGMA integrity_check"))
    assert integrity == [("ok",)]
    assert {command_id for word, command_id in said if word == "accepted"} <= kept.keys()
    for word, command_id in said:
        if word == "finished":
            assert kept[command_id].state is CommandState.SUCCEEDED
            assert kept[command_id].finished_at == later(1)
            assert kept[command_id].attempts == [attempt(1)]


def _until(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        waiting.wait(0.001)
    raise AssertionError("it never came true")
