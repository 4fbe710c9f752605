"""A command's way to its agent: how often it is written down, in which order, and who may end it when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from seawall.core.command import CommandState, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CommandFinished
from seawall.engine.commands import CommandRequest
from seawall.testing.clock import FakeClock
from tests.engine.dispatch_plane import CHANGE, HOST, OTHER, READ, Plane, failing, ledger, ok, running

pytestmark = pytest.mark.asyncio

ELSEWHERE = msgspec.structs.replace(CHANGE, arguments={"container": "db"})
SHORT = msgspec.structs.replace(CHANGE, deadline_seconds=20.0, timeout_seconds=15.0)


def ended(plane: Plane) -> list[CommandState | None]:
    return [event.result.state for event in plane.events if isinstance(event, CommandFinished)]


# What is written


async def test_a_command_that_succeeds_at_once_is_written_down_twice(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        plane.attach()
        await plane.settle()
        for request in (CHANGE, READ):
            before = plane.transactions()
            accepted = await plane.commands.accept(request)
            record = await plane.commands.wait(accepted.command_id, 10.0)
            assert record is not None
            assert record.state is CommandState.SUCCEEDED
            assert plane.transactions() - before == 2
            assert [attempt.finished_at is not None for attempt in record.attempts] == [True]


async def test_whoever_asked_sees_only_what_is_durable(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        plane.attach()
        accepted = await plane.commands.accept(CHANGE)
        assert (accepted.state, accepted.attempts[0].finished_at) == (CommandState.DISPATCHED, None)


async def test_before_it_waits_for_its_back_off_the_end_of_the_attempt_is_written(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        plane.attach(failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_UNREACHABLE))
        accepted = await plane.commands.accept(CHANGE)
        await plane.settle()
        record = await plane.known(accepted)
        assert record.state is CommandState.DISPATCHED
        assert [attempt.error_code for attempt in record.attempts] == ["docker_error"]
        assert [decision.kind for decision in await plane.store.decisions(record.command_id)] != []


async def test_a_long_command_is_shown_running_and_a_short_one_is_not_written_for_that(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        plane.dispatcher.agent_started(OTHER, accepted.command_id)
        await plane.clock.advance(1.0)
        assert (await plane.known(accepted)).state is CommandState.DISPATCHED, "another agent said so"
        plane.dispatcher.agent_started(HOST, accepted.command_id)
        await plane.clock.advance(1.0)
        await plane.settle()
        assert (await plane.known(accepted)).state is CommandState.RUNNING
        assert session.hold is not None
        session.hold.set()
        assert (await plane.finished(accepted)).state is CommandState.SUCCEEDED


# The order of one container


async def test_incident_18_changes_of_one_container_go_one_after_the_other_in_the_order_of_acceptance(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        asked = [await plane.commands.accept(CHANGE) for _ in range(4)]
        other = await plane.commands.accept(ELSEWHERE)
        read = await plane.commands.accept(READ)
        await plane.reached(session, 3)
        await plane.settle()
        first = asked[0].command_id
        assert [command_id for command_id, _ in session.reached] == [first, other.command_id, read.command_id]
        assert session.hold is not None
        session.hold.set()
        for record in asked:
            assert (await plane.finished(record)).state is CommandState.SUCCEEDED
        order = [
            command_id
            for command_id, _ in session.reached
            if command_id not in (other.command_id, read.command_id)
        ]
        assert order == [record.command_id for record in asked]
        assert [record.sequence for record in asked] == [1, 2, 3, 4]


async def test_who_waits_for_the_container_past_its_deadline_expires_and_lets_the_next_one_by(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        first = await plane.commands.accept(msgspec.structs.replace(CHANGE, timeout_seconds=60.0))
        late = await plane.commands.accept(SHORT)
        third = await plane.commands.accept(msgspec.structs.replace(CHANGE, timeout_seconds=60.0))
        await plane.reached(session, 1)
        record = await plane.finished(late, within_seconds=21.0)
        assert (record.state, record.error_code) == (CommandState.EXPIRED, "deadline_exceeded")
        assert session.hold is not None
        session.hold.set()
        for record in (first, third):
            assert (await plane.finished(record)).state is CommandState.SUCCEEDED
        assert [command_id for command_id, _ in session.reached] == [first.command_id, third.command_id]


async def test_incident_13_a_cancel_overtakes_the_work_that_its_command_waits_for(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        first = await plane.commands.accept(CHANGE)
        waiting = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        assert await plane.dispatcher.cancel(waiting.command_id, "ann")
        await plane.settle()
        record = await plane.known(waiting)
        assert (record.state, record.settled) == (CommandState.CANCELLED, True)
        assert [attempt.circumstance for attempt in record.attempts] == ["not_sent"]
        assert (await plane.known(first)).state is CommandState.DISPATCHED


# A result that comes by another way than the answer


async def test_a_recorded_result_ends_a_command_that_waits_for_its_next_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(failing(CommandErrorCode.AGENT_DISCONNECTED))
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        await plane.settle()
        plane.tells(accepted, ledger(response="done meanwhile"))
        await plane.settle()
        record = await plane.known(accepted)
        assert (record.state, record.response, record.recorded) == (
            CommandState.SUCCEEDED,
            "done meanwhile",
            True,
        )
        assert session.acknowledged == [(1, 1)]
        assert ended(plane) == [CommandState.SUCCEEDED]
        await plane.clock.advance(300.0)
        assert len(session.reached) == 1


async def test_a_recorded_result_ends_a_command_whose_host_has_gone_again(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(failing(CommandErrorCode.AGENT_DISCONNECTED))
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        plane.fleet.detach(session)
        await plane.clock.advance(10.0)
        plane.tells(accepted, ledger(CommandErrorCode.AGENT_ERROR))
        record = await plane.finished(accepted, within_seconds=1.0)
        assert (record.state, record.error_code, record.settled) == (CommandState.FAILED, "agent_error", True)


@pytest.mark.parametrize("turns", range(12))
async def test_a_result_that_comes_twice_counts_once_and_is_acknowledged_each_time(
    tmp_path: Path, turns: int
) -> None:
    async with running(tmp_path) as plane:
        session = plane.held(lambda *_: ledger(response=1))
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        assert session.hold is not None
        session.hold.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        plane.tells(accepted, ledger(response=1))
        record = await plane.finished(accepted)
        await plane.settle()
        assert (record.state, record.response) == (CommandState.SUCCEEDED, 1)
        assert set(session.acknowledged) == {(1, 1)}
        assert ended(plane) == [CommandState.SUCCEEDED]
        assert plane.dispatcher.open_commands(HOST) == 0


async def test_a_result_that_comes_before_the_command_has_begun_here_ends_it_unsent(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        session = before.held()
        sent = await before.commands.accept(CHANGE)
        await before.reached(session, 1)
    async with running(tmp_path, clock) as after:
        # The agent is taken up and tells in one and the same turn of the loop.
        again = after.attach()
        after.tells(sent, ledger(response="told"))
        record = await after.finished(sent)
        await after.settle()
        assert (record.state, record.response) == (CommandState.SUCCEEDED, "told")
        assert again.acknowledged[-1] == (1, 1)
        assert after.dispatcher.open_commands(HOST) == 0


# Cancel


async def test_a_cancel_during_the_back_off_of_what_may_have_run_leaves_it_unknown(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        await plane.settle()
        assert await plane.dispatcher.cancel(accepted.command_id, "ann")
        record = await plane.finished(accepted, within_seconds=1.0)
        assert (record.state, record.settled, record.error_code) == (CommandState.UNKNOWN, False, "cancelled")


async def test_a_cancel_that_the_agents_ledger_has_written_down_is_proved(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        await plane.dispatcher.cancel(accepted.command_id, "ann")
        session.script = lambda *_: ledger(CommandErrorCode.CANCELLED)
        record = await plane.finished(accepted)
        await plane.settle()
        assert (record.state, record.settled) == (CommandState.CANCELLED, True)
        assert session.acknowledged == [(1, 1)]


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancel_at_any_turn_ends_in_one_truth(tmp_path: Path, turns: int) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(lambda *_: ledger(response=1))
        asking = asyncio.create_task(plane.commands.accept(CHANGE))
        while not (accepted := await plane.store.commands()):
            await plane.settle()
        for _ in range(turns):
            await asyncio.sleep(0)
        await plane.dispatcher.cancel(accepted[0].command_id, "ann")
        record = await plane.finished(await asking)
        await plane.settle()
        assert record.state in (CommandState.SUCCEEDED, CommandState.CANCELLED, CommandState.UNKNOWN)
        assert (record.state is CommandState.CANCELLED) <= (session.reached == [])
        assert await plane.known(record) == record
        assert plane.dispatcher.open_commands(HOST) == 0


# Amnesia


async def test_a_lost_ledger_ends_what_was_under_way_as_unknown_for_good(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.held()
        sent = await plane.commands.accept(CHANGE)
        backing_off = await plane.commands.accept(ELSEWHERE)
        await plane.reached(session, 2)
        plane.fleet.detach(session)
        unsent = await plane.commands.accept(msgspec.structs.replace(CHANGE, arguments={"container": "new"}))
        await plane.settle()
        grant = await plane.loses_ledger()
        await plane.settle()
        assert set(grant.lost) == {sent.command_id, backing_off.command_id}
        for lost in (sent, backing_off):
            record = await plane.known(lost)
            assert (record.state, record.settled, record.error_code) == (
                CommandState.UNKNOWN,
                True,
                "outcome_unknown",
            )
        again = plane.attach()
        assert (await plane.finished(unsent)).state is CommandState.SUCCEEDED
        assert [command_id for command_id, _ in again.reached] == [unsent.command_id]
        assert again.asked == [], "nobody is left who could tell"
        assert plane.dispatcher.settlement.watermarks.up_to(HOST) == 3


@pytest.mark.parametrize("turns", range(12))
async def test_a_ledger_lost_at_any_turn_of_the_end_shows_what_is_kept(tmp_path: Path, turns: int) -> None:
    async with running(tmp_path) as plane:
        session = plane.held(lambda *_: ledger(response=1))
        accepted = await plane.commands.accept(CHANGE)
        waiter = asyncio.create_task(plane.commands.wait(accepted.command_id, 3_600))
        await plane.reached(session, 1)
        losing = asyncio.create_task(plane.loses_ledger())
        for _ in range(turns):
            await asyncio.sleep(0)
        assert session.hold is not None
        session.hold.set()
        await losing
        await plane.settle()
        shown = await asyncio.wait_for(waiter, 10)
        assert shown is not None
        kept = await plane.known(accepted)
        assert (shown.state, shown.settled, shown.response) == (kept.state, kept.settled, kept.response)
        assert plane.dispatcher.open_commands(HOST) == 0


# An agent that says that it did nothing


async def test_an_agent_that_has_verified_that_nothing_happened_is_sent_it_again(tmp_path: Path) -> None:
    not_applied = Outcome(
        CommandErrorCode.AGENT_ERROR,
        "not applied",
        circumstance=Circumstance.NOT_APPLIED,
        source=Source.AGENT,
    )
    async with running(tmp_path) as plane:
        session = plane.attach(
            lambda command, attempt: not_applied if attempt.number == 1 else ok(command, attempt)
        )
        record = await plane.finished(await plane.commands.accept(CHANGE))
        assert (record.state, record.total_attempts) == (CommandState.SUCCEEDED, 2)
        session.script = lambda *_: not_applied
        record = await plane.finished(await plane.commands.accept(CHANGE))
        assert (record.state, record.settled) == (CommandState.FAILED, True)


async def test_a_request_without_a_queue_still_waits_for_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        record = await plane.finished(
            await plane.commands.accept(
                CommandRequest("container_restart", "web-1", {"container": "web"}, queue=False)
            ),
            within_seconds=1.0,
        )
        assert record.state is CommandState.REJECTED
