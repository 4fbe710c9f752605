"""What a hello says of its agent's ledger and process, and what follows from it."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from seawall.controller.session import LIFE_SECONDS
from seawall.core.errors import CommandErrorCode
from seawall.engine.records import LedgerFacts
from seawall.operations.host_level import Level
from seawall.wire.messages import Complaint, Execute, Goodbye, Ping, Pong, Welcome
from tests.controller.wire_peer import A, B, Peer, Plane, running

pytestmark = pytest.mark.asyncio


async def dialled(plane: Plane, instance: str) -> Peer:
    """Another connection of the same agent that has said hello."""
    peer = await plane.dial()
    peer.instance = instance
    await peer.greet(A)
    return peer


async def refusal(peer: Peer) -> Goodbye:
    goodbye = await peer.closed()
    assert goodbye is not None
    return goodbye


# The ledger


async def test_the_store_hears_what_the_hello_says_of_the_ledger_and_the_agent_up_to_where_all_is_over() -> (
    None
):
    async with running() as plane:
        plane.store.over = 11
        peer = await plane.connect(ledger_epoch=6, watermark=9, last_sequence=14, unacknowledged=2)
        assert plane.store.ledgers == [LedgerFacts("ledger-1", 6, 9, 14)]
        assert (peer.welcome.epoch, peer.welcome.acknowledged_up_to) == (7, 11)
        session = plane.fleet.session(A)
        assert session is not None
        assert (session.epoch, session.instance) == (7, "instance-1")
        assert plane.listener.connected == [A]


@pytest.mark.parametrize(
    ("told", "level"), [("operate", Level.OPERATE), ("", None), ("one of a newer version", None)]
)
async def test_the_session_knows_how_far_the_hosts_policy_goes(told: str, level: Level | None) -> None:
    async with running() as plane:
        await plane.connect(level=told, may_exec=True)
        session = plane.fleet.session(A)
        assert session is not None
        assert (session.signs.level, session.signs.may_exec) == (level, True)


async def test_a_lost_ledger_is_told_to_everybody_who_has_to_know(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as plane:
        plane.store.amnesia, plane.store.lost = "it has another ledger than before", {"c-2": 5, "c-1": 4}
        with plane.bus.listen() as notices, caplog.at_level(logging.ERROR, "seawall"):
            await plane.connect()
            notice = await plane.notice("agent_amnesia", A, notices)
        assert notice.content == {"reason": "it has another ledger than before", "commands": ["c-1", "c-2"]}
        assert plane.listener.lost == [(A, {"c-1": 4, "c-2": 5}, "it has another ledger than before")]
        assert plane.listener.connected == [A]
        assert plane.gateway.amnesias == 1
        assert "2 commands that it may have had are UNKNOWN now" in caplog.text


async def test_a_ledger_that_was_not_lost_is_no_news() -> None:
    async with running() as plane:
        await plane.connect()
        assert (plane.listener.lost, plane.gateway.amnesias) == ([], 0)


@pytest.mark.parametrize("instance", ["instance-1", "of a process that may be dead by now"])
async def test_a_hello_that_was_held_up_until_a_newer_session_was_there_says_nothing_of_ledger_or_clone(
    instance: str,
) -> None:
    async with running() as plane:
        held_up = await plane.dial()
        held_up.instance = instance
        await plane.clock.advance(3.0)
        peer = await plane.connect(last_sequence=5)
        await held_up.greet(A)
        assert (await refusal(held_up)).retry_after_seconds == 60.0
        assert [facts.last_sequence for facts in plane.store.ledgers] == [5]
        assert plane.store.agents_by_id[A].quarantined_at is None
        session = plane.fleet.session(A)
        assert session is not None
        assert session.epoch == peer.epoch


# Two processes with one identity


async def test_incident_37_two_live_users_of_one_identity_are_both_put_out_until_somebody_says_which_is_true(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as plane:
        first = await plane.connect()
        attempt = plane.exchange()
        await first.expect(Execute)
        with plane.bus.listen() as notices, caplog.at_level(logging.ERROR, "seawall"):
            second = await dialled(plane, "instance-2")
            await first.send(Pong((await first.expect(Ping)).sequence))
            goodbyes = [await refusal(first), await refusal(second)]
            await plane.notice("agent_quarantined", A, notices)
        assert {goodbye.reason for goodbye in goodbyes} == {goodbyes[0].reason}
        assert "seawall agent release" in goodbyes[0].reason
        assert {goodbye.retry_after_seconds for goodbye in goodbyes} == {600.0}
        assert "quarantine" in caplog.text
        assert (await attempt).code is CommandErrorCode.AGENT_DISCONNECTED
        assert not plane.fleet.is_connected(A)
        assert plane.store.agents_by_id[A].quarantined_at == plane.clock.wall()
        assert plane.gateway.sessions_opened == 1
        for instance in ("instance-1", "instance-2", "instance-3"):
            assert (await refusal(await dialled(plane, instance))).retry_after_seconds == 600.0
        await plane.connect(B)


async def test_an_agent_that_is_released_from_quarantine_is_let_in_again() -> None:
    async with running() as plane:
        record = plane.fleet.find(A)
        assert record is not None
        record.quarantined_at = plane.clock.wall()
        await refusal(await dialled(plane, "instance-1"))
        record.quarantined_at = None
        await plane.connect()


async def test_incident_14_a_half_open_session_gives_way_to_a_new_process_after_its_time_to_prove_that_it_lives() -> (
    None
):
    async with running() as plane:
        old = await plane.connect()
        new = await dialled(plane, "instance-2")
        await old.expect(Ping)
        await plane.clock.advance(LIFE_SECONDS - 0.1)
        other = await plane.connect(B)
        assert other.welcome.epoch == 1, "nobody else waits for that"
        session = plane.fleet.session(A)
        assert session is not None
        assert session.epoch == old.epoch
        await plane.clock.advance(0.1)
        assert (await new.expect(Welcome)).epoch == old.epoch + 1
        session = plane.fleet.session(A)
        assert session is not None
        assert session.instance == "instance-2"
        assert plane.store.agents_by_id[A].quarantined_at is None
        assert (await refusal(old)).retry_after_seconds is not None


async def test_the_same_process_replaces_its_own_session_at_once_and_without_a_question() -> None:
    async with running() as plane:
        old = await plane.connect()
        new = await plane.connect()
        assert new.epoch == old.epoch + 1
        assert isinstance(await old.receive(), Goodbye), "no ping came before"
        assert plane.store.agents_by_id[A].quarantined_at is None


async def test_an_agent_that_comes_into_quarantine_during_its_handshake_stays_out() -> None:
    async with running() as plane:
        plane.store.hold = asyncio.Event()
        peer = await dialled(plane, "instance-1")
        while not plane.store.ledgers:
            await plane.clock.settle()
        record = plane.fleet.find(A)
        assert record is not None
        record.quarantined_at = plane.clock.wall()
        plane.store.hold.set()
        assert (await refusal(peer)).retry_after_seconds == 600.0
        assert not plane.fleet.is_connected(A)


async def test_only_the_answer_to_a_ping_of_now_proves_that_an_agent_lives_for_other_frames_may_be_late() -> (
    None
):
    async with running() as plane:
        first = await plane.connect()
        second = await dialled(plane, "instance-2")
        await first.expect(Ping)
        await first.socket.send_bytes(b"\xc1")
        assert isinstance(await first.receive(), Complaint)
        await plane.clock.advance(LIFE_SECONDS)
        assert (await second.expect(Welcome)).epoch == first.epoch + 1
        assert plane.store.agents_by_id[A].quarantined_at is None


async def test_an_old_session_that_ends_meanwhile_is_no_clone() -> None:
    async with running() as plane:
        old = await plane.connect()
        new = await dialled(plane, "instance-2")
        await old.expect(Ping)
        await old.socket.close()
        assert (await new.expect(Welcome)).epoch == old.epoch + 1
        assert plane.store.agents_by_id[A].quarantined_at is None


async def test_a_store_that_fails_puts_nobody_into_quarantine() -> None:
    async with running() as plane:
        first = await plane.connect()
        second = await dialled(plane, "instance-2")
        plane.store.broken = True
        await first.send(Pong((await first.expect(Ping)).sequence))
        assert (await refusal(second)).retry_after_seconds is not None
        assert plane.fleet.is_connected(A)
        plane.store.broken = False
        record = plane.fleet.find(A)
        assert record is not None
        assert record.quarantined_at is None, "it isn't on record, so it isn't so"


async def test_several_who_come_at_once_share_one_question() -> None:
    async with running() as plane:
        first = await plane.connect()
        others = [await dialled(plane, f"instance-{n}") for n in range(2, 5)]
        ping = await first.expect(Ping)
        await plane.clock.settle()
        await first.send(Pong(ping.sequence))
        for peer in (first, *others):
            assert (await refusal(peer)).retry_after_seconds == 600.0


async def test_incident_36_refusals_name_times_that_spread_the_agents_out() -> None:
    async with running() as plane:
        plane.store.broken = True
        peers = [await dialled(plane, f"instance-{n}") for n in range(6)]
        times = {(await refusal(peer)).retry_after_seconds for peer in peers}
        assert all(seconds is not None and 5.0 <= seconds <= 10.0 for seconds in times)


async def test_incident_40_an_agent_that_is_away_for_a_while_loses_nothing_but_its_session() -> None:
    async with running() as plane:
        peer = await plane.connect()
        await peer.socket.close()
        await asyncio.sleep(0)
        await plane.clock.advance(30.0)
        assert plane.fleet.find(A) is not None
        again = await plane.connect(ledger_epoch=peer.epoch)
        assert again.epoch == peer.epoch + 1
        assert plane.listener.lost == []


async def test_an_agent_of_a_version_without_a_ledger_is_told_to_be_updated() -> None:
    async with running() as plane:
        peer = await plane.dial()
        peer.hello, peer.instance = msgspec.structs.replace(peer.hello, ledger_id=""), ""
        await peer.greet(A)
        assert "update it" in (await refusal(peer)).reason
