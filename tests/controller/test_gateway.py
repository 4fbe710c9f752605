"""Who is let in, who is not, and what one connection can't do to the others."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from seawall.controller.authority import CertificateAuthority
from seawall.controller.enrolment import revoke_agent
from seawall.controller.gateway import ListenFailed
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.join import CONTROLLER_SERVER_NAME
from seawall.wire.messages import Challenge, Completed, Execute, Goodbye, Hello, Pong, Welcome
from seawall.wire.signature import hello_signing_bytes
from tests.controller.wire_peer import CONTROLLER, MAX_PROOFS, TERM, A, B, Peer, Plane, key_of, running

pytestmark = pytest.mark.asyncio

EVIL_KEY = Ed25519PrivateKey.from_private_bytes(b"e" * 32)


async def refusal(peer: Peer) -> Goodbye:
    goodbye = await peer.closed()
    assert goodbye is not None
    return goodbye


# Who is let in


async def test_an_agent_that_proves_itself_is_welcomed_and_connected() -> None:
    async with running() as plane:
        with plane.bus.listen() as notices:
            peer = await plane.connect()
            await plane.notice("agent_connected", A, notices)
        assert peer.challenge.controller_id == CONTROLLER
        assert peer.challenge.term == TERM
        assert peer.socket.protocol == "seawall.v1"
        session = plane.fleet.session(A)
        assert session is not None
        assert (session.agent_id, session.epoch) == (A, 1)
        record = plane.fleet.find("web-1")
        assert record is not None
        assert (record.version, record.hostname, record.docker_version) == ("1.0", "host", "27.0")
        assert (record.operations, record.epoch, record.last_seen_at) == (["ping"], 1, plane.clock.wall())
        assert plane.gateway.sessions_opened == 1


async def test_every_challenge_has_a_fresh_nonce() -> None:
    async with running() as plane:
        peers = [await plane.dial() for _ in range(3)]
        nonces = {(await peer.expect(Challenge)).nonce for peer in peers}
        assert len(nonces) == 3
        assert {len(nonce) for nonce in nonces} == {32}
        for peer in peers:
            await peer.socket.close()


async def test_a_wrong_signature_an_unknown_agent_and_a_revoked_one_get_the_same_answer_for_good() -> None:
    async with running() as plane:
        goodbyes = []
        for agent_id, key in (
            (A, EVIL_KEY),
            ("00000000-0000-7000-8000-0000000000ff", EVIL_KEY),
            (B, key_of(B)),
        ):
            if agent_id == B:
                await revoke_agent(plane.store, plane.fleet, plane.clock, B)
            peer = await plane.dial()
            await peer.greet(agent_id, key=key)
            goodbyes.append(await refusal(peer))
        assert len({(goodbye.reason, goodbye.retry_after_seconds) for goodbye in goodbyes}) == 1
        assert goodbyes[0].retry_after_seconds is None
        assert plane.gateway.handshakes_refused == 3
        assert not list(plane.fleet.sessions())


async def test_incident_48_a_replayed_hello_is_refused() -> None:
    async with running() as plane:
        recorded = await plane.connect()
        peer = await plane.dial()
        await peer.greet(A, nonce=recorded.challenge.nonce)
        assert (await refusal(peer)).retry_after_seconds is None
        assert plane.gateway.sessions_opened == 1


async def test_a_signature_for_another_controller_or_another_term_is_refused() -> None:
    async with running() as plane:
        for controller_id, term in (("controller-2", TERM), (CONTROLLER, TERM - 1)):
            peer = await plane.dial()
            challenge = await peer.expect(Challenge)
            signed = hello_signing_bytes(
                nonce=challenge.nonce, controller_id=controller_id, agent_id=A, term=term
            )
            await peer.send(Hello(A, key_of(A).sign(signed), 1, "1.0"))
            assert (await refusal(peer)).retry_after_seconds is None


async def test_incident_41_the_name_of_a_host_is_no_identity() -> None:
    async with running() as plane:
        peer = await plane.dial()
        challenge = await peer.expect(Challenge)
        signed = hello_signing_bytes(
            nonce=challenge.nonce, controller_id=CONTROLLER, agent_id="web-1", term=TERM
        )
        await peer.send(Hello("web-1", key_of(A).sign(signed), 1, "1.0"))
        assert (await refusal(peer)).retry_after_seconds is None


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": 99},
        {"protocol": 0},
        {"labels": {"a=b": "c"}},
        {"version": "x" * 65},
        {"hostname": "x" * 256},
        {"hostname": "a\nb"},
        {"operations": ["ping"] * 501},
        {"ledger_id": ""},
        {"ledger_id": "x" * 256},
        {"ledger_id": "a\x00"},
        {"instance": ""},
        {"instance": "x" * 256},
        {"ledger_epoch": -1},
        {"ledger_epoch": 1 << 62},
        {"watermark": -1},
        {"last_sequence": 1 << 63},
        {"unacknowledged": -1},
    ],
    ids=str,
)
async def test_a_hello_beyond_its_limits_is_refused_and_may_come_back_later(
    change: dict[str, object],
) -> None:
    async with running() as plane:
        peer = await plane.dial()
        challenge = await peer.expect(Challenge)
        signed = hello_signing_bytes(nonce=challenge.nonce, controller_id=CONTROLLER, agent_id=A, term=TERM)
        hello = msgspec.structs.replace(
            peer.hello, agent_id=A, signature=key_of(A).sign(signed), instance="instance-1"
        )
        await peer.send(msgspec.structs.replace(hello, **change))
        assert (await refusal(peer)).retry_after_seconds == 600.0
        assert plane.store.agents_by_id[A].epoch == 0


@pytest.mark.parametrize(
    "first",
    [b"\xc1", msgspec.msgpack.encode(Pong(1)), msgspec.msgpack.encode(Completed("c", "a", 1))],
    ids=["no message", "a pong", "an answer"],
)
async def test_whoever_does_not_begin_with_a_hello_is_refused(first: bytes) -> None:
    async with running() as plane:
        peer = await plane.dial()
        await peer.expect(Challenge)
        await peer.socket.send_bytes(first)
        assert "hello" in (await refusal(peer)).reason


async def test_whoever_never_says_hello_is_out_after_ten_seconds() -> None:
    async with running() as plane:
        peer = await plane.dial()
        await peer.expect(Challenge)
        await plane.clock.advance(9.9)
        assert not peer.socket.closed
        await plane.clock.advance(0.2)
        assert (await refusal(peer)).retry_after_seconds is not None
        assert plane.gateway.handshakes_refused == 1


async def test_a_store_that_fails_turns_agents_away_for_a_while() -> None:
    async with running() as plane:
        plane.store.broken = True
        peer = await plane.dial()
        await peer.greet(A)
        goodbye = await refusal(peer)
        assert goodbye.retry_after_seconds is not None
        assert "disk" not in goodbye.reason
        plane.store.broken = False
        await plane.connect()


async def test_incident_45_a_browser_is_turned_away() -> None:
    async with running() as plane:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await plane.http.ws_connect(
                f"{plane.url}/agent", protocols=("seawall.v1",), origin="http://127.0.0.1"
            )
        assert caught.value.status == 403


async def test_another_subprotocol_is_turned_away() -> None:
    async with running() as plane:
        for protocols in ((), ("seawall.v0",)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await plane.http.ws_connect(f"{plane.url}/agent", protocols=protocols)
            assert caught.value.status == 400


async def test_a_plain_request_to_the_agents_address_is_answered_and_costs_nothing() -> None:
    async with running() as plane:
        async with plane.http.get(
            f"{plane.url}/agent", headers={"Sec-WebSocket-Protocol": "seawall.v1"}
        ) as answer:
            assert answer.status == 400
        await plane.connect()


async def test_incident_38_silent_connections_give_way_to_those_that_come_later() -> None:
    async with running(max_unproven=3) as plane:
        silent = [await plane.dial() for _ in range(3)]
        for peer in silent:
            await peer.expect(Challenge)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await plane.connect()
        assert caught.value.status == 503
        assert caught.value.headers is not None
        assert int(caught.value.headers["Retry-After"]) >= 1
        await plane.clock.advance(1.0)
        await plane.connect()
        assert await silent[0].closed() is None
        for peer in silent[1:]:
            assert not peer.socket.closed
            await peer.socket.close()


async def test_many_agents_at_once_all_come_in_however_few_proofs_are_made_at_once() -> None:
    async with running() as plane:
        ids = [f"00000000-0000-7000-8000-{number:012x}" for number in range(0x1000, 0x1000 + 120)]
        for agent_id in ids:
            plane.add_agent(agent_id, agent_id)
        plane.store.hold = asyncio.Event()
        peers = [await plane.dial() for _ in ids]
        for peer, agent_id in zip(peers, ids, strict=True):
            await peer.greet(agent_id)
        await plane.clock.settle()
        waiting = sum(plane.store.agents_by_id[agent_id].epoch for agent_id in ids)
        assert 1 <= waiting <= MAX_PROOFS
        plane.store.hold.set()
        for peer in peers:
            await peer.expect(Welcome)
        assert plane.gateway.sessions_opened == len(ids)


# Two sessions of one agent


async def test_of_two_sessions_the_newest_wins_and_the_end_of_the_old_one_changes_nothing() -> None:
    async with running() as plane:
        old = await plane.connect()
        lost = plane.exchange()
        await old.expect(Execute)
        new = await plane.connect()
        assert new.epoch == old.epoch + 1
        goodbye = await refusal(old)
        assert goodbye.retry_after_seconds is not None
        assert goodbye.retry_after_seconds >= 60.0  # incident 37: two users of one identity don't flap
        assert (await lost).code is CommandErrorCode.AGENT_DISCONNECTED
        session = plane.fleet.session(A)
        assert session is not None
        assert session.epoch == new.epoch
        attempt = plane.exchange()
        execute = await new.expect(Execute)
        await new.complete(execute, "new")
        assert (await attempt).response == "new"


async def test_incident_14_an_old_connection_that_never_reads_does_not_delay_the_new_one() -> None:
    async with running() as plane:
        await plane.connect()  # reads no more
        stuck = [plane.exchange(arguments={"text": "x" * 1_000_000}) for _ in range(60)]
        await plane.clock.settle()
        new = await plane.connect()
        outcomes = await asyncio.gather(*stuck)
        assert CommandErrorCode.AGENT_DISCONNECTED in {outcome.code for outcome in outcomes}
        attempt = plane.exchange()
        await new.complete(await new.expect(Execute), "new")
        assert (await attempt).response == "new"


async def test_a_hello_that_was_overtaken_by_a_newer_one_is_refused() -> None:
    async with running() as plane:
        plane.store.hold = asyncio.Event()
        slow = await plane.dial()
        await slow.greet(A)
        while plane.store.agents_by_id[A].epoch == 0:
            await plane.clock.settle()
        hold, plane.store.hold = plane.store.hold, None
        fast = await plane.connect()
        hold.set()
        assert (await refusal(slow)).retry_after_seconds is not None
        session = plane.fleet.session(A)
        assert session is not None
        assert session.epoch == fast.epoch == 2


# Revocation


async def test_a_revoked_agent_is_out_at_once_in_the_middle_of_its_work() -> None:
    async with running() as plane:
        peer = await plane.connect()
        attempt = plane.exchange()
        await peer.expect(Execute)
        async with asyncio.timeout(5.0):
            revoking = asyncio.ensure_future(revoke_agent(plane.store, plane.fleet, plane.clock, A))
            assert (await attempt).code is CommandErrorCode.AGENT_DISCONNECTED
            goodbye = await refusal(peer)
            assert await revoking
        assert goodbye == Goodbye("this agent's identity was revoked", None)
        assert not plane.fleet.is_connected(A)
        assert plane.fleet.find(A) is None


async def test_an_agent_that_is_revoked_during_its_handshake_stays_out() -> None:
    async with running() as plane:
        plane.store.hold = asyncio.Event()
        peer = await plane.dial()
        await peer.greet(A)
        while plane.store.agents_by_id[A].epoch == 0:
            await plane.clock.settle()
        assert await revoke_agent(plane.store, plane.fleet, plane.clock, A)
        plane.store.hold.set()
        assert (await refusal(peer)).retry_after_seconds is None
        assert not plane.fleet.is_connected(A)


async def test_revoking_twice_says_so() -> None:
    async with running() as plane:
        assert await revoke_agent(plane.store, plane.fleet, plane.clock, A)
        assert not await revoke_agent(plane.store, plane.fleet, plane.clock, A)
        assert not await revoke_agent(plane.store, plane.fleet, plane.clock, "nobody")


# The listener


async def test_incident_14_a_stop_does_not_wait_for_a_peer_that_never_reads() -> None:
    async with running() as plane:
        await plane.connect()
        stuck = [plane.exchange(arguments={"text": "x" * 1_000_000}) for _ in range(60)]
        await plane.clock.settle()
        async with asyncio.timeout(10.0):
            await plane.gateway.stop()
        assert {outcome.code for outcome in await asyncio.gather(*stuck)} == {
            CommandErrorCode.AGENT_DISCONNECTED,
            CommandErrorCode.NETWORK_ERROR,
        }


async def test_a_stop_says_goodbye_to_all_with_a_time_to_come_back() -> None:
    async with running() as plane:
        peers = [await plane.connect(A), await plane.connect(B)]
        attempt = plane.exchange()
        await peers[0].expect(Execute)
        stopping = asyncio.ensure_future(plane.gateway.stop())
        for peer in peers:
            goodbye = await refusal(peer)
            assert goodbye.reason == "the controller stops"
            assert goodbye.retry_after_seconds is not None
            assert 1.0 <= goodbye.retry_after_seconds <= 3.0
        await stopping
        assert (await attempt).code is CommandErrorCode.AGENT_DISCONNECTED
        assert not list(plane.fleet.sessions())
        with pytest.raises(aiohttp.ClientConnectorError):
            await plane.dial()


async def test_what_is_asked_after_a_stop_was_never_sent() -> None:
    async with running() as plane:
        peer = await plane.connect()
        session = plane.fleet.session(A)
        assert session is not None
        await asyncio.gather(plane.gateway.stop(), peer.closed())
        assert (await plane.exchange()).circumstance is Circumstance.NOT_SENT


async def test_a_taken_port_is_a_clear_error() -> None:
    async with running() as plane:
        other = Plane()
        with pytest.raises(ListenFailed) as caught:
            await other.gateway.start("127.0.0.1", plane.gateway.port, None)
        assert f"127.0.0.1:{plane.gateway.port}" in str(caught.value)
        assert "in use by another program" in str(caught.value)
        assert "--agents" in str(caught.value)
        await other.gateway.stop()


async def test_a_foreign_address_is_a_clear_error() -> None:
    plane = Plane()
    with pytest.raises(ListenFailed, match="isn't one of this machine's"):
        await plane.gateway.start("192.0.2.1", 0, None)


async def test_when_agents_were_last_heard_is_kept_for_those_that_were() -> None:
    async with running(heartbeat_seconds=1_000.0) as plane:
        peer = await plane.connect(A)
        await plane.clock.advance(30.0)
        assert plane.store.seen_ids == [A]
        await plane.clock.advance(30.0)
        assert plane.store.seen_ids == [A]
        await plane.clock.advance(1.0)
        await peer.barrier()
        await plane.clock.advance(29.0)
        assert plane.store.seen_ids == [A, A]


async def test_a_store_that_fails_does_not_end_the_notes_of_who_was_heard() -> None:
    async with running(heartbeat_seconds=1_000.0) as plane:
        peer = await plane.connect(A)
        plane.store.broken = True
        await plane.clock.advance(30.0)
        assert plane.store.seen_ids == []
        plane.store.broken = False
        await peer.barrier()
        await plane.clock.advance(30.0)
        assert plane.store.seen_ids == [A]


async def test_the_link_works_over_tls_and_refuses_plain_text(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "ca", datetime.now(UTC))
    plane = Plane()
    plane.add_agent(A, "web-1")
    await plane.gateway.start("127.0.0.1", 0, authority.server_context())
    trust = ssl.create_default_context(cadata=authority.ca_pem)
    try:
        async with aiohttp.ClientSession() as plane.http:
            with pytest.raises(aiohttp.ClientError):
                await plane.dial()
            peer = Peer(
                await plane.http.ws_connect(
                    f"https://127.0.0.1:{plane.gateway.port}/agent",
                    protocols=("seawall.v1",),
                    ssl=trust,
                    server_hostname=CONTROLLER_SERVER_NAME,
                )
            )
            await peer.greet(A)
            await peer.expect(Welcome)
            attempt = plane.exchange()
            await peer.send(
                Completed("command-1", (await peer.expect(Execute)).correlation_id, 1, response="secret")
            )
            assert (await attempt).response == "secret"
            await peer.socket.close()
    finally:
        await plane.gateway.stop()
