"""What a controller does at its start with what an earlier one left open."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.backlog import WARM_UP_SECONDS
from seawall.engine.records import CommandRecord
from seawall.storage.command_rows import CommandRow, command_row
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from tests.engine.dispatch_plane import CHANGE, HOST, READ, by_question, failing, ledger, running
from tests.storage.backends import BusyStore, attempt, command

pytestmark = pytest.mark.asyncio

SHORT = msgspec.structs.replace(CHANGE, deadline_seconds=20.0, timeout_seconds=15.0)
MANY = 100_000


async def left_under_way(directory: Path, clock: FakeClock) -> list[str]:
    """A change that was sent, a change that waits for the same container, and a read that was sent."""
    async with running(directory, clock) as before:
        session = before.held()
        sent = await before.commands.accept(CHANGE)
        waiting = await before.commands.accept(CHANGE)
        read = await before.commands.accept(READ)
        await before.reached(session, 2)
    return [record.command_id for record in (sent, waiting, read)]


async def test_what_was_sent_is_sent_again_under_its_own_id_when_its_agent_comes(tmp_path: Path) -> None:
    clock = FakeClock()
    sent, waiting, read = await left_under_way(tmp_path, clock)
    async with running(tmp_path, clock) as after:
        await after.settle()
        assert after.dispatcher.open_commands(HOST) == 3
        session = after.attach(lambda command, _: ledger(response=command.sequence))
        for command_id in (sent, waiting, read):
            record = await after.finished((await after.commands.wait(command_id, 0)) or command())
            assert record.state is CommandState.SUCCEEDED
            assert record.total_attempts == 2
        assert [each for each in session.reached if each[0] != read] == [(sent, 2), (waiting, 2)]
        assert len(session.reached) == 3


async def test_what_was_open_before_goes_before_what_comes_after(tmp_path: Path) -> None:
    clock = FakeClock()
    sent, waiting, _ = await left_under_way(tmp_path, clock)
    async with running(tmp_path, clock) as after:
        session = after.attach()
        new = await after.commands.accept(CHANGE)
        assert (await after.finished(new)).state is CommandState.SUCCEEDED
        assert [
            command_id for command_id, _ in session.reached if command_id in (sent, waiting, new.command_id)
        ] == [
            sent,
            waiting,
            new.command_id,
        ]


async def test_incident_12_what_may_have_been_sent_is_unknown_after_deadline_and_warm_up_and_asked_about(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        session = before.held()
        sent = await before.commands.accept(SHORT)
        await before.reached(session, 1)
    await clock.advance(600.0)
    async with running(tmp_path, clock) as after:
        await clock.advance(WARM_UP_SECONDS - 1.0)
        await after.settle()
        assert (await after.known(sent)).state is CommandState.DISPATCHED, "its agent is about to come"
        record = await after.finished(sent, within_seconds=2.0)
        assert (record.state, record.settled, record.error_code) == (
            CommandState.UNKNOWN,
            False,
            "outcome_unknown",
        )
        again = after.attach(by_question(ledger(response="done"), ledger(CommandErrorCode.AGENT_ERROR)))
        assert (await after.settled(sent)).state is CommandState.SUCCEEDED
        assert again.reached == []


async def test_what_was_never_sent_expires_without_waiting_for_the_warm_up(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        unsent = await before.commands.accept(SHORT)
    await clock.advance(600.0)
    async with running(tmp_path, clock) as after:
        record = await after.finished(unsent, within_seconds=1.0)
        assert (record.state, record.settled) == (CommandState.EXPIRED, True)


async def test_incident_39_nothing_is_concluded_about_a_host_that_is_not_back_yet(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        unsent = await before.commands.accept(CHANGE)
    async with running(tmp_path, clock) as after:
        await clock.advance(60.0)
        await after.settle()
        assert (await after.known(unsent)).state is CommandState.ACCEPTED
        after.attach()
        assert (await after.finished(unsent)).state is CommandState.SUCCEEDED


@pytest.mark.parametrize(("sent", "state"), [(False, CommandState.CANCELLED), (True, CommandState.UNKNOWN)])
async def test_what_waits_for_a_host_that_is_not_back_yet_can_be_cancelled(
    tmp_path: Path, sent: bool, state: CommandState
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        session = before.held() if sent else None
        record = await before.commands.accept(CHANGE)
        if session is not None:
            await before.reached(session, 1)
    async with running(tmp_path, clock) as after:
        assert await after.dispatcher.cancel(record.command_id, "ann")
        assert (await after.finished(record, within_seconds=1.0)).state is state
        again = after.attach(by_question(ledger(CommandErrorCode.CANCELLED), ledger()))
        await after.settle()
        assert again.reached == []
        assert (await after.settled(record)).state is CommandState.CANCELLED


async def test_a_change_that_no_ledger_knows_is_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as plane:
        sent = command(
            "old", agent_id=HOST, state=CommandState.DISPATCHED, deadline_at=clock.wall() + timedelta(hours=1)
        )
        await plane.store.accept(sent)
        await plane.store.start_attempt("old", attempt(1))
    async with running(tmp_path, clock) as after:
        session = after.attach()
        record = await after.finished(sent)
        assert (record.state, record.settled, record.error_code) == (
            CommandState.UNKNOWN,
            True,
            "outcome_unknown",
        )
        assert session.reached == session.asked == []


async def test_a_result_that_comes_while_its_agent_is_taken_up_does_no_harm(tmp_path: Path) -> None:
    clock = FakeClock()
    sent, waiting, _ = await left_under_way(tmp_path, clock)
    for turns in range(30):
        directory = tmp_path / str(turns)
        directory.mkdir()
        with (
            closing(sqlite3.connect(tmp_path / "seawall.db")) as source,
            closing(sqlite3.connect(directory / "seawall.db")) as copy,
        ):
            source.backup(copy)
        async with running(directory, FakeClock(wall=clock.wall())) as after:
            session = after.attach(lambda command, _: ledger(response=command.sequence))
            for _ in range(turns):
                await asyncio.sleep(0)
            record = await after.store.command(sent) if turns % 2 else None
            after.tells(record or command(sent, sequence=1), ledger(response=1))
            for command_id in (sent, waiting):
                done = await after.finished(command(command_id))
                assert (done.state, done.settled) == (CommandState.SUCCEEDED, True), f"after {turns} turns"
            await after.settle()
            assert after.dispatcher.open_commands(HOST) == 0
            assert (1, 2) in session.acknowledged or (2, 2) in session.acknowledged


class LateReader(BusyStore):
    """What it has read of an agent's open commands it hands out when `go_on` is done."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.has_read = asyncio.Event()
        self.go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open_commands(self, agent_id: str) -> list[CommandRecord]:
        found = await super().open_commands(agent_id)
        self.has_read.set()
        await self.go_on
        return found


