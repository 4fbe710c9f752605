"""A gateway on loopback with a clock that tests turn, and an agent's end of the wire that is driven by hand."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from seawall.bus.local import LocalBus
from seawall.controller.authority import CertificateAuthority
from seawall.controller.gateway import Gateway
from seawall.core.command import Attempt, Command, Outcome
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.engine.audit import CONTROLLER as ITSELF
from seawall.engine.audit import Caller
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet, LedgerResult
from seawall.engine.identifiers import correlation_ids
from seawall.engine.notices import Notice
from seawall.engine.records import AgentRecord, JoinTokenRecord, LedgerFacts, SessionGrant
from seawall.engine.store import JoinTokenRefused, NameTaken, StoreFailed
from seawall.testing.clock import FakeClock
from seawall.wire.messages import (
    Challenge,
    Complaint,
    Completed,
    Execute,
    FromController,
    Goodbye,
    Hello,
    Message,
    Welcome,
)
from seawall.wire.signature import hello_signing_bytes

CONTROLLER = "controller-1"
TERM = 7
MAX_PROOFS = 4
A = "00000000-0000-7000-8000-00000000000a"
B = "00000000-0000-7000-8000-00000000000b"
PATIENCE_SECONDS = 20.0

HELLO = Hello("", b"", 1, "1.0", "host", "27.0", operations=["ping"], ledger_id="ledger-1")

M = TypeVar("M", bound=Message)

_decoder: msgspec.msgpack.Decoder[FromController] = msgspec.msgpack.Decoder(FromController)


def key_of(agent_id: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(agent_id.encode()[-32:])


class MemoryStore:
    """What the agents' side needs of a store."""

    def __init__(self) -> None:
        self.agents_by_id: dict[str, AgentRecord] = {}
        self.join_tokens: dict[str, JoinTokenRecord] = {}
        self.seen_ids: list[str] = []
        self.broken = False
        self.ledgers: list[LedgerFacts] = []
        self.proved: list[tuple[str, int]] = []
        self.over, self.amnesia, self.lost = 0, "", dict[str, int]()
        self.hold: asyncio.Event | None = None  # open_session waits for it, after it has given the epoch

    async def add_join_token(self, record: JoinTokenRecord, caller: Caller = ITSELF) -> None:
        self.join_tokens[record.secret_hash] = record

    async def redeem(
        self, secret_hash: str, now: datetime, agent: AgentRecord, source: str = ""
    ) -> AgentRecord:
        self._check()
        token = self.join_tokens.get(secret_hash)
        if token is None or token.used_at is not None or token.expires_at <= now:
            raise JoinTokenRefused("the join token is unknown, expired or used")
        if any(known.name == agent.name and known.revoked_at is None for known in self.agents_by_id.values()):
            raise NameTaken(agent.name)
        token.used_at = now
        self.agents_by_id[agent.agent_id] = agent
        return agent

    async def agents(self, *, revoked: bool = False) -> list[AgentRecord]:
        return [agent for agent in self.agents_by_id.values() if revoked or agent.revoked_at is None]

    async def agent(self, agent_id: str) -> AgentRecord | None:
        return self.agents_by_id.get(agent_id)

    async def open_session(self, agent: AgentRecord, ledger: LedgerFacts, source: str = "") -> SessionGrant:
        self._check()
        kept = self.agents_by_id[agent.agent_id]
        kept.epoch = max(kept.epoch, ledger.epoch) + 1
        self.ledgers.append(ledger)
        grant = SessionGrant(kept.epoch, self.over, self.amnesia, dict(self.lost))
        if self.hold is not None:
            await self.hold.wait()
        return grant

    async def prove_epoch(self, agent_id: str, epoch: int) -> None:
        self._check()
        if self.hold is not None:
            await self.hold.wait()
        self.proved.append((agent_id, epoch))

    async def quarantine(self, agent_id: str, now: datetime, caller: Caller = ITSELF) -> bool:
        return self._put(agent_id, now)

    async def release(self, agent_id: str, now: datetime, caller: Caller = ITSELF) -> bool:
        return self._put(agent_id, None)

    def _put(self, agent_id: str, since: datetime | None) -> bool:
        self._check()
        agent = self.agents_by_id.get(agent_id)
        if agent is None or agent.revoked_at is not None:
            return False
        agent.quarantined_at = since
        return True

    async def seen(self, agent_ids: Sequence[str], now: datetime) -> None:
        self._check()
        self.seen_ids.extend(agent_ids)

    async def revoke_agent(self, agent_id: str, now: datetime, caller: Caller = ITSELF) -> bool:
        agent = self.agents_by_id.get(agent_id)
        if agent is None or agent.revoked_at is not None:
            return False
        agent.revoked_at = now
        return True

    def _check(self) -> None:
        if self.broken:
            raise StoreFailed("the disk is full")


