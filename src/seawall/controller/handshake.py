"""Who is let in: the conversation from a new connection to an open session, and what all sessions share."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import NamedTuple

import msgspec

from seawall.clock import Clock
from seawall.controller.credentials import verify_hello
from seawall.controller.enrolment import Refused
from seawall.controller.session import GatewaySession
from seawall.controller.session_support import SessionSocket, SessionSupport
from seawall.engine.audit import Action
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus, Notice
from seawall.engine.records import AgentRecord, LedgerFacts, SessionGrant
from seawall.engine.store import FleetStore, StoreFailed
from seawall.operations.host_level import Level
from seawall.wire.codec import BadFrame, decode_from_agent
from seawall.wire.join import MAX_VERSION_LENGTH, validate_labels
from seawall.wire.messages import PROTOCOL_MAX, PROTOCOL_MIN, Challenge, Hello, Welcome
from seawall.wire.session import ProtocolError
from seawall.wire.signature import hello_signing_bytes

HANDSHAKE_SECONDS = 10.0
MAX_PROOFS = 64
"""How many hellos are verified and written down at once."""
MAX_UNPROVEN = 1_000
"""How many connections may be in their handshake."""

_EVICTABLE_AFTER_SECONDS = 1.0
_REPLACED_RETRY_SECONDS = 60.0
_NOT_UNDERSTOOD_RETRY_SECONDS = 600.0
_QUARANTINE_RETRY_SECONDS = 600.0
_NONCE_BYTES = 32
_MAX_OPERATIONS = 500
_MAX_TEXT = 255
_MAX_NUMBER = 1 << 62

# One text for all three, so that nobody can ask which identities there are.
_NOT_PROVED = (
    "this controller doesn't accept this identity: it is unknown here, or was revoked, or the signature is wrong; "
    "join again with a new token"
)
_QUARANTINED = (
    "two hosts used this identity at the same time, so neither is let in; remove the copy, then say so on the "
    "controller with 'seawall agent release'"
)

_logger = logging.getLogger("seawall.gateway")


class NoSession(Exception):
    """No session for this connection. The text goes to whoever is there: it tells nothing of anybody else."""

    def __init__(self, reason: str, retry_after_seconds: float | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class _Greeting(NamedTuple):
    """A hello, the nonce that it signs, and when (monotonic) its connection came and it was heard itself."""

    hello: Hello
    nonce: bytes
    connected_at: float
    heard_at: float


class Handshakes(SessionSupport):
    """Makes sessions of connections. `serve` each connection while `live` runs."""

    def __init__(
        self,
        store: FleetStore,
        fleet: Fleet,
        bus: Bus,
        clock: Clock,
        controller_id: str,
        term: int,
        heartbeat_seconds: float = 10.0,
        *,
        max_proofs: int = MAX_PROOFS,
        max_unproven: int = MAX_UNPROVEN,
        refused: Refused | None = None,
    ) -> None:
        super().__init__(store, fleet, bus, clock, heartbeat_seconds)
        self._controller_id = controller_id
        self._term = term
        self._proofs = asyncio.Semaphore(max_proofs)
        self._max_unproven = max_unproven
        self.refused = refused if refused is not None else _unrecorded
        # Connections that haven't said hello yet, with when they came, the oldest first.
        self._silent: dict[SessionSocket, float] = {}
        self._proving = 0
        # By agent: when the connection of its newest session came.
        self._newest: dict[str, float] = {}
        self.amnesias = 0
        """How often an agent came with another ledger than before."""

    async def live(self, living: asyncio.Event, stop: asyncio.Event) -> None:
        """Give what sessions do beside their reading a place to run in, until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            living.set()
            await stop.wait()
            self.tasks = None

    async def serve(self, socket: SessionSocket) -> None:
        """Speak with one connection until it is over."""
        session = await self._handshake(socket)
        if session is not None:
            await session.run()

    def cut_silent(self) -> None:
        """Cut the connections that haven't said who they are."""
        for socket in list(self._silent):
            socket.abort()

    def room_for_one(self) -> bool:
        """Whether another may begin its handshake. One that says nothing gives way: silence starves nobody."""
        if len(self._silent) + self._proving < self._max_unproven:
            return True
        for oldest, since in self._silent.items():
            if self.clock.now() - since < _EVICTABLE_AFTER_SECONDS:
                break
            del self._silent[oldest]
            oldest.abort()
            return True
        return False

    async def _handshake(self, socket: SessionSocket) -> GatewaySession | None:
        now = self.clock.now()
        self._silent[socket] = now
        late = self.deadlines.add(now + HANDSHAKE_SECONDS, lambda: self._too_late(socket))
        try:
            await socket.open()
            greeting = await self._hello(socket, now)
            self._silent.pop(socket, None)
            self._proving += 1
            try:
                async with self._proofs:
                    record = self._prove(socket, greeting)
                self._refuse_late(greeting)
                await self._refuse_clone(record, greeting.hello)
                async with self._proofs:
                    return await self._grant(socket, record, greeting)
            finally:
                self._proving -= 1
        except NoSession as refusal:
            self.handshakes_refused += 1
            self.refused(Action.HOST_REFUSED, socket.source, refusal.reason)
            _logger.warning("a connection was refused: %s", refusal.reason)
            await socket.close(refusal.reason, refusal.retry_after_seconds)
        except ConnectionError:
            socket.abort()
        finally:
            self._silent.pop(socket, None)
            self.deadlines.drop(late)
        return None

    def _too_late(self, socket: SessionSocket) -> None:
        self.handshakes_refused += 1
        retry = HANDSHAKE_SECONDS * (1 + self.clock.dice())
        self.spawn(socket.close("the handshake took too long", retry))

    async def _hello(self, socket: SessionSocket, connected_at: float) -> _Greeting:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        socket.send(Challenge(nonce, self._controller_id, self._term, self.clock.wall().isoformat()))
        frame, heard_at = await socket.receive(), self.clock.now()
        if frame is None:
            raise ConnectionResetError
        try:
            message = decode_from_agent(frame)
            socket.machine.move(message)
        except (BadFrame, ProtocolError) as error:
            self.bad_frames += isinstance(error, BadFrame)
            raise NoSession(f"a hello was expected: {error}", _NOT_UNDERSTOOD_RETRY_SECONDS) from error
        if not isinstance(message, Hello):
            raise ConnectionResetError  # It said goodbye.
        return _Greeting(message, nonce, connected_at, heard_at)

    def _prove(self, socket: SessionSocket, greeting: _Greeting) -> AgentRecord:
        """The agent that this is beyond doubt."""
        hello = greeting.hello
        if socket.closing:
            raise ConnectionResetError
        record = self.fleet.find(hello.agent_id)
        signed = hello_signing_bytes(
            nonce=greeting.nonce,
            controller_id=self._controller_id,
            agent_id=hello.agent_id,
            term=self._term,
        )
        # `find` also knows names, and a name is no identity.
        if record is None or record.agent_id != hello.agent_id:
            raise NoSession(_NOT_PROVED, None)
        if not verify_hello(record.public_key, hello.signature, signed):
            raise NoSession(_NOT_PROVED, None)
        _check(hello)
        if record.quarantined_at is not None:
            raise NoSession(_QUARANTINED, _QUARANTINE_RETRY_SECONDS)
        return record

    def _refuse_late(self, greeting: _Greeting) -> None:
        """A hello that was held up on its way says what was so before the newer session, maybe of a dead process.

        Whoever lives comes again, and is a clone then if it is one.
        """
        if greeting.connected_at < self._newest.get(greeting.hello.agent_id, 0.0):
            raise NoSession("this agent has opened a newer connection since", _REPLACED_RETRY_SECONDS)

    async def _refuse_clone(self, record: AgentRecord, hello: Hello) -> None:
        """Put out both of two live users of one identity: letting the newer one win would have them take turns."""
        current = self.fleet.session(record.agent_id)
        if current is None or current.instance == hello.instance or not await current.lives():
            return
        since = self.clock.wall()
        try:
            await self.store.quarantine(record.agent_id, since)
        except StoreFailed as error:
            raise NoSession("the controller can't open a session now", self._soon()) from error
        known = self.fleet.find(record.agent_id)
        if known is not None:
            known.quarantined_at = since
        _logger.error(
            "agent %s is in quarantine: two live hosts use its identity. Remove the copy, then run "
            "'seawall agent release %s'",
            record.name,
            record.name,
            extra={"agent": record.agent_id, "name_of_agent": record.name},
        )
        self.bus.publish(Notice("agent_quarantined", record.agent_id, None, {"reason": _QUARANTINED}))
        self.spawn(current.close(_QUARANTINED, _QUARANTINE_RETRY_SECONDS))
        raise NoSession(_QUARANTINED, _QUARANTINE_RETRY_SECONDS)

    async def _grant(self, socket: SessionSocket, record: AgentRecord, greeting: _Greeting) -> GatewaySession:
        if socket.closing:
            raise ConnectionResetError
        self._refuse_late(greeting)
        hello = greeting.hello
        updated = msgspec.structs.replace(
            record,
            version=hello.version,
            hostname=hello.hostname,
            docker_version=hello.docker_version,
            labels=hello.labels,
            operations=hello.operations,
            last_seen_at=self.clock.wall(),
        )
        facts = LedgerFacts(hello.ledger_id, hello.ledger_epoch, hello.watermark, hello.last_sequence)
        try:
            grant = await self.store.open_session(updated, facts, socket.source)
        except LookupError as error:
            raise NoSession(_NOT_PROVED, None) from error
        except StoreFailed as error:
            raise NoSession("the controller can't open a session now", self._soon()) from error
        updated.epoch = grant.epoch
        if grant.amnesia:
            self._note_amnesia(updated, grant)
        return self._open(socket, updated, greeting, grant)

    def _note_amnesia(self, record: AgentRecord, grant: SessionGrant) -> None:
        self.amnesias += 1
        _logger.error(
            "agent %s has lost its memory: %s. %d commands that it may have had are UNKNOWN now, nothing is replayed",
            record.name,
            grant.amnesia,
            len(grant.lost),
            extra={"agent": record.agent_id, "name_of_agent": record.name, "reason": grant.amnesia},
        )
        if self.fleet.listener is not None:
            self.fleet.listener.agent_lost_ledger(record.agent_id, grant.lost, grant.amnesia)
        content: dict[str, object] = {"reason": grant.amnesia, "commands": sorted(grant.lost)}
        self.bus.publish(Notice("agent_amnesia", record.agent_id, None, content))

    def _open(
        self, socket: SessionSocket, record: AgentRecord, greeting: _Greeting, grant: SessionGrant
    ) -> GatewaySession:
        """Attach the session. Nothing waits in here: what was checked above still holds where it is checked again."""
        if socket.closing:
            raise ConnectionResetError
        known = self.fleet.find(record.agent_id)
        if known is None:
            raise NoSession(_NOT_PROVED, None)
        if known.quarantined_at is not None:
            raise NoSession(_QUARANTINED, _QUARANTINE_RETRY_SECONDS)
        current = self.fleet.session(record.agent_id)
        if current is not None and current.epoch > record.epoch:
            raise NoSession("a newer session of this agent is open already", _REPLACED_RETRY_SECONDS)
        instance, heard_at = greeting.hello.instance, greeting.heard_at
        session = GatewaySession(record.agent_id, record.epoch, instance, socket, self)
        session.signs.level, session.signs.may_exec = _level(greeting.hello), greeting.hello.may_exec
        socket.send(Welcome(record.epoch, self.heartbeat_seconds, grant.acknowledged_up_to, heard_at))
        self._newest[record.agent_id] = greeting.connected_at
        self.fleet.learn(record)
        replaced = self.fleet.attach(session)
        self.streams.connected(session)
        if replaced is not None:
            retry = _REPLACED_RETRY_SECONDS * (1 + self.clock.dice())
            self.spawn(replaced.close("another session of this agent was opened", retry))
        self.sessions_opened += 1
        self.bus.publish(Notice("agent_connected", record.agent_id, None, {"epoch": record.epoch}))
        _logger.info(
            "session of agent %s opened",
            record.name,
            extra={"agent": record.agent_id, "name_of_agent": record.name, "epoch": record.epoch},
        )
        return session

    def _soon(self) -> float:
        return 5.0 + 5.0 * self.clock.dice()


