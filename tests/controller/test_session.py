"""An open session: attempts out, outcomes back, and what evil or broken peers can't do to anybody else."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from seawall.controller.outgoing import OUTBOX_LIMIT
from seawall.core.breaker import CircuitState
from seawall.core.command import Command, Domain, Outcome, Source
from seawall.core.dispatch import Dispatch
from seawall.core.errors import CircuitVerdict, Circumstance, CommandErrorCode, verdict
from seawall.wire.codec import FRAME_LIMIT_BYTES
from seawall.wire.messages import (
    Cancel,
    Complaint,
    Completed,
    Execute,
    Goodbye,
    Hello,
    HostVitals,
    Ping,
    Pong,
    Progress,
)
from tests.controller.wire_peer import A, B, Peer, Plane, running

pytestmark = pytest.mark.asyncio
HEARTBEAT = 10.0


def ends(outcomes: list[Outcome]) -> list[tuple[CommandErrorCode | None, Circumstance]]:
    return [(outcome.code, outcome.circumstance) for outcome in outcomes]


async def executed(
    peer: Peer, plane: Plane, *, timeout_seconds: float = 30.0
) -> tuple[asyncio.Task[Outcome], Execute]:
    attempt = plane.exchange(timeout_seconds=timeout_seconds)
    return attempt, await peer.expect(Execute)


async def test_an_attempt_reaches_the_agent_and_its_answer_is_the_outcome() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        assert (execute.operation, execute.attempt, execute.epoch) == ("ping", 1, 1)
        assert execute.remaining_seconds == 30.0
        await peer.complete(execute, {"pong": True})
        assert await attempt == Outcome(response={"pong": True}, source=Source.AGENT)
        assert not plane.gateway.under_way


async def test_a_failure_keeps_its_code_and_circumstance() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        answer = Completed(
            execute.command_id,
            execute.correlation_id,
            1,
            "docker_error",
            "docker_refused",
            "no such container",
        )
        await peer.send(answer)
        assert await attempt == Outcome(
            CommandErrorCode.DOCKER_ERROR,
            "no such container",
            circumstance=Circumstance.DOCKER_REFUSED,
            source=Source.AGENT,
        )


@pytest.mark.parametrize(("code", "circumstance"), [("gremlins", "none"), ("docker_error", "gremlins")])
async def test_a_word_that_nobody_knows_is_an_invalid_response(code: str, circumstance: str) -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        await peer.send(Completed(execute.command_id, execute.correlation_id, 1, code, circumstance))
        outcome = await attempt
        assert outcome.code is CommandErrorCode.INVALID_RESPONSE
        assert "gremlins" in str(outcome.error)


async def test_a_silent_agent_makes_a_silent_timeout() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, _ = await executed(peer, plane, timeout_seconds=5.0)
        await plane.clock.advance(4.9)
        assert not attempt.done()
        await plane.clock.advance(0.2)
        assert ends([await attempt]) == [(CommandErrorCode.TIMEOUT, Circumstance.SILENT)]


async def test_an_agent_that_was_heard_since_makes_a_heard_timeout() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, _ = await executed(peer, plane, timeout_seconds=5.0)
        await peer.barrier()
        await plane.clock.advance(5.0)
        assert ends([await attempt]) == [(CommandErrorCode.TIMEOUT, Circumstance.HEARD)]


async def test_what_was_heard_before_the_sending_does_not_count_as_heard() -> None:
    async with running() as plane:
        peer = await plane.connect()
        await peer.barrier()
        attempt, _ = await executed(peer, plane, timeout_seconds=5.0)
        await plane.clock.advance(5.0)
        assert ends([await attempt]) == [(CommandErrorCode.TIMEOUT, Circumstance.SILENT)]


async def test_a_late_answer_is_counted_and_ignored() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane, timeout_seconds=5.0)
        await plane.clock.advance(5.0)
        await attempt
        await peer.complete(execute)
        await peer.barrier()
        assert plane.gateway.late_answers == 1


async def test_a_second_answer_changes_nothing() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        await peer.complete(execute, "first")
        await peer.complete(execute, "second")
        assert (await attempt).response == "first"
        await peer.barrier()
        assert plane.gateway.late_answers == 1


async def test_incident_53_another_agent_cannot_answer() -> None:
    async with running() as plane:
        good, evil = await plane.connect(A), await plane.connect(B)
        attempt, execute = await executed(good, plane)
        await evil.complete(execute, "forged")
        await evil.barrier()
        assert plane.gateway.foreign_answers == 1
        await good.complete(execute, "true")
        assert (await attempt).response == "true"


async def test_an_answer_from_another_epoch_has_no_effect() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        await peer.complete(execute, "stale", epoch=peer.epoch - 1)
        await peer.complete(execute, "true")
        assert (await attempt).response == "true"
        assert plane.gateway.stale_frames == 1


async def test_an_answer_about_another_command_has_no_effect() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        await peer.send(Completed("command-other", execute.correlation_id, peer.epoch, response="wrong"))
        await peer.complete(execute, "true")
        assert (await attempt).response == "true"
        assert plane.gateway.late_answers == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x05",
        msgspec.msgpack.encode({"type": "detonate"}),
        msgspec.msgpack.encode({"type": "completed", "command_id": 5}),
        b"\x91" * 100_000,
    ],
    ids=["empty", "no MessagePack", "no message", "unknown kind", "wrong type", "too deep"],
)
async def test_incident_17_a_bad_frame_gets_a_complaint_and_the_session_goes_on(frame: bytes) -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        await peer.socket.send_bytes(frame)
        await peer.expect(Complaint)
        await peer.complete(execute, "still here")
        assert (await attempt).response == "still here"
        assert plane.gateway.bad_frames == 1


async def test_a_text_frame_is_a_bad_frame() -> None:
    async with running() as plane:
        peer = await plane.connect()
        await peer.socket.send_str("hello")
        await peer.expect(Complaint)
        assert plane.gateway.bad_frames == 1


async def test_an_unreadable_answer_ends_its_attempt_as_an_invalid_response() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        other, _ = await executed(peer, plane)
        content = {"type": "completed", "correlation_id": execute.correlation_id, "command_id": 5}
        await peer.socket.send_bytes(msgspec.msgpack.encode(content))
        assert (await attempt).code is CommandErrorCode.INVALID_RESPONSE
        await peer.expect(Complaint)
        assert not other.done()
        other.cancel()


async def test_a_complaint_that_can_not_be_read_is_not_complained_about() -> None:
    async with running() as plane:
        peer = await plane.connect()
        await peer.socket.send_bytes(msgspec.msgpack.encode({"type": "complaint", "about": 5}))
        await peer.barrier()
        assert plane.gateway.bad_frames == 2


async def test_a_message_out_of_place_ends_the_session_with_a_goodbye() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, _ = await executed(peer, plane)
        await peer.send(Hello(A, b"", 1, "1.0"))
        assert ends([await attempt]) == [(CommandErrorCode.AGENT_DISCONNECTED, Circumstance.NONE)]
        goodbye = await peer.closed()
        assert goodbye is not None
        assert "hello" in goodbye.reason
        assert not plane.fleet.is_connected(A)


async def test_incident_17_a_frame_of_20_mib_costs_its_sender_alone() -> None:
    async with running() as plane:
        good, evil = await plane.connect(A), await plane.connect(B)
        lost = plane.exchange(B)
        await evil.expect(Execute)
        sending = asyncio.ensure_future(evil.socket.send_bytes(b"\x00" * (20 * 1024 * 1024)))
        assert (await lost).code is CommandErrorCode.AGENT_DISCONNECTED
        assert not plane.fleet.is_connected(B)
        attempt, execute = await executed(good, plane)
        await good.complete(execute, "unharmed")
        assert (await attempt).response == "unharmed"
        await asyncio.gather(sending, return_exceptions=True)
        await evil.closed()
        assert evil.socket.close_code in (1006, 1009)


async def test_incident_9_a_lost_connection_fails_all_that_is_under_way_at_once_and_counts_once() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempts = [plane.exchange() for _ in range(5)]
        for _ in attempts:
            await peer.expect(Execute)
        await peer.socket.close()
        outcomes = await asyncio.gather(*attempts)
        assert ends(outcomes) == [
            (CommandErrorCode.AGENT_DISCONNECTED, Circumstance.NONE),
            *[(CommandErrorCode.AGENT_DISCONNECTED, Circumstance.SAME_DISCONNECT)] * 4,
        ]
        counted = [verdict(outcome.code, outcome.circumstance).agent for outcome in outcomes]
        assert counted.count(CircuitVerdict.FAILURE) == 1
        assert not plane.fleet.is_connected(A)
        assert not plane.gateway.under_way


async def test_one_lost_connection_is_one_failure_of_the_circuit() -> None:
    async with running() as plane:
        peer = await plane.connect()
        commands = [Command(f"c{number}", "ping", A, {}) for number in range(5)]
        drives = [asyncio.ensure_future(plane.driver.drive(Dispatch(command, None))) for command in commands]
        for _ in drives:
            await peer.expect(Execute)
        await peer.socket.close()
        results = await asyncio.gather(*drives)
        assert {result.error_code for result in results} == {CommandErrorCode.AGENT_DISCONNECTED}
        guard = plane.guards.get(A)
        assert guard is not None
        assert guard.breaker(Domain.AGENT).window.failures == 1


async def test_the_goodbye_of_an_agent_ends_its_session_at_once() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, _ = await executed(peer, plane)
        await peer.send(Goodbye("I am updated", 1.0))
        assert "I am updated" in str((await attempt).error)
        await peer.closed()


async def test_cancelling_a_wait_leaves_nothing_behind() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert not plane.gateway.under_way
        assert len(plane.gateway.deadlines) == 1  # the next heartbeat
        await peer.complete(execute)
        await peer.barrier()
        assert plane.gateway.late_answers == 1


async def test_a_cancel_reaches_the_agent_whose_answer_says_what_became_of_it() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        session = plane.fleet.session(A)
        assert session is not None
        await session.cancel("command-other", execute.correlation_id)
        await session.cancel(execute.command_id, execute.correlation_id)
        assert await peer.expect(Cancel) == Cancel(execute.command_id, execute.correlation_id)
        await peer.send(
            Completed(execute.command_id, execute.correlation_id, peer.epoch, "cancelled", "heard", "stopped")
        )
        assert ends([await attempt]) == [(CommandErrorCode.CANCELLED, Circumstance.HEARD)]


async def test_progress_is_told_on_the_bus() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt, execute = await executed(peer, plane)
        with plane.bus.listen(execute.command_id) as notices:
            await peer.send(Progress("attempt-of-nobody", "?"))
            await peer.send(Progress(execute.correlation_id, "half of it " + "x" * 5_000))
            notice = await plane.notice("progress", A, notices)
        assert notice.command_id == execute.command_id
        assert str(notice.content["text"]).startswith("half of it x")
        assert len(str(notice.content["text"])) == 1_000
        attempt.cancel()


async def test_arguments_that_make_no_frame_are_refused_and_nothing_is_sent() -> None:
    async with running() as plane:
        peer = await plane.connect()
        outcomes = [
            await plane.exchange(arguments={"text": "x" * FRAME_LIMIT_BYTES}),
            await plane.exchange(arguments={"number": 1 << 80}),
            await plane.exchange(arguments={"thing": object()}),
        ]
        assert {outcome.code for outcome in outcomes} == {CommandErrorCode.INVALID_ARGUMENT}
        await peer.barrier()  # the next message is its complaint, no Execute came before
        assert plane.fleet.is_connected(A)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
async def test_frames_arrive_whole_where_the_header_changes_its_form(size: int) -> None:
    async with running() as plane:
        peer = await plane.connect()
        probe = plane.exchange(arguments={"text": "x" * 65_000})
        around = len(msgspec.msgpack.encode(await peer.expect(Execute))) - 65_000
        probe.cancel()
        attempt = plane.exchange(arguments={"text": "x" * (size - around)})
        execute = await peer.expect(Execute)
        assert len(msgspec.msgpack.encode(execute)) == size
        await peer.complete(execute, "whole")
        assert (await attempt).response == "whole"


# Heartbeats


async def test_heartbeats_are_answered_and_every_third_asks_docker() -> None:
    async with running() as plane:
        peer = await plane.connect()
        asked = []
        for _ in range(6):
            await plane.clock.advance(HEARTBEAT)
            ping = await peer.expect(Ping)
            asked.append(ping.docker)
            await peer.send(Pong(ping.sequence))
            await peer.barrier()
        assert asked == [False, False, True] * 2
        assert plane.fleet.is_connected(A)


async def test_the_latency_is_that_of_the_latest_ping() -> None:
    async with running() as plane:
        peer = await plane.connect()
        session = plane.fleet.session(A)
        assert session is not None
        assert session.latency_seconds is None
        await plane.clock.advance(10.0)
        ping = await peer.expect(Ping)
        await plane.clock.advance(0.25)
        await peer.send(Pong(ping.sequence))
        await peer.barrier()
        assert session.latency_seconds == pytest.approx(0.25, abs=1e-6)
        assert session.heard_at == plane.clock.now()


async def test_incident_15_agents_are_asked_side_by_side_so_that_one_that_hangs_delays_nobody() -> None:
    async with running() as plane:
        await plane.connect(B)  # answers nothing
        peer = await plane.connect(A)
        for sequence in range(1, 7):
            await plane.clock.advance(HEARTBEAT)
            assert (await peer.expect(Ping)).sequence == sequence
            await peer.send(Pong(sequence))
            await peer.barrier()
            session = plane.fleet.session(A)
            assert session is not None
            assert session.latency_seconds is not None
        assert plane.fleet.is_connected(A)
        assert not plane.fleet.is_connected(B)


async def test_three_missed_heartbeats_end_the_session() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange(timeout_seconds=300.0)
        await plane.clock.advance(3 * 10.0 + 5.0)
        assert plane.fleet.is_connected(A)
        await plane.clock.advance(10.0)
        assert not plane.fleet.is_connected(A)
        assert (await attempt).code is CommandErrorCode.AGENT_DISCONNECTED
        await peer.closed()


async def test_incident_8_an_agent_whose_worker_hangs_is_dead_whatever_else_it_says() -> None:
    async with running() as plane:
        peer = await plane.connect()
        for _ in range(3):
            await plane.clock.advance(HEARTBEAT)
            await peer.expect(Ping)
            await peer.send(Progress("attempt-of-nobody", "I live"))
            await peer.send(Pong(99))
            await peer.barrier()
        assert plane.gateway.stale_frames == 3
        assert plane.fleet.is_connected(A)
        await plane.clock.advance(HEARTBEAT)
        assert not plane.fleet.is_connected(A)
        await peer.closed()


async def test_registries_that_answer_let_their_open_circuit_probe_and_silent_ones_are_remembered() -> None:
    async with running() as plane:
        peer = await plane.connect()
        registry = plane.guards.of(A).breaker(Domain.REGISTRY)
        registry.put(CircuitState.OPEN, plane.clock.now() + 60.0)
        session = plane.fleet.session(A)
        assert session is not None
        for told, state, unreached in (
            ({}, CircuitState.OPEN, []),
            ({"a.test": True, "b.test": False}, CircuitState.OPEN, ["b.test"]),
            ({}, CircuitState.OPEN, ["b.test"]),
            ({"a.test": True, "b.test": True}, CircuitState.HALF_OPEN, []),
        ):
            await plane.clock.advance(HEARTBEAT)
            ping = await peer.expect(Ping)
            await peer.send(Pong(ping.sequence, vitals=HostVitals("", registries=told)))
            await peer.barrier()
            assert (registry.state, session.signs.unreached) == (state, unreached)


async def test_incident_25_a_pong_lets_an_open_circuit_probe_at_once() -> None:
    async with running() as plane:
        peer = await plane.connect()
        guard = plane.guards.of(A)
        for _ in range(2):
            await plane.clock.advance(HEARTBEAT)
            await peer.send(Pong((await peer.expect(Ping)).sequence))
        await peer.barrier()
        agent, docker = guard.breaker(Domain.AGENT), guard.breaker(Domain.DOCKER)
        for breaker in (agent, docker):
            breaker.put(CircuitState.OPEN, plane.clock.now() + 60.0)
        await plane.clock.advance(HEARTBEAT)
        ping = await peer.expect(Ping)
        assert ping.docker
        await peer.send(Pong(ping.sequence, docker=False))
        await peer.barrier()
        assert (agent.state, docker.state) == (CircuitState.HALF_OPEN, CircuitState.OPEN)
        for _ in range(3):
            await plane.clock.advance(HEARTBEAT)
            ping = await peer.expect(Ping)
            await peer.send(Pong(ping.sequence, docker=True if ping.docker else None))
        await peer.barrier()
        assert docker.state is CircuitState.HALF_OPEN


# A peer that reads slowly, or not at all

BULK: dict[str, object] = {"text": "x" * 1_000_000}


async def stuffed(plane: Plane, timeout_seconds: float) -> list[asyncio.Task[Outcome]]:
    """Send B, which doesn't read, more than every buffer in between can hold."""
    attempts = [plane.exchange(B, timeout_seconds, BULK) for _ in range(60)]
    await plane.clock.settle()
    return attempts


