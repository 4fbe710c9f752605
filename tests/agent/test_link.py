"""The link to the controller, over real sockets and real TLS; time alone is scripted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from seawall.agent.app import run_agent
from seawall.agent.controller_socket import Dialler
from seawall.agent.identity import AgentIdentity, new_private_key
from seawall.agent.ledger import LedgerFailed
from seawall.agent.link import AgentLink, AgentRevoked
from seawall.agent.session import ControllerSocket, End, HostFacts
from seawall.agent.worker import Worker
from seawall.controller.authority import CertificateAuthority
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.dice import ScriptedDice
from seawall.testing.docker import FakeDocker, Fault
from seawall.testing.ledger import MemoryDisk
from seawall.wire.codec import FRAME_LIMIT_BYTES, decode_from_agent, encode_message
from seawall.wire.messages import (
    Acknowledge,
    Challenge,
    Complaint,
    Completed,
    Execute,
    Goodbye,
    Hello,
    Ping,
    Started,
    Welcome,
)
from tests.agent.controller_double import (
    CONTROLLER_ID,
    ControllerDouble,
    Visit,
    controller_double,
    is_pong,
    until,
)

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path_factory.mktemp("authority"), datetime.now(UTC))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path_factory.mktemp("stranger"), datetime.now(UTC))


def identity_for(controller: ControllerDouble, authority: CertificateAuthority) -> AgentIdentity:
    return AgentIdentity(
        agent_id="agent-1",
        name="web-1",
        controller_url=controller.url,
        controller_id=CONTROLLER_ID,
        labels={"site": "north"},
        ca_pem=authority.ca_pem,
        private_key=new_private_key(),
    )


class Host:
    """An agent under test."""

    def __init__(self, controller: ControllerDouble, authority: CertificateAuthority) -> None:
        self.controller = controller
        self.clock = FakeClock(dice=ScriptedDice(rest=0.5))
        self.docker = FakeDocker(self.clock)
        self.identity = identity_for(controller, authority)
        self.connections = 0
        self.link = AgentLink(self.identity, self.clock, self.describe, self.connected)
        self.disk = MemoryDisk()
        self.ledger = self.disk.ledger(self.identity.agent_id, self.clock)
        self.worker = Worker(self.docker, self.clock, self.link.send, ledger=self.ledger, version="0.1.0")
        self.task = asyncio.create_task(self.link.run(self.worker))

    async def describe(self) -> HostFacts:
        return HostFacts("0.1.0", "host-1", "20.10.24", True)

    def connected(self) -> None:
        self.connections += 1

    async def open(self, epoch: int = 1, heartbeat_seconds: float = 10.0) -> Visit:
        """A session that is open at both ends."""
        visit = await self.controller.visit()
        await visit.welcome(epoch, heartbeat_seconds)
        await until(lambda: self.link.connected)
        return visit

    async def waits_for(self) -> float:
        """How long the link now waits before it dials again; the wait is then over."""
        await until(lambda: self.link.retry_at is not None)
        assert self.link.retry_at is not None
        delay = self.link.retry_at - self.clock.now()
        await self.clock.advance(delay)
        return delay


@asynccontextmanager
async def hosting(
    authority: CertificateAuthority, tls: CertificateAuthority | None = None
) -> AsyncIterator[Host]:
    async with controller_double((tls or authority).server_context()) as controller:
        host = Host(controller, authority)
        try:
            yield host
        finally:
            host.task.cancel()
            await asyncio.wait({host.task})
            await host.worker.close()


def execute(
    operation: str = "ping",
    epoch: int = 1,
    correlation_id: str = "attempt-1",
    sent_at: float = 0.0,
    **arguments: object,
) -> Execute:
    sequence = 1 if OPERATIONS[operation].changes else 0
    return Execute("command-1", correlation_id, 1, operation, dict(arguments), 30.0, epoch, sequence, sent_at)


async def test_the_hello_is_signed_over_the_fresh_nonce_and_says_what_the_agent_can(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        hello = await visit.welcome()
        visit.proves(hello, host.identity.public_key)
        assert (hello.agent_id, hello.version, hello.hostname) == ("agent-1", "0.1.0", "host-1")
        assert (hello.docker_version, hello.simulated, hello.labels) == ("20.10.24", True, {"site": "north"})
        assert hello.operations == host.worker.operations
        assert "container_restart" in hello.operations
        assert (hello.level, hello.may_exec) == ("manage", True)
        await until(lambda: host.connections == 1)
        assert host.controller.offered == [""], "compression stays off"


async def test_a_command_goes_to_the_worker_and_its_answer_comes_back(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open(epoch=4)
        await visit.send(execute("container_restart", 4, container="web"))
        assert await visit.receive() == Started("command-1", "attempt-1", 4, 1)
        completed = await visit.receive()
        assert isinstance(completed, Completed)
        assert (completed.command_id, completed.correlation_id, completed.epoch) == (
            "command-1",
            "attempt-1",
            4,
        )
        assert completed.code is None
        assert [operation for operation, _ in host.docker.effects] == ["container_restart"]


async def test_pings_are_answered_while_work_hangs(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        host.docker.fault(Fault.HANGS_BEFORE)
        await visit.send(execute("container_list"), Ping(7))
        assert is_pong(await visit.receive(), 7)


async def test_a_frame_that_is_not_understood_is_complained_of_and_the_session_goes_on(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        await visit.socket.send_bytes(b"\xc1 junk")
        assert await visit.receive() == Complaint("frame", "not MessagePack")
        await visit.socket.send_str("text")
        complaint = await visit.receive()
        assert isinstance(complaint, Complaint)
        await visit.send(Ping(1))
        assert is_pong(await visit.receive(), 1)


async def test_a_command_of_another_epoch_has_no_effect(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open(epoch=5)
        await visit.send(execute("container_restart", 4, container="web"))
        complaint = await visit.receive()
        assert isinstance(complaint, Complaint)
        assert complaint.about == "execute"
        await host.clock.settle()
        assert host.docker.calls == []


async def test_a_message_at_the_wrong_time_ends_the_session(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.send(execute())
        await visit.over.wait()
        await host.waits_for()
        await host.open()


async def test_a_second_welcome_ends_the_session(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        await visit.send(Welcome(2, 10.0))
        await visit.over.wait()


@pytest.mark.parametrize("heartbeat_seconds", [0.0, -1.0, float("nan"), float("inf")])
async def test_a_welcome_with_an_impossible_heartbeat_ends_the_session(
    authority: CertificateAuthority, heartbeat_seconds: float
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.welcome(1, heartbeat_seconds)
        await visit.over.wait()
        assert host.connections == 0


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_welcome_to_a_session_that_is_over_opens_none(
    authority: CertificateAuthority, epoch: int
) -> None:
    async with hosting(authority) as host:
        (await host.open(epoch=2)).vanish()
        await host.waits_for()
        visit = await host.controller.visit()
        await visit.welcome(epoch, 10.0)
        await visit.send(execute("container_restart", epoch, container="web"))
        await visit.over.wait()
        assert (host.connections, host.docker.calls, host.ledger.entry("command-1")) == (1, [], None)
        await host.waits_for()
        await host.open(epoch=3)


async def test_another_controller_gets_no_signature(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge(controller_id="controller-2")
        await visit.over.wait()
        assert visit.heard.empty()


async def test_a_constant_challenge_gets_no_signature(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge(nonce=b"")
        await visit.over.wait()
        assert visit.heard.empty()


async def test_a_controller_of_another_protocol_gets_no_hello(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge(protocol_min=90, protocol_max=99)
        await visit.over.wait()
        await until(lambda: "update the older of the two" in caplog.text)
        assert visit.heard.empty()


async def test_a_certificate_of_another_authority_is_refused_and_nothing_is_said(
    authority: CertificateAuthority, stranger: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(authority, tls=stranger) as host:
        await until(lambda: "could not prove" in caplog.text)
        assert host.controller.dials == 0


async def test_the_back_off_doubles_up_to_a_minute(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        host.controller.status = 503
        delays = [await host.waits_for() for _ in range(9)]
        assert delays[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
        # With the cap the draw is from half of it up to it.
        assert delays[7:] == [45.0, 45.0]


async def test_incident_36_a_session_that_ends_at_once_does_not_reset_the_back_off(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        delays = []
        for epoch in range(1, 5):
            visit = await host.open(epoch)
            visit.vanish()
            delays.append(await host.waits_for())
        assert delays == [0.5, 1.0, 2.0, 4.0]


async def test_a_minute_of_healthy_session_resets_the_back_off(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        host.controller.status = 503
        for _ in range(5):
            await host.waits_for()
        host.controller.status = 101
        await host.waits_for()
        visit = await host.open()
        for sequence in range(3):
            await host.clock.advance(20.0)
            await visit.send(Ping(sequence))
            await visit.receive()
        visit.vanish()
        assert await host.waits_for() == 0.5


async def test_a_goodbye_with_a_time_is_obeyed(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        await visit.send(Goodbye("the controller restarts", 7.0))
        assert await host.waits_for() == 7.5
        await host.open(epoch=2)


@pytest.mark.parametrize("wish", [float("nan"), float("inf"), -5.0])
async def test_a_goodbye_with_an_impossible_time_has_the_usual_back_off(
    authority: CertificateAuthority, wish: float
) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        await visit.send(Goodbye("strange", wish))
        assert await host.waits_for() == 0.5


async def test_a_revoked_agent_stops_with_a_clear_error(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        await visit.send(Goodbye("revoked by admin", None))
        with pytest.raises(AgentRevoked, match=r"revoked by admin.*join again"):
            await host.task


async def test_an_agent_that_is_not_let_in_for_good_believes_it_the_second_time(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        for refused in (True, False, True, True):
            if not refused:
                (await host.open()).vanish()
            else:
                visit = await host.controller.visit()
                await visit.challenge()
                assert isinstance(await visit.receive(), Hello)
                await visit.send(Goodbye("not accepted", None))
            if host.controller.dials < 4:
                await host.waits_for()
        with pytest.raises(AgentRevoked, match=r"not accepted.*join again"):
            await host.task


async def test_a_controller_that_falls_silent_is_left_after_three_and_a_half_heartbeats(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open(heartbeat_seconds=10.0)
        await host.clock.advance(30.0)
        await visit.send(Ping(1))
        await visit.receive()
        await host.clock.advance(34.9)
        assert host.link.connected
        await host.clock.advance(0.2)
        await until(lambda: not host.link.connected)
        await host.waits_for()
        await host.open(epoch=2)


async def test_a_controller_that_never_welcomes_is_left(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge()
        assert isinstance(await visit.receive(), Hello)
        await host.clock.advance(15.1)
        await visit.over.wait()
        assert host.connections == 0


async def test_incident_10_reconnecting_never_waits_for_running_work(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        host.docker.fault(Fault.HANGS_BEFORE)
        await visit.send(execute("container_list"))
        await until(lambda: host.docker.calls)
        visit.vanish()
        await host.waits_for()
        again = await host.open(epoch=2)
        await again.send(Ping(1))
        assert is_pong(await again.receive(), 1)
        assert host.worker.in_flight == 1


async def test_incident_10_a_running_change_goes_on_and_its_end_is_told_in_the_next_session(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        host.docker.container("web").ignores_term = True
        await visit.send(execute("container_restart", 1, container="web", grace_seconds=20))
        await visit.receive()
        visit.vanish()
        await host.waits_for()
        again = await host.open(epoch=2)
        await again.send(Ping(1))
        assert is_pong(await again.receive(), 1)
        await host.clock.advance(20.0)
        told = await again.receive()
        assert isinstance(told, Completed)
        assert (told.command_id, told.epoch, told.code, told.recorded) == ("command-1", 2, None, True)
        assert len(host.docker.effects) == 1


async def test_an_answer_for_a_session_that_is_over_is_dropped_with_a_log_line(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(authority) as host:
        visit = await host.open(epoch=1)
        host.docker.fault(Fault.HANGS_BEFORE)
        await visit.send(execute("container_list", 1))
        await until(lambda: host.docker.calls)
        visit.vanish()
        await host.waits_for()
        again = await host.open(epoch=2)
        with caplog.at_level(logging.WARNING):
            host.docker.heal()
            await until(lambda: host.worker.in_flight == 0)
        assert "attempt-1 is dropped" in caplog.text
        await again.send(Ping(1))
        assert is_pong(await again.receive(), 1), "and nothing came before it"


async def test_a_response_beyond_the_frame_limit_is_an_agent_error(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        host.docker.container("web").labels["blob"] = "x" * FRAME_LIMIT_BYTES
        await visit.send(execute("container_inspect", container="web"))
        completed = await visit.receive()
        assert isinstance(completed, Completed)
        assert completed.code == "agent_error"
        await visit.send(Ping(1))
        assert is_pong(await visit.receive(), 1)


async def test_a_message_that_no_frame_can_carry_is_its_senders_to_handle(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open()
        with pytest.raises(ValueError, match="the limit is"):
            host.link.send(Completed("command-1", "attempt-1", 1, response="x" * FRAME_LIMIT_BYTES))
        await visit.send(Ping(1))
        assert is_pong(await visit.receive(), 1)


# The ledger in a session


async def test_the_hello_says_how_far_the_ledger_goes_and_which_process_speaks(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        hello = await visit.welcome(epoch=7)
        await until(lambda: host.link.connected)
        assert hello.ledger_id == host.ledger.standing.ledger_id
        assert (hello.ledger_epoch, hello.watermark, hello.last_sequence, hello.unacknowledged) == (
            0,
            0,
            0,
            0,
        )
        await visit.send(execute("container_restart", 7, container="web"))
        await visit.receive()
        await visit.receive()
        visit.vanish()
        await host.waits_for()
        again = await (await host.controller.visit()).welcome(epoch=8)
        assert (again.ledger_id, again.instance) == (hello.ledger_id, hello.instance)
        assert again.instance
        assert (again.ledger_epoch, again.last_sequence, again.unacknowledged) == (7, 1, 1)


async def test_a_controller_of_an_older_term_gets_no_signature_and_is_left_alone_for_a_while(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(authority) as host:
        await host.ledger.begin_session(3, 9)
        visit = await host.controller.visit()
        await visit.challenge(term=8)
        await visit.over.wait()
        assert visit.heard.empty()
        assert await host.waits_for() >= 60.0
        assert "stale controller" in caplog.text


async def test_nothing_is_sent_or_executed_before_the_ledger_knows_of_the_session(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        host.disk.open.clear()
        await visit.welcome(epoch=2)
        await visit.send(execute("container_list", 2))
        await host.clock.settle()
        assert not host.link.connected
        assert host.docker.calls == []
        host.disk.open.set()
        assert isinstance(await visit.receive(), Completed)
        assert host.ledger.standing.epoch == 2


async def test_incident_7_a_result_outlives_its_session_until_it_is_acknowledged(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.open(epoch=1)
        await visit.send(execute("container_restart", 1, container="web"))
        await visit.receive()
        first = await visit.receive()
        visit.vanish()
        await host.waits_for()
        visit = await host.open(epoch=2)
        again = await visit.receive()
        assert isinstance(first, Completed)
        assert isinstance(again, Completed)
        assert (again.epoch, again.response, again.recorded) == (2, first.response, True)
        assert again.origin is not None
        await visit.send(Acknowledge([1], 1), Ping(1))
        assert is_pong(await visit.receive(), 1)
        visit.vanish()
        await host.waits_for()
        visit = await host.open(epoch=3)
        await visit.send(Ping(2))
        assert is_pong(await visit.receive(), 2), "and nothing came before it"
        assert host.ledger.standing.watermark == 1


async def test_a_welcome_moves_the_watermark(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge()
        await visit.receive()
        await visit.send(Welcome(4, 10.0, acknowledged_up_to=6))
        await until(lambda: host.link.connected)
        await visit.send(execute("container_restart", 4, container="web"))
        refused = await visit.receive()
        assert isinstance(refused, Completed)
        assert refused.code == "outcome_unknown"
        assert host.docker.effects == []


async def test_a_command_that_was_held_up_on_the_way_does_not_begin(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge()
        await visit.receive()
        await visit.send(Welcome(1, 60.0, heard_at=500.0))
        await until(lambda: host.link.connected)
        await host.clock.advance(31.0)
        await visit.send(execute("container_restart", 1, sent_at=500.5, container="web"))
        late = await visit.receive()
        assert isinstance(late, Completed)
        assert (late.code, late.recorded) == ("deadline_exceeded", True)
        assert host.docker.effects == []


async def test_a_command_that_was_held_up_together_with_the_welcome_does_not_begin(
    authority: CertificateAuthority,
) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        await visit.challenge()
        await visit.receive()
        await host.clock.advance(14.0)
        await visit.send(Welcome(1, 60.0, heard_at=500.0))
        await until(lambda: host.link.connected)
        held_up = msgspec.structs.replace(
            execute("container_restart", 1, sent_at=500.5, container="web"), remaining_seconds=10.0
        )
        await visit.send(held_up)
        late = await visit.receive()
        assert isinstance(late, Completed)
        assert (late.code, late.recorded) == ("deadline_exceeded", True)
        assert host.docker.effects == []


async def test_a_ledger_that_fails_ends_the_link(authority: CertificateAuthority) -> None:
    async with hosting(authority) as host:
        visit = await host.controller.visit()
        host.disk.broken = LedgerFailed("input/output error")
        await visit.welcome()
        with pytest.raises(LedgerFailed, match="input/output error"):
            await host.task


async def test_another_transport_can_carry_the_session(authority: CertificateAuthority) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.inward: asyncio.Queue[bytes | str | End] = asyncio.Queue()
            self.outward: asyncio.Queue[bytes] = asyncio.Queue()

        async def receive(self) -> bytes | str | End:
            return await self.inward.get()

        async def send(self, frame: bytes) -> None:
            self.outward.put_nowait(frame)

        async def close(self) -> None:
            closed.set()

    async def dial() -> ControllerSocket | End:
        return pipe

    async def describe() -> HostFacts:
        return HostFacts("1.0")

    pipe, closed, clock = Pipe(), asyncio.Event(), FakeClock()
    identity = AgentIdentity("agent-1", "web-1", "https://x", CONTROLLER_ID, {}, "", new_private_key())
    link = AgentLink(identity, clock, describe, dial=dial)
    ledger = MemoryDisk().ledger("agent-1", clock)
    worker = Worker(FakeDocker(clock), clock, link.send, ledger=ledger, version="1.0")
    running = asyncio.create_task(link.run(worker))
    pipe.inward.put_nowait(encode_message(Challenge(b"n" * 32, CONTROLLER_ID, 1, "2030-01-01T00:00:00Z")))
    assert isinstance(decode_from_agent(await pipe.outward.get()), Hello)
    pipe.inward.put_nowait(encode_message(Welcome(1, 10.0)))
    pipe.inward.put_nowait(encode_message(Ping(1)))
    assert is_pong(decode_from_agent(await pipe.outward.get()), 1)
    pipe.inward.put_nowait(End("enough"))
    await closed.wait()
    running.cancel()
    await asyncio.wait((running,))
    await worker.close()


async def test_a_door_that_is_not_for_agents_is_named(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with hosting(authority) as host:
        host.controller.protocols = ("other.v1",)
        await until(lambda: "check the port" in caplog.text)
        host.controller.status = 404
        await host.waits_for()
        await until(lambda: "status 404" in caplog.text)


async def test_a_controller_that_is_not_there_is_tried_again(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    async with controller_double(authority.server_context()) as controller:
        pass
    host = Host(controller, authority)
    await host.waits_for()
    await until(lambda: caplog.text.count("can't be reached") == 2)
    host.task.cancel()
    await asyncio.wait({host.task})


async def test_without_tls_only_a_controller_on_this_host_is_dialled(authority: CertificateAuthority) -> None:
    async with controller_double(None) as controller:
        host = Host(controller, authority)
        await host.open()
        host.task.cancel()
        await asyncio.wait({host.task})
        controller.url = "http://controller.example:7701"
        dialler = Dialler(identity_for(controller, authority))
        assert dialler.url == "wss://controller.example:7701/agent"


async def test_an_agent_that_is_told_to_stop_says_goodbye_and_answers_first(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with controller_double(authority.server_context()) as controller:
        clock, stop, opened = FakeClock(), asyncio.Event(), list[bool]()
        docker = FakeDocker(clock)
        agent = asyncio.create_task(
            run_agent(
                identity_for(controller, authority),
                tmp_path,
                docker,
                clock,
                simulated=True,
                on_connected=lambda: opened.append(True),
                stop=stop,
            )
        )
        visit = await controller.visit()
        hello = await visit.welcome()
        assert (hello.simulated, hello.hostname, hello.docker_version) == (True, "web-1", "20.10.24")
        await until(lambda: opened)
        docker.fault(Fault.HANGS_BEFORE)
        calls = len(docker.calls)
        await visit.send(execute("container_list"))
        await until(lambda: len(docker.calls) > calls)
        stop.set()
        await clock.settle()
        await clock.advance(5.0)
        completed = await visit.receive()
        assert isinstance(completed, Completed)
        assert completed.code == "agent_disconnected"
        assert isinstance(await visit.receive(), Goodbye)
        assert await agent is False
        await visit.over.wait()
        assert docker.closed


async def test_an_agent_that_restarts_says_so_and_its_program_begins_anew(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with controller_double(authority.server_context()) as controller:
        clock = FakeClock()
        agent = asyncio.create_task(
            run_agent(
                identity_for(controller, authority),
                tmp_path,
                FakeDocker(clock),
                clock,
                simulated=True,
                restarts=True,
            )
        )
        visit = await controller.visit()
        hello = await visit.welcome()
        assert "system_restart_agent" in hello.operations
        await visit.send(execute("system_restart_agent"))
        told = await visit.receive()
        while not isinstance(told, Goodbye):
            told = await visit.receive()
        assert told.reason == "the agent was told to restart"
        assert await agent is True


async def test_an_agent_inside_another_program_does_not_offer_it(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with controller_double(authority.server_context()) as controller:
        clock = FakeClock()
        agent = asyncio.create_task(
            run_agent(identity_for(controller, authority), tmp_path, FakeDocker(clock), clock, simulated=True)
        )
        visit = await controller.visit()
        assert "system_restart_agent" not in (await visit.welcome()).operations
        await visit.send(execute("system_restart_agent"))
        told = await visit.receive()
        assert isinstance(told, Completed)
        assert told.code == "unsupported_operation"
        agent.cancel()
        await asyncio.wait((agent,))


async def test_a_revoked_agent_ends_its_app(authority: CertificateAuthority, tmp_path: Path) -> None:
    async with controller_double(authority.server_context()) as controller:
        clock = FakeClock()
        docker = FakeDocker(clock)
        agent = asyncio.create_task(run_agent(identity_for(controller, authority), tmp_path, docker, clock))
        visit = await controller.visit()
        await visit.welcome()
        await visit.send(Goodbye("unknown agent", None))
        with pytest.raises(AgentRevoked, match="unknown agent"):
            await agent
        assert docker.closed


async def test_a_cancelled_agent_closes_everything(authority: CertificateAuthority, tmp_path: Path) -> None:
    async with controller_double(authority.server_context()) as controller:
        clock = FakeClock()
        docker = FakeDocker(clock)
        agent = asyncio.create_task(run_agent(identity_for(controller, authority), tmp_path, docker, clock))
        visit = await controller.visit()
        await visit.welcome()
        agent.cancel()
        with pytest.raises(asyncio.CancelledError):
            await agent
        await visit.over.wait()
        assert docker.closed
