"""What a session makes of an agent that keeps a ledger: results for good, acknowledgements, questions, progress."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from seawall.core.command import Attempt, Command, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.messages import Acknowledge, Completed, Execute, Origin, Ping, Progress, Started
from tests.controller.wire_peer import A, B, Plane, running

pytestmark = pytest.mark.asyncio


def recorded(command_id: str, epoch: int, sequence: int, **fields: object) -> Completed:
    """A result out of the ledger that nobody asked for."""
    answer = Completed(command_id, "", epoch, sequence=sequence, recorded=True)
    return msgspec.structs.replace(answer, **fields)


# Results


async def test_a_recorded_answer_is_the_word_of_the_ledger_and_another_that_of_the_agent() -> None:
    async with running() as plane:
        peer = await plane.connect()
        for said, source in ((True, Source.LEDGER), (False, Source.AGENT)):
            attempt = plane.exchange(sequence=4)
            execute = await peer.expect(Execute)
            assert execute.sequence == 4
            await peer.complete(execute, 1, recorded=said)
            assert await attempt == Outcome(response=1, source=source)


async def test_an_unknown_outcome_brings_its_evidence() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(sequence=4)
        evidence = {"before": {"running": True}, "started_at": "2030-01-01T00:00:00Z"}
        execute = await peer.expect(Execute)
        await peer.complete(execute, code="outcome_unknown", recorded=True, evidence=evidence)
        outcome = await attempt
        assert (outcome.code, outcome.evidence) == (CommandErrorCode.OUTCOME_UNKNOWN, evidence)


async def test_incident_4_a_recorded_result_answers_whatever_attempt_waits_for_its_command() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(sequence=4)
        execute = await peer.expect(Execute)
        await peer.complete(execute, "another attempt's", correlation_id="of an earlier attempt")
        await peer.complete(execute, "the ledger's", correlation_id="of an earlier attempt", recorded=True)
        assert await attempt == Outcome(response="the ledger's", source=Source.LEDGER)
        assert plane.gateway.late_answers == 1


async def test_incident_1_a_recorded_result_that_nobody_waits_for_is_told_and_not_dropped() -> None:
    async with running() as plane:
        peer = await plane.connect()
        origin = Origin("container_restart", {"container": "web"}, "2030-01-01T00:00:00Z")
        await peer.send(recorded("command-old", peer.epoch, 9, response=1, origin=origin))
        await peer.send(recorded("command-other", peer.epoch, 10, code="agent_error", error="it broke"))
        await peer.barrier()
        told = [
            (agent_id, told.command_id, told.sequence, told.origin) for agent_id, told in plane.listener.told
        ]
        assert told == [(A, "command-old", 9, origin), (A, "command-other", 10, None)]
        assert plane.listener.told[0][1].outcome == Outcome(response=1, source=Source.LEDGER)
        assert plane.listener.told[1][1].outcome.code is CommandErrorCode.AGENT_ERROR
        assert plane.gateway.late_answers == 0


async def test_a_recorded_result_that_comes_after_the_answer_is_told_all_the_same() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(timeout_seconds=5.0, sequence=4)
        execute = await peer.expect(Execute)
        await plane.clock.advance(5.0)
        assert (await attempt).code is CommandErrorCode.TIMEOUT
        await peer.complete(execute, "late", recorded=True)
        await peer.barrier()
        assert [told.outcome.response for _, told in plane.listener.told] == ["late"]


async def test_incident_53_a_recorded_result_of_a_command_that_another_agent_works_on_is_ignored() -> None:
    async with running() as plane:
        good, evil = await plane.connect(A), await plane.connect(B)
        attempt = plane.exchange(A, sequence=4)
        execute = await good.expect(Execute)
        await evil.send(recorded(execute.command_id, evil.epoch, 4, response="forged"))
        await evil.barrier()
        assert (plane.gateway.foreign_answers, plane.listener.told) == (1, [])
        await good.complete(execute, "true", recorded=True)
        assert (await attempt).response == "true"


async def test_a_recorded_result_of_another_epoch_has_no_effect() -> None:
    async with running() as plane:
        peer = await plane.connect()
        await peer.send(recorded("command-old", peer.epoch + 1, 9))
        await peer.send(Started("command-old", "", peer.epoch - 1, 9))
        await peer.barrier()
        assert (plane.gateway.stale_frames, plane.listener.told, plane.store.proved) == (2, [], [])


async def test_incident_6_a_failure_without_a_text_is_no_success() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(sequence=4)
        await peer.complete(await peer.expect(Execute), code="agent_error", recorded=True)
        assert (await attempt).code is CommandErrorCode.AGENT_ERROR


# Proof of the epoch


async def test_the_first_word_of_the_ledger_proves_the_epoch_once() -> None:
    async with running() as plane:
        peer = await plane.connect(ledger_epoch=6)
        await peer.barrier()
        assert plane.store.proved == [], "a hello was signed before the ledger knew this epoch"
        for sequence in (9, 10):
            await peer.send(recorded("command-old", peer.epoch, sequence))
        await peer.barrier()
        assert plane.store.proved == [(A, 7)]


async def test_a_store_that_fails_costs_the_proof_and_nothing_else() -> None:
    async with running() as plane:
        peer = await plane.connect()
        plane.store.broken = True
        attempt = plane.exchange(sequence=4)
        await peer.complete(await peer.expect(Execute), 1, recorded=True)
        assert (await attempt).response == 1
        await peer.barrier()
        assert plane.fleet.is_connected(A)


async def test_incident_16_the_reader_never_waits_for_what_follows_from_a_frame() -> None:
    async with running() as plane:
        peer = await plane.connect()
        plane.store.hold = asyncio.Event()
        attempts = [plane.exchange(sequence=sequence) for sequence in (4, 5)]
        for _ in attempts:
            await peer.complete(await peer.expect(Execute), "answered", recorded=True)
        assert [outcome.response for outcome in await asyncio.gather(*attempts)] == ["answered"] * 2
        assert plane.store.proved == [], "the first answer is still being seen to"
        plane.store.hold.set()
        await peer.barrier()
        await plane.clock.settle()
        assert plane.store.proved == [(A, peer.epoch)]


# What is under way


async def test_a_command_whose_effect_begins_is_told_to_be_running() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(sequence=4)
        execute = await peer.expect(Execute)
        await peer.send(Started("command-of-nobody", "", peer.epoch, 3))
        await peer.send(Started(execute.command_id, execute.correlation_id, peer.epoch, 4))
        await peer.barrier()
        assert plane.listener.started == [(A, execute.command_id)]
        attempt.cancel()


async def test_incident_3_progress_gives_the_attempt_its_own_time_again_but_never_past_the_deadline() -> None:
    async with running(heartbeat_seconds=1_000.0) as plane:
        peer = await plane.connect()
        deadline = plane.clock.now() + 25.0
        attempt = plane.exchange(timeout_seconds=5.0, deadline=deadline, sequence=4)
        execute = await peer.expect(Execute)
        for _ in range(6):
            await plane.clock.advance(4.0)
            assert not attempt.done()
            await peer.send(Progress(execute.correlation_id, "pulling"))
            await peer.barrier()
        assert plane.clock.now() == deadline - 1.0
        await plane.clock.advance(0.9)
        assert not attempt.done()
        await plane.clock.advance(0.1)
        assert (await attempt).code is CommandErrorCode.TIMEOUT


async def test_incident_8_without_progress_an_attempt_ends_in_its_time_however_alive_the_link_is() -> None:
    async with running(heartbeat_seconds=1_000.0) as plane:
        peer = await plane.connect()
        attempt = plane.exchange(timeout_seconds=5.0, sequence=4)
        await peer.expect(Execute)
        for _ in range(4):
            await plane.clock.advance(1.0)
            await peer.send(Progress("attempt-of-nobody", "I live"))
            await peer.barrier()
        await plane.clock.advance(1.0)
        assert (await attempt).circumstance is Circumstance.HEARD


async def test_a_question_leaves_no_time_and_a_command_has_the_time_of_its_attempt() -> None:
    async with running() as plane:
        peer = await plane.connect()
        question, attempt = plane.exchange(asks=True, sequence=4), plane.exchange(sequence=5)
        asked, execute = await peer.expect(Execute), await peer.expect(Execute)
        assert (asked.remaining_seconds, asked.sequence) == (0.0, 4)
        assert (execute.remaining_seconds, execute.sequence) == (30.0, 5)
        await peer.complete(asked, "it was done", recorded=True)
        assert (await question).response == "it was done"
        await plane.clock.advance(30.0)
        assert (await attempt).code is CommandErrorCode.TIMEOUT


async def test_a_question_that_is_not_answered_is_given_up_in_its_time() -> None:
    async with running() as plane:
        peer = await plane.connect()
        question = plane.exchange(timeout_seconds=10.0, asks=True, sequence=4)
        await peer.expect(Execute)
        await plane.clock.advance(9.9)
        assert not question.done()
        await plane.clock.advance(0.1)
        assert (await question).code is CommandErrorCode.TIMEOUT


async def test_every_frame_by_which_age_is_told_says_when_it_was_sent_or_its_hello_heard() -> None:
    async with running() as plane:
        peer = await plane.connect()
        assert peer.welcome.heard_at == plane.clock.now()
        await plane.clock.advance(3.0)
        attempt = plane.exchange()
        assert (await peer.expect(Execute)).sent_at == plane.clock.now()
        attempt.cancel()
        await plane.clock.advance(8.0)
        ping = await peer.expect(Ping)
        assert peer.welcome.heard_at < ping.sent_at <= plane.clock.now()


# Acknowledgements


async def test_acknowledgements_of_one_turn_share_a_frame_with_the_highest_watermark() -> None:
    async with running() as plane:
        peer = await plane.connect()
        session = plane.fleet.session(A)
        assert session is not None
        for sequence, up_to in ((5, 2), (7, 5), (6, 4)):
            session.acknowledge(sequence, up_to)
        assert await peer.expect(Acknowledge) == Acknowledge([5, 7, 6], 5)
        session.acknowledge(8, 3)
        assert await peer.expect(Acknowledge) == Acknowledge([8], 5)


async def test_a_session_that_is_over_acknowledges_nothing() -> None:
    async with running() as plane:
        peer = await plane.connect()
        session = plane.fleet.session(A)
        assert session is not None
        session.acknowledge(5, 5)
        await session.close("enough", None)
        session.acknowledge(6, 6)
        assert (await peer.closed()) is not None
        await plane.clock.settle()


async def test_acknowledgements_go_before_the_attempts_that_wait() -> None:
    async with running() as plane:
        peer = await plane.connect(B)
        attempts = [plane.exchange(B, 300.0, {"text": "x" * 1_000_000}) for _ in range(60)]
        await plane.clock.settle()
        session = plane.fleet.session(B)
        assert session is not None
        session.acknowledge(5, 5)
        await plane.clock.settle()
        kinds = [type(await peer.receive()) for _ in range(len(attempts) + 1)]
        assert Acknowledge in kinds[:-1]
        for attempt in attempts:
            attempt.cancel()


async def test_one_command_awaits_one_answer_in_a_session() -> None:
    async with running() as plane:
        peer = await plane.connect()
        session = plane.fleet.session(A)
        assert session is not None
        attempt, asked_again = await _twice(plane)
        await peer.expect(Execute)
        assert (asked_again.code, asked_again.circumstance) == (
            CommandErrorCode.NETWORK_ERROR,
            Circumstance.NOT_SENT,
        )
        attempt.cancel()


async def _twice(plane: Plane) -> tuple[asyncio.Task[Outcome], Outcome]:
    command = Command("command-one", "ping", A, {}, sequence=4)
    first = asyncio.ensure_future(plane.fleet.exchange(command, Attempt(1, "attempt-1", 30.0)))
    await asyncio.sleep(0)
    return first, await plane.fleet.exchange(command, Attempt(1_000, "question-1", 30.0, asks=True))