class Listener:
    """Remembers what agents did of their own accord."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.started: list[tuple[str, str]] = []
        self.told: list[tuple[str, LedgerResult]] = []
        self.lost: list[tuple[str, dict[str, int], str]] = []

    def agent_connected(self, agent_id: str) -> None:
        self.connected.append(agent_id)

    def agent_started(self, agent_id: str, command_id: str) -> None:
        self.started.append((agent_id, command_id))

    def agent_told(self, agent_id: str, result: LedgerResult) -> None:
        self.told.append((agent_id, result))

    def agent_lost_ledger(self, agent_id: str, lost: Mapping[str, int], reason: str) -> None:
        assert agent_id not in self.connected, "it is told before the session can be used"
        self.lost.append((agent_id, dict(lost), reason))


@functools.cache
def own_authority() -> CertificateAuthority:
    # Its certificates stay in memory; the server context is made only where the directory still is.
    with tempfile.TemporaryDirectory() as directory:
        return CertificateAuthority.open(Path(directory) / "ca", datetime.now(UTC))


class Plane:
    """Everything around a gateway."""

    def __init__(
        self,
        *,
        authority: CertificateAuthority | None = None,
        max_unproven: int = 1_000,
        heartbeat_seconds: float = 10.0,
    ) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.bus = LocalBus()
        self.events: list[Event] = []
        self.guards: Guards[Slot] = Guards()
        self.fleet = Fleet(self.guards, self.clock, self.events.append)
        self.listener = self.fleet.listener = Listener()
        self.driver = Driver(
            self.fleet, self.guards, self.clock, correlation_ids(self.clock), [self.events.append]
        )
        self.gateway = Gateway(
            self.store,
            self.fleet,
            self.bus,
            self.clock,
            authority or own_authority(),
            CONTROLLER,
            TERM,
            heartbeat_seconds,
            max_proofs=MAX_PROOFS,
            max_unproven=max_unproven,
        )
        self.http: aiohttp.ClientSession
        # A connection that nobody holds would close itself, and a test would see a lost one instead of a silent one.
        self._dialled: list[aiohttp.ClientWebSocketResponse] = []
        self._numbers = iter(range(1, 1_000_000))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    def add_agent(self, agent_id: str, name: str) -> None:
        public_key = key_of(agent_id).public_key().public_bytes_raw()
        self.store.agents_by_id[agent_id] = AgentRecord(agent_id, name, public_key, self.clock.wall())
        self.fleet.learn(AgentRecord(agent_id, name, public_key, self.clock.wall()))

    async def dial(self) -> Peer:
        """Connect, and say nothing yet."""
        socket = await self.http.ws_connect(
            f"{self.url}/agent", protocols=("seawall.v1",), compress=0, max_msg_size=0, autoclose=False
        )
        self._dialled.append(socket)
        return Peer(socket)

    async def hang_up(self) -> None:
        """Close whatever a test left open."""
        for socket in self._dialled:
            await socket.close()

    async def connect(self, agent_id: str = A, **said: object) -> Peer:
        """Connect and be welcomed; `said` are fields of the hello."""
        peer = await self.dial()
        peer.hello = msgspec.structs.replace(peer.hello, **said)
        await peer.greet(agent_id)
        peer.welcome = await peer.expect(Welcome)
        peer.epoch = peer.welcome.epoch
        return peer

    def exchange(
        self,
        agent_id: str = A,
        timeout_seconds: float = 30.0,
        arguments: dict[str, object] | None = None,
        *,
        asks: bool = False,
        **fields: object,
    ) -> asyncio.Task[Outcome]:
        """Begin an attempt, or ask a question; `fields` are those of the command."""
        number = next(self._numbers)
        command = Command(f"command-{number}", "ping", agent_id, arguments or {}, **fields)  # type: ignore[arg-type]
        attempt = Attempt(1, f"attempt-{number}", timeout_seconds, asks)
        return asyncio.ensure_future(self.fleet.exchange(command, attempt))

    async def notice(self, kind: str, agent_id: str, notices: AsyncIterator[Notice]) -> Notice:
        """Wait until it is said on the bus."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for notice in notices:
                if (notice.kind, notice.agent_id) == (kind, agent_id):
                    return notice
        raise AssertionError("the bus fell silent")