async def test_incident_52_a_peer_that_never_reads_holds_up_nobody_else() -> None:
    async with running() as plane:
        good, _ = await plane.connect(A), await plane.connect(B)
        attempts = await stuffed(plane, 300.0)
        attempt, execute = await executed(good, plane)
        await good.complete(execute, "unharmed")
        assert (await attempt).response == "unharmed"
        await plane.clock.advance(10.0)
        assert not plane.fleet.is_connected(B)
        outcomes = await asyncio.gather(*attempts)
        assert set(ends(outcomes)) == {
            (CommandErrorCode.AGENT_DISCONNECTED, Circumstance.NONE),
            (CommandErrorCode.AGENT_DISCONNECTED, Circumstance.SAME_DISCONNECT),
            (CommandErrorCode.NETWORK_ERROR, Circumstance.NOT_SENT),
        }
        assert ends(outcomes).count((CommandErrorCode.AGENT_DISCONNECTED, Circumstance.NONE)) == 1


async def test_what_still_waits_when_its_time_is_over_is_never_sent() -> None:
    async with running() as plane:
        peer = await plane.connect(B)
        attempts = await stuffed(plane, 5.0)
        await plane.clock.advance(5.0)
        outcomes = await asyncio.gather(*attempts)
        assert set(ends(outcomes)) == {
            (CommandErrorCode.TIMEOUT, Circumstance.SILENT),
            (CommandErrorCode.TIMEOUT, Circumstance.NOT_SENT),
        }
        sent = ends(outcomes).count((CommandErrorCode.TIMEOUT, Circumstance.SILENT))
        for _ in range(sent):
            assert (await peer.expect(Execute)).remaining_seconds == 5.0
        await peer.barrier()  # nothing else came before its complaint


