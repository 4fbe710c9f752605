"""The durable path: what is accepted reaches its agent, is kept, and ends in the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seawall.core.command import CommandState, Domain
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CommandFinished
from seawall.engine.commands import CommandRequest, InvalidRequest, UnknownAgent, UnknownOperation
from seawall.engine.store import IdempotencyConflict
from seawall.operations.operation import InvalidArguments
from seawall.testing.clock import FakeClock
from tests.engine.dispatch_plane import (
    CHANGE,
    HOST,
    READ,
    ScriptedSession,
    failing,
    first_fails,
    ok,
    running,
)


@pytest.mark.asyncio
async def test_a_command_reaches_the_agent_once_and_its_result_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(ok)
        plane.fleet.attach(session)
        accepted = await plane.commands.accept(CHANGE)
        assert (accepted.state, accepted.sequence) == (CommandState.DISPATCHED, 1)
        record = await plane.finished(accepted)
        assert (record.state, record.settled) == (CommandState.SUCCEEDED, True)
        assert record.response == {"done": True}
        assert [attempt.number for attempt in record.attempts] == [1]
        assert session.reached == [(accepted.command_id, 1)]


@pytest.mark.asyncio
async def test_a_read_is_retried_after_a_timeout_under_the_same_command_id(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(first_fails(CommandErrorCode.TIMEOUT))
        plane.fleet.attach(session)
        record = await plane.finished(await plane.commands.accept(READ))
        assert record.state is CommandState.SUCCEEDED
        assert record.total_attempts == 2
        assert record.retried
        assert session.reached == [(record.command_id, 1), (record.command_id, 2)]
        assert len({attempt.correlation_id for attempt in record.attempts}) == 2


@pytest.mark.asyncio
async def test_incident_2_a_change_that_timed_out_is_asked_about_under_its_own_id_and_then_unknown(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        plane.fleet.attach(session)
        record = await plane.finished(await plane.commands.accept(CHANGE))
        assert (record.state, record.settled) == (CommandState.UNKNOWN, False)
        assert record.error_code == "timeout"
        assert session.reached == [(record.command_id, number) for number in (1, 2, 3)]


@pytest.mark.asyncio
async def test_a_change_is_retried_where_docker_provably_did_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(first_fails(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_UNREACHABLE))
        plane.fleet.attach(session)
        record = await plane.finished(await plane.commands.accept(CHANGE))
        assert record.state is CommandState.SUCCEEDED
        assert record.total_attempts == 2


@pytest.mark.asyncio
async def test_a_command_to_an_absent_host_waits_for_it_without_using_up_attempts(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        accepted = await plane.commands.accept(CHANGE)
        await plane.clock.advance(20)
        waiting = await plane.store.command(accepted.command_id)
        assert waiting is not None
        assert waiting.state is CommandState.ACCEPTED
        plane.fleet.attach(ScriptedSession(ok))
        record = await plane.finished(accepted)
        assert record.state is CommandState.SUCCEEDED
        assert record.total_attempts == 1


@pytest.mark.asyncio
async def test_a_host_that_stays_away_past_the_deadline_expires_the_command(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        asked = CommandRequest("container_restart", "web-1", {"container": "web"}, deadline_seconds=30)
        record = await plane.finished(await plane.commands.accept(asked), within_seconds=31)
        assert record.state is CommandState.EXPIRED
        assert record.error_code == "agent_not_connected"
        assert record.attempts == []


@pytest.mark.asyncio
async def test_without_queueing_an_absent_host_rejects_the_command_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        asked = CommandRequest("ping", "web-1", queue=False)
        record = await plane.finished(await plane.commands.accept(asked), within_seconds=1)
        assert record.state is CommandState.REJECTED
        assert record.error_code == "agent_not_connected"


@pytest.mark.asyncio
async def test_an_open_circuit_turns_a_command_away_and_leaves_its_key_free(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED))
        plane.fleet.attach(session)
        for _ in range(2):
            await plane.finished(await plane.commands.accept(READ))
        sent = len(session.reached)
        asked = CommandRequest("container_list", "web-1", idempotency_key="k")
        rejected = await plane.commands.accept(asked)
        assert rejected.state is CommandState.REJECTED
        assert rejected.error_code == "circuit_open"
        assert rejected.retry_after_seconds is not None
        assert rejected.duration_seconds == 0
        assert len(session.reached) == sent
        session.script = ok
        plane.fleet.heard(HOST, Domain.DOCKER, "the Docker Engine answered a ping")
        again = await plane.finished(await plane.commands.accept(asked))
        assert again.command_id != rejected.command_id
        assert again.state is CommandState.SUCCEEDED


@pytest.mark.asyncio
async def test_a_ping_passes_while_only_the_docker_circuit_is_open(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED))
        plane.fleet.attach(session)
        for _ in range(2):
            await plane.finished(await plane.commands.accept(READ))
        session.script = ok
        record = await plane.finished(await plane.commands.accept(CommandRequest("ping", "web-1")))
        assert record.state is CommandState.SUCCEEDED


@pytest.mark.asyncio
async def test_one_key_is_one_command_even_while_the_circuit_is_open(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(ok)
        plane.fleet.attach(session)
        asked = CommandRequest("container_list", "web-1", idempotency_key="k")
        first = await plane.finished(await plane.commands.accept(asked))
        session.script = failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED)
        for _ in range(4):
            await plane.finished(await plane.commands.accept(READ))
        assert (await plane.commands.accept(READ)).state is CommandState.REJECTED
        assert (await plane.commands.accept(asked)).command_id == first.command_id
        with pytest.raises(IdempotencyConflict):
            await plane.commands.accept(CommandRequest("ping", "web-1", idempotency_key="k"))


@pytest.mark.asyncio
async def test_cancelling_what_waits_proves_that_it_never_ran(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        accepted = await plane.commands.accept(CHANGE)
        await plane.clock.advance(0.1)
        assert await plane.dispatcher.cancel(accepted.command_id, "ann")
        record = await plane.finished(accepted, within_seconds=5)
        assert record.state is CommandState.CANCELLED
        assert "ann" in str(record.error)
        assert len(plane.guards) == 0
        assert [event.result.state for event in plane.events if isinstance(event, CommandFinished)] == [
            record.state
        ]


@pytest.mark.asyncio
async def test_cancelling_what_the_agent_has_asks_the_agent_and_stays_honest(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(ok)
        session.hold = asyncio.Event()
        plane.fleet.attach(session)
        accepted = await plane.commands.accept(CHANGE)
        while not session.reached:
            await plane.clock.advance(0.01)
        assert await plane.dispatcher.cancel(accepted.command_id, "ann")
        record = await plane.finished(accepted, within_seconds=5)
        assert session.cancelled == [accepted.command_id]
        assert record.state is CommandState.UNKNOWN


@pytest.mark.asyncio
async def test_after_a_restart_what_was_never_sent_goes_on(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        accepted = await before.commands.accept(CHANGE)
    async with running(tmp_path, clock) as after:
        after.fleet.attach(ScriptedSession(ok))
        record = await after.finished(accepted)
        assert record.state is CommandState.SUCCEEDED


@pytest.mark.asyncio
async def test_bad_requests_are_refused_before_anything_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        with pytest.raises(UnknownOperation, match="container_list"):
            await plane.commands.accept(CommandRequest("container_explode", "web-1"))
        with pytest.raises(UnknownAgent, match="agent list"):
            await plane.commands.accept(CommandRequest("ping", "nobody"))
        with pytest.raises(InvalidArguments, match="missing"):
            await plane.commands.accept(CommandRequest("container_stop", "web-1"))
        for wrong in (
            CommandRequest("ping", "web-1", timeout_seconds=0),
            CommandRequest("ping", "web-1", timeout_seconds=float("nan")),
            CommandRequest("ping", "web-1", max_attempts=0),
            CommandRequest("ping", "web-1", deadline_seconds=-1),
            CommandRequest("ping", "web-1", idempotency_key="k" * 10_000),
        ):
            with pytest.raises(InvalidRequest):
                await plane.commands.accept(wrong)
        assert await plane.store.commands() == []


@pytest.mark.asyncio
async def test_incident_9_a_waiter_is_woken_by_the_result_and_not_by_its_own_timeout(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = ScriptedSession(ok)
        session.hold = asyncio.Event()
        plane.fleet.attach(session)
        accepted = await plane.commands.accept(CHANGE)
        waiter = asyncio.create_task(plane.commands.wait(accepted.command_id, 3_600))
        while not session.reached:
            await plane.clock.advance(0.01)
        session.hold.set()
        record = await asyncio.wait_for(waiter, 10)
        assert record is not None
        assert record.state is CommandState.SUCCEEDED


@pytest.mark.asyncio
async def test_an_old_session_that_ends_late_does_not_take_the_new_one_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        old, new = ScriptedSession(ok, epoch=1), ScriptedSession(ok, epoch=2)
        assert plane.fleet.attach(old) is None
        assert plane.fleet.attach(new) is old
        assert not plane.fleet.detach(old)
        assert plane.fleet.session(HOST) is new


@pytest.mark.asyncio
async def test_a_caller_that_goes_away_while_its_command_is_kept_leaves_no_orphan(tmp_path: Path) -> None:
    for turns in range(12):
        clock = FakeClock()
        directory = tmp_path / str(turns)
        directory.mkdir()
        async with running(directory, clock) as plane:
            plane.fleet.attach(ScriptedSession(ok))
            asking = asyncio.create_task(plane.commands.accept(CHANGE))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            await asyncio.to_thread(lambda: None)
            await clock.advance(1)
            kept = await plane.store.commands()
            for record in kept:
                assert (await plane.finished(record, within_seconds=5)).state is CommandState.SUCCEEDED


@pytest.mark.asyncio
async def test_whoever_hears_that_a_command_is_finished_reads_all_its_attempts_finished(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        plane.fleet.attach(ScriptedSession(ok))
        for _ in range(20):
            with plane.bus.listen() as notices:
                accepted = await plane.commands.accept(CHANGE)
                while (await anext(notices)).kind != "finished":
                    pass
                record = await plane.store.command(accepted.command_id)
                assert record is not None
                assert record.attempts[0].finished_at is not None


@pytest.mark.asyncio
async def test_a_long_grace_makes_the_timeout_longer_unless_the_caller_sets_one(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        arguments: dict[str, object] = {"container": "web", "grace_seconds": 300}
        patient = await plane.commands.accept(CommandRequest("container_stop", "web-1", arguments))
        assert patient.timeout_seconds == 360
        asked = CommandRequest("container_stop", "web-1", arguments, timeout_seconds=5)
        assert (await plane.commands.accept(asked)).timeout_seconds == 5