class Peer:
    """An agent's end, good or evil as its test likes."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.epoch = 0
        self.instance = "instance-1"
        self.hello = HELLO
        self.challenge: Challenge
        self.welcome: Welcome

    async def receive(self) -> FromController | None:
        """The next message; None when the connection is over."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            frame = await self.socket.receive()
        return _decoder.decode(frame.data) if frame.type is aiohttp.WSMsgType.BINARY else None

    async def expect(self, kind: type[M]) -> M:
        """The next message, which is of this kind."""
        message = await self.receive()
        assert isinstance(message, kind), message
        return message

    async def closed(self) -> Goodbye | None:
        """Read until the connection is over; the goodbye, if one was said."""
        goodbye: Goodbye | None = None
        while (message := await self.receive()) is not None:
            if isinstance(message, Goodbye):
                goodbye = message
        await self.socket.close()
        return goodbye

    async def send(self, message: Message) -> None:
        await self.socket.send_bytes(msgspec.msgpack.encode(message))

    async def greet(
        self, agent_id: str, nonce: bytes | None = None, key: Ed25519PrivateKey | None = None
    ) -> None:
        """Answer the challenge, truthfully unless told otherwise."""
        self.challenge = await self.expect(Challenge)
        signed = hello_signing_bytes(
            nonce=self.challenge.nonce if nonce is None else nonce,
            controller_id=self.challenge.controller_id,
            agent_id=agent_id,
            term=self.challenge.term,
        )
        signature = (key or key_of(agent_id)).sign(signed)
        await self.send(
            msgspec.structs.replace(
                self.hello, agent_id=agent_id, signature=signature, instance=self.instance
            )
        )

    async def complete(
        self, execute: Execute, response: object = None, epoch: int | None = None, **fields: object
    ) -> None:
        """Answer an attempt; `fields` are further ones of the message."""
        answer = Completed(
            execute.command_id,
            execute.correlation_id,
            self.epoch if epoch is None else epoch,
            response=response,
            sequence=execute.sequence,
        )
        await self.send(msgspec.structs.replace(answer, **fields))

    async def barrier(self) -> None:
        """Return when everything that was sent before has been read: a bad frame is answered in its turn."""
        await self.socket.send_bytes(b"\xc1")
        assert (await self.expect(Complaint)).about == "frame"


@asynccontextmanager
async def running(*, max_unproven: int = 1_000, heartbeat_seconds: float = 10.0) -> AsyncIterator[Plane]:
    """A gateway without TLS that knows the agents A and B."""
    plane = Plane(max_unproven=max_unproven, heartbeat_seconds=heartbeat_seconds)
    plane.add_agent(A, "web-1")
    plane.add_agent(B, "web-2")
    await plane.gateway.start("127.0.0.1", 0, None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as plane.http:
        try:
            yield plane
        finally:
            await plane.gateway.stop()
            await plane.hang_up()