async def test_what_waited_is_sent_when_the_peer_reads_again_with_the_time_that_is_left() -> None:
    async with running() as plane:
        peer = await plane.connect(B)
        attempts = await stuffed(plane, 300.0)
        await plane.clock.advance(4.0)
        left = []
        for _ in attempts:
            execute = await peer.expect(Execute)
            left.append(execute.remaining_seconds)
            await peer.complete(execute)
        assert {outcome.code for outcome in await asyncio.gather(*attempts)} == {None}
        assert sorted(set(left)) == [296.0, 300.0]


async def test_cancelling_what_still_waits_ends_it_at_once_and_it_is_never_sent() -> None:
    async with running() as plane:
        peer = await plane.connect(B)
        attempts = await stuffed(plane, 300.0)
        session = plane.fleet.session(B)
        assert session is not None
        await session.cancel("command-60", "attempt-60")
        assert ends([await attempts[-1]]) == [(CommandErrorCode.CANCELLED, Circumstance.NOT_SENT)]
        received = [(await peer.expect(Execute)).command_id for _ in attempts[:-1]]
        assert "command-60" not in received
        for attempt in attempts[:-1]:
            attempt.cancel()


async def test_incident_18_the_queue_of_a_peer_that_does_not_read_is_bounded() -> None:
    async with running() as plane:
        await plane.connect(B)
        await stuffed(plane, 300.0)
        more = [plane.exchange(B, 300.0) for _ in range(OUTBOX_LIMIT + 10)]
        await plane.clock.settle()
        refused = [attempt.result() for attempt in more if attempt.done()]
        assert 10 <= len(refused) < OUTBOX_LIMIT
        assert plane.fleet.is_connected(B)
        assert set(ends(refused)) == {(CommandErrorCode.NETWORK_ERROR, Circumstance.NOT_SENT)}


async def test_what_no_longer_waits_makes_room_in_the_queue() -> None:
    async with running() as plane:
        await plane.connect(B)
        await stuffed(plane, 300.0)
        waiting = [plane.exchange(B, 300.0) for _ in range(OUTBOX_LIMIT)]
        await plane.clock.settle()
        for attempt in waiting:
            attempt.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        another = plane.exchange(B, 300.0)
        await plane.clock.settle()
        assert not another.done()
        assert plane.fleet.is_connected(B)


async def test_a_heartbeat_goes_before_the_attempts_that_wait() -> None:
    async with running() as plane:
        peer = await plane.connect(B)
        attempts = await stuffed(plane, 300.0)
        await plane.clock.advance(9.0)
        for _ in range(2):  # not stuck, only slow
            await peer.expect(Execute)
        await plane.clock.advance(1.0)
        kinds = [type(await peer.receive()) for _ in range(len(attempts) - 1)]
        assert Ping in kinds[:-1]
        for attempt in attempts:
            attempt.cancel()