def _unrecorded(_: Action, __: str, ___: str) -> None:
    """Where there is no audit log."""


def _level(hello: Hello) -> Level | None:
    """None for an agent that tells none, or one that only a newer version knows: it decides alone then."""
    try:
        return Level(hello.level)
    except ValueError:
        return None


def _check(hello: Hello) -> None:
    """What an agent says of itself has limits."""
    if not PROTOCOL_MIN <= hello.protocol <= PROTOCOL_MAX:
        reason = f"protocol version {hello.protocol} isn't spoken here; update the agent or the controller"
        raise NoSession(reason, _NOT_UNDERSTOOD_RETRY_SECONDS)
    try:
        validate_labels(hello.labels)
    except ValueError as error:
        raise NoSession(str(error), _NOT_UNDERSTOOD_RETRY_SECONDS) from error
    if not hello.ledger_id or not hello.instance:
        raise NoSession(
            "this agent keeps no ledger of its commands; update it", _NOT_UNDERSTOOD_RETRY_SECONDS
        )
    texts = [
        hello.hostname,
        hello.docker_version,
        hello.instance,
        hello.ledger_id,
        hello.level,
        *hello.operations,
    ]
    numbers = (hello.ledger_epoch, hello.watermark, hello.last_sequence, hello.unacknowledged)
    if (
        len(hello.version) > MAX_VERSION_LENGTH
        or len(hello.operations) > _MAX_OPERATIONS
        or any(len(text) > _MAX_TEXT or not text.isprintable() for text in texts)
        or not all(0 <= number < _MAX_NUMBER for number in numbers)
    ):
        raise NoSession("the hello says too much of its agent", _NOT_UNDERSTOOD_RETRY_SECONDS)