async def test_a_result_that_comes_in_the_very_turn_in_which_its_agent_is_taken_up_does_no_harm(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    sent, *_ = await left_under_way(tmp_path, clock)
    async with running(tmp_path, clock, LateReader) as after:
        session, store = after.held(), after.store
        assert isinstance(store, LateReader)
        await store.has_read.wait()
        record = await after.known(command(sent))
        # First the commands are started, then the result is looked at, of which nobody was to be told.
        store.go_on.set_result(None)
        after.tells(record, ledger(response=1))
        done = await after.finished(command(sent))
        assert (done.state, done.response) == (CommandState.SUCCEEDED, 1)
        assert session.hold is not None
        session.hold.set()
        await after.settle()
        assert [command_id for command_id, _ in session.reached if command_id == sent] == []
        assert after.dispatcher.open_commands(HOST) == 0


class LateFinisher(BusyStore):
    """Writes down no end before `go_on` is set."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.go_on = asyncio.Event()

    async def finish(self, record: CommandRecord, *more: Any) -> bool:
        await self.go_on.wait()
        return await super().finish(record, *more)


async def test_the_next_change_of_a_container_goes_when_the_end_of_the_one_before_is_durable(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, stores=LateFinisher) as plane:
        session, store = (
            plane.attach(failing(CommandErrorCode.DOCKER_ERROR, Circumstance.NOT_APPLIED)),
            plane.store,
        )
        assert isinstance(store, LateFinisher)
        once = msgspec.structs.replace(CHANGE, max_attempts=1)
        first, second = [await plane.commands.accept(once) for _ in range(2)]
        await plane.reached(session, 1)
        await plane.settle()
        assert session.reached == [(first.command_id, 1)], "a crash now would have it begun after the other"
        store.go_on.set()
        await plane.finished(second)
        assert session.reached == [(first.command_id, 1), (second.command_id, 1)]


async def test_a_command_that_is_over_by_the_time_it_would_be_sent_is_left_as_it_is(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        ended, other = [await plane.commands.accept(CHANGE) for _ in range(2)]
        await plane.settle()
        over = await plane.known(ended)
        over.state, over.settled, over.finished_at = CommandState.UNKNOWN, True, plane.clock.wall()
        assert await plane.store.finish(over)
        with plane.bus.listen(ended.command_id) as told:
            session = plane.attach()
            assert (await plane.finished(other)).state is CommandState.SUCCEEDED, "the controller lives on"
            assert (await anext(told)).kind == "finished"
        assert (await plane.known(ended)).state is CommandState.UNKNOWN
        assert session.reached == [(other.command_id, 1)]
        assert plane.dispatcher.open_commands(HOST) == 0


def rows(clock: SystemClock) -> Iterator[dict[str, object]]:
    deadline = clock.wall() + timedelta(hours=1)
    for n in range(MANY):
        state = (CommandState.ACCEPTED, CommandState.DISPATCHED, CommandState.RUNNING)[n % 3]
        row = command_row(command(f"c-{n:06}", agent_id=f"a-{n % 1000}", state=state, deadline_at=deadline))
        yield row | {"agent_sequence": n // 1000 + 1, "settled": False}


def fill(path: Path, clock: SystemClock) -> None:
    columns = CommandRow._fields
    marks = ", ".join(f":{name}" for name in columns)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(f"INSERT INTO commands ({', '.join(columns)}) VALUES ({marks})", rows(clock))  # noqa: S608 - names of columns


@pytest.mark.timeout(120)
async def test_a_controller_with_a_hundred_thousand_open_commands_is_ready_within_three_seconds(
    tmp_path: Path,
) -> None:
    clock, path = SystemClock(), tmp_path / "seawall.db"
    store = await SqliteStore.open(path, clock)
    await store.close()
    await asyncio.to_thread(fill, path, clock)
    began = time.perf_counter()
    async with running(tmp_path, FakeClock(wall=clock.wall())) as plane:
        took = time.perf_counter() - began
        print(f"ready with {MANY:,} open commands within {took:.2f} s")  # noqa: T201 - a figure to look at
        assert plane.dispatcher.open_commands("a-7") == MANY / 1000
    assert took < 3.0


async def test_whoever_waits_for_a_command_of_an_earlier_start_is_woken_when_its_agent_has_told(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    sent, _, _ = await left_under_way(tmp_path, clock)
    async with running(tmp_path, clock) as after:
        waiting = asyncio.create_task(after.commands.wait(sent, 60.0))
        await after.settle()
        assert not waiting.done(), "its agent isn't back yet, but it is open"
        after.attach(lambda command, _: ledger(response=command.sequence))
        async with asyncio.timeout(20):
            record = await waiting
        assert record is not None
        assert record.state is CommandState.SUCCEEDED
