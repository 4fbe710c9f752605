"""A database is brought to this version all the way, or left as it was."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.storage.migrate import MIGRATIONS, MigrationFailed, NewerDatabase, migrate
from seawall.storage.schema import metadata
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from tests.storage.backends import LEDGER, command

NEXT = '''
"""The next."""
from alembic import op
import sqlalchemy as sa

revision = "9999"
down_revision = "{head}"

def upgrade():
    op.create_table("extra", sa.Column("number", sa.Integer))
    op.execute("UPDATE controller SET term = 99")
    op.execute("DROP TABLE agents")
    {end}
'''


HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def content(path: Path) -> list[str]:
    with closing(connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of this version with something in it."""
    path = tmp_path / "seawall.db"
    migrate(partial(connect, path), "it")
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO controller VALUES (1, 'me', 7)")
    return path


def only(*versions: str) -> Callable[[str, list[str]], set[str]]:
    """Leaves out the migrations of all other versions."""

    def left_out(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name[:4].isdigit() and name[:4] not in versions} | {"__pycache__"}

    return left_out


def migrations_with(tmp_path: Path, end: str) -> Path:
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9999_next.py").write_text(NEXT.format(end=end, head=HEAD), encoding="utf-8")
    return migrations


def test_the_migrations_lead_to_exactly_the_tables_that_the_statements_expect(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_conditions_of_the_indexes_are_those_that_the_statements_show(path: Path, tmp_path: Path) -> None:
    # Alembic doesn't compare these.
    meant = tmp_path / "meant.db"
    engine = create_engine(f"sqlite:///{meant}", poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()
    question = "SELECT name, sql FROM sqlite_master WHERE sql LIKE '%INDEX%WHERE%' ORDER BY name"
    with closing(connect(path)) as made, closing(connect(meant)) as expected:
        indexes = made.execute(question).fetchall()
        assert len(indexes) == 10
        assert indexes == expected.execute(question).fetchall()


def test_a_database_of_this_version_is_left_as_it_is(path: Path) -> None:
    before = content(path)
    migrate(partial(connect, path), "it")
    assert content(path) == before


def test_a_later_migration_is_run_on_what_is_there(path: Path, tmp_path: Path) -> None:
    migrate(partial(connect, path), "it", migrations_with(tmp_path, "pass"))
    with closing(connect(path)) as connection:
        assert connection.execute("SELECT term FROM controller").fetchall() == [(99,)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("raise ZeroDivisionError", ZeroDivisionError),
        ("op.execute('SELECT * FROM missing')", MigrationFailed),
    ],
)
def test_a_migration_that_breaks_off_half_way_leaves_no_trace(
    path: Path, tmp_path: Path, end: str, error: type[Exception]
) -> None:
    before = content(path)
    with pytest.raises(error):
        migrate(partial(connect, path), "it", migrations_with(tmp_path, end))
    assert content(path) == before
    migrate(partial(connect, path), "it")


def test_a_failed_migration_says_that_nothing_has_changed(path: Path, tmp_path: Path) -> None:
    migrations = migrations_with(tmp_path, "op.execute('SELECT * FROM missing')")
    with pytest.raises(
        MigrationFailed, match=r"tables of it can't .* are as they were: no such table: missing"
    ):
        migrate(partial(connect, path), "it", migrations)


@pytest.mark.asyncio
async def test_a_database_from_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9042'")
    before = content(path)
    with pytest.raises(NewerDatabase) as refused:
        await SqliteStore.open(path, SystemClock())
    message = str(refused.value)
    assert str(path) in message
    assert "version 9042" in message
    assert f"up to {HEAD}" in message
    assert "install the newer Seawall" in message
    assert content(path) == before


@pytest.mark.asyncio
async def test_a_store_works_on_what_the_migrations_made(path: Path) -> None:
    store = await SqliteStore.open(path, FakeClock(wall=datetime.fromtimestamp(1_900_000_000, UTC)))
    assert await store.controller_identity() == ("me", 1_900_000_000)
    await store.accept(command())
    await store.close()


FIRST_AGENT = """
INSERT INTO agents (agent_id, name, public_key, joined_at, labels, simulated, version, hostname, docker_version,
    operations, epoch) VALUES ('a-1', 'local', x'00', 0, '{}', 0, '0.1', 'host', '27', '["ping"]', 7)
"""
FIRST_COMMAND = """
INSERT INTO commands (command_id, operation, agent_id, agent, arguments, state, accepted_at, deadline_at,
    timeout_seconds, max_attempts, queue, requested_by, fingerprint, total_attempts, duration_seconds)
    VALUES (?, 'container_restart', 'a-1', 'local', '{"container": "web"}', ?, 1, 2, 30, 3, 1, 'ann', 'f', 0, 0)
"""


def made_by_the_first_version(tmp_path: Path) -> Path:
    """A database of the first version with an agent, and a command in every state."""
    only_first, path = tmp_path / "only_first", tmp_path / "first.db"
    shutil.copytree(MIGRATIONS, only_first, ignore=only("0001"))
    migrate(partial(connect, path), "it", only_first)
    with closing(connect(path)) as connection:
        connection.execute("INSERT INTO controller VALUES (1, 'me', 7)")
        connection.execute(FIRST_AGENT)
        for state in CommandState:
            connection.execute(FIRST_COMMAND, (f"c-{state.value}", state.value))
        connection.execute(
            "INSERT INTO attempts VALUES ('c-DISPATCHED', 1, 'r-1', 1, NULL, NULL, 'none', NULL)"
        )
    return path


@pytest.mark.asyncio
async def test_what_the_first_version_left_open_stays_open_and_what_it_ended_stays_ended(
    tmp_path: Path,
) -> None:
    path = await asyncio.to_thread(made_by_the_first_version, tmp_path)
    store = await SqliteStore.open(path, SystemClock())
    try:
        records = await store.commands()
        assert {record.command_id for record in records} == {f"c-{state.value}" for state in CommandState}
        for record in records:
            assert record.settled is record.state.final, record.state
            assert (record.sequence, record.recorded, record.evidence) == (0, False, None)
            assert record.arguments == {"container": "web"}
        open_ones = {state.value for state in CommandState if not state.final}
        assert {each.state.value for each in await store.unsettled()} == open_ones
        listed = await store.open_commands("a-1")
        assert [len(record.attempts) for record in listed if record.state is CommandState.DISPATCHED] == [1]
        grant = await store.open_session(msgspec.structs.replace((await store.agents())[0]), LEDGER)
        assert (grant.epoch, grant.acknowledged_up_to, grant.amnesia, grant.lost) == (8, 0, "", {})
        assert (await store.accept(command("c-1"), sequenced=True)).sequence == 1
    finally:
        await store.close()


def test_what_the_second_version_saw_begun_is_known_to_have_begun(tmp_path: Path) -> None:
    first_two, path = tmp_path / "first_two", tmp_path / "second.db"
    shutil.copytree(MIGRATIONS, first_two, ignore=only("0001", "0002"))
    migrate(partial(connect, path), "it", first_two)
    with closing(connect(path)) as connection:
        for state in ("DISPATCHED", "RUNNING", "UNKNOWN", "SUCCEEDED"):
            connection.execute(FIRST_COMMAND, (f"c-{state}", state))
        connection.execute("UPDATE commands SET settled = state = 'SUCCEEDED'")
        connection.execute("UPDATE commands SET evidence = '{}' WHERE state = 'UNKNOWN'")
    migrate(partial(connect, path), "it")
    with closing(connect(path)) as connection:
        begun = connection.execute("SELECT state FROM commands WHERE begun ORDER BY state").fetchall()
    assert begun == [("RUNNING",), ("UNKNOWN",)]


SEALED = '{"reference":"registry.test/app:1","username":"sealed-1","password":"sealed-2"}'


def test_the_third_versions_secrets_go_with_what_is_over_and_stay_with_what_may_be_done_over(
    tmp_path: Path,
) -> None:
    first_three, path = tmp_path / "first_three", tmp_path / "third.db"
    shutil.copytree(MIGRATIONS, first_three, ignore=only("0001", "0002", "0003"))
    migrate(partial(connect, path), "it", first_three)
    with closing(connect(path)) as connection:
        for state in CommandState:
            connection.execute(FIRST_COMMAND, (f"c-{state.value}", state.value))
        connection.execute("UPDATE commands SET operation = 'image_pull', arguments = ?", (SEALED,))
        for operation in ("compose_up", "compose_down"):
            connection.execute(FIRST_COMMAND, (operation, "FAILED"))
            told = (operation, '{"project":"shop","environment":"sealed-3"}', operation)
            connection.execute("UPDATE commands SET operation = ?, arguments = ? WHERE command_id = ?", told)
    migrate(partial(connect, path), "it")
    with closing(connect(path)) as connection:
        kept = dict(connection.execute("SELECT command_id, arguments FROM commands").fetchall())
    for state in CommandState:
        arguments = msgspec.json.decode(kept[f"c-{state.value}"])
        over = state.final and state is not CommandState.UNKNOWN
        assert arguments["reference"] == "registry.test/app:1"
        assert (arguments["username"], arguments["password"]) == (
            ("***",) * 2 if over else ("sealed-1", "sealed-2")
        )
    assert msgspec.json.decode(kept["compose_up"]) == {"project": "shop", "environment": "***"}
    assert msgspec.json.decode(kept["compose_down"]) == {"project": "shop", "environment": "sealed-3"}


def test_what_the_ninth_versions_alerts_said_of_hosts_that_were_offline_is_their_absence(
    tmp_path: Path,
) -> None:
    first_nine, path = tmp_path / "first nine", tmp_path / "seawall.db"
    versions = (f"{number:04}" for number in range(1, 10))
    shutil.copytree(MIGRATIONS, first_nine, ignore=only(*versions))
    migrate(partial(connect, path), "it", first_nine)
    alert = (
        "INSERT INTO alerts VALUES (?, ?, 'key', ?, 'critical', ?, 'host', '', 1, 1, ?, 0, NULL, ?, '', '')"
    )
    with closing(connect(path)) as connection:
        connection.executemany(
            alert,
            [
                (1, "l-1", "agent_offline", "a-1", 10, 20),
                (2, "l-2", "circuit_opened", "a-1", 10, None),
                (3, "l-3", "agent_offline", "a-1", 30, None),
            ],
        )
    migrate(partial(connect, path), "it")
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT agent_id, began_at, ended_at FROM absences").fetchall()
        assert rows == [("a-1", 10, 20), ("a-1", 30, None)]


def test_who_overruled_a_circuit_is_read_from_what_the_fourth_version_wrote(tmp_path: Path) -> None:
    first_four, path = tmp_path / "first_four", tmp_path / "fourth.db"
    shutil.copytree(MIGRATIONS, first_four, ignore=only("0001", "0002", "0003", "0004"))
    migrate(partial(connect, path), "it", first_four)
    said = {
        "5 failures in 60 s": "",
        "disk swap (open by ann)": "ann",
        "no (open by me) reason (reset by bob (night))": "bob (night)",
        "(open by ann) is over": "",
    }
    with closing(connect(path)) as connection:
        for reason in said:
            connection.execute(
                "INSERT INTO circuit_transitions (at, agent_id, domain, origin, target, reason)"
                " VALUES (1, 'a-1', 'agent', 'closed', 'open', ?)",
                (reason,),
            )
    migrate(partial(connect, path), "it")
    with closing(connect(path)) as connection:
        assert dict(connection.execute('SELECT reason, "by" FROM circuit_transitions').fetchall()) == said
