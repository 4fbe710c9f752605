"""One session with the controller: from the challenge to the goodbye."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Protocol

from msgspec import Struct

from seawall.agent.age import FrameAge
from seawall.agent.identity import AgentIdentity
from seawall.agent.ledger import LedgerFailed
from seawall.agent.worker import Worker
from seawall.clock import Clock, Timer
from seawall.wire.codec import FRAME_LIMIT_BYTES, BadFrame, decode_from_controller, encode_message
from seawall.wire.messages import (
    Acknowledge,
    Cancel,
    Challenge,
    CloseStream,
    Complaint,
    Completed,
    Execute,
    FromAgent,
    FromController,
    Goodbye,
    Hello,
    OpenStream,
    Ping,
    Started,
    StreamCredit,
    StreamInput,
    Welcome,
)
from seawall.wire.session import ProtocolError, Session, SessionState, common_protocol
from seawall.wire.signature import hello_signing_bytes

HANDSHAKE_SECONDS = 15.0
"""How long it may take from the connection to the welcome."""

STALE_CONTROLLER_SECONDS = 60.0
"""How long a controller of an older term is left alone: it has to be stopped by people."""

_MISSED_HEARTBEATS = 3.5
_SHORTEST_HEARTBEAT_SECONDS, _LONGEST_HEARTBEAT_SECONDS = 0.1, 300.0
_OUTBOX_LIMIT = 512

_logger = logging.getLogger("seawall.agent.link")


class End(Struct, frozen=True):
    """Why a session is over. `retry_after_seconds` is the controller's wish; `revoked` means never again."""

    reason: str
    retry_after_seconds: float = 0.0
    revoked: bool = False


class HostFacts(Struct, frozen=True):
    """What an agent says of its host in the hello."""

    version: str
    hostname: str = ""
    docker_version: str = ""
    simulated: bool = False


class ControllerSocket(Protocol):
    """A connection to the controller. Its methods raise OSError when it breaks."""

    async def receive(self) -> bytes | str | End:
        """The next frame (text for one that isn't binary), or why there is none any more."""

    async def send(self, frame: bytes) -> None:
        """Send a binary frame; returns when the next one may follow."""

    async def close(self) -> None:
        """Close, without waiting long for a peer that may be gone."""


class AgentSession:
    """The agent's end of one connection. `run` lives as long as the session does.

    `instance` tells this process from all others.
    """

    def __init__(
        self,
        socket: ControllerSocket,
        identity: AgentIdentity,
        worker: Worker,
        clock: Clock,
        facts: HostFacts,
        instance: str,
    ) -> None:
        self.epoch: int | None = None
        """Of the welcome; None before it."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._socket = socket
        self._identity = identity
        self._worker = worker
        self._clock = clock
        self._facts = facts
        self._instance = instance
        self._term = 0
        self._known_epoch = 0
        self._age = FrameAge()
        self._hello_at = 0.0
        self._session = Session()
        self._outbox: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._written = asyncio.Event()
        self._heard_at = clock.now()
        self._patience_seconds = HANDSHAKE_SECONDS
        self._watch: Timer | None = None

    @property
    def open(self) -> bool:
        """Whether the controller has welcomed the agent, the ledger knows of it, and nobody has said goodbye."""
        return self.epoch is not None and self._session.state is SessionState.OPEN and not self._ended.done()

    async def run(self) -> End:
        """Speak until the session is over, and say why it is. Raises LedgerFailed."""
        parts = [self._part(self._read(), "reader"), self._part(self._write(), "writer")]
        self._watch = self._clock.call_at(self._heard_at + self._patience_seconds, self._look)
        try:
            return await asyncio.shield(self._ended)
        finally:
            self._watch.cancel()
            if self.epoch is not None:
                self._worker.streams.detach()
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)

    def send(self, message: FromAgent) -> None:
        """Queue a message. Raises ValueError, or what encoding raises, for one that no frame can carry."""
        frame = encode_message(message)
        if len(frame) > FRAME_LIMIT_BYTES:
            raise ValueError(f"the frame has {len(frame)} bytes, the limit is {FRAME_LIMIT_BYTES}")
        if len(self._outbox) >= _OUTBOX_LIMIT:
            self._end(End("the controller takes nothing any more"))
            return
        self._session.move(message)
        self._outbox.append(frame)
        self._filled.set()

    async def say_goodbye(self, reason: str) -> None:
        """Say so, let everything that is queued go out, and end."""
        if not self.open:
            return
        self.send(Goodbye(reason))
        while self._outbox and not self._ended.done():
            self._written.clear()
            await self._written.wait()
        self._end(End(reason))

    def _part(self, work: Coroutine[object, object, End], name: str) -> asyncio.Task[None]:
        async def until_the_end() -> None:
            try:
                self._end(await work)
            except LedgerFailed as error:
                if not self._ended.done():
                    self._ended.set_exception(error)
                    self._written.set()
            except OSError as error:
                self._end(End(f"the connection broke ({type(error).__name__})"))
            except ProtocolError as error:
                self._end(End(f"the controller broke the protocol: {error}"))
            except Exception as error:  # a bug ends the session, not the agent
                _logger.exception("the %s of the session failed unexpectedly", name)
                self._end(End(f"a bug of the agent: {type(error).__name__}"))

        return asyncio.create_task(until_the_end(), name=f"session {name}")

    def _end(self, end: End) -> None:
        if not self._ended.done():
            self._ended.set_result(end)
            self._written.set()

    def _look(self) -> None:
        """Nothing heard for too long is the end; a timer that is re-armed costs less than one a frame."""
        due = self._heard_at + self._patience_seconds
        if self._clock.now() < due:
            self._watch = self._clock.call_at(due, self._look)
        elif self.epoch is None:
            self._end(End(f"the controller did not welcome this agent within {self._patience_seconds:g} s"))
        else:
            self._end(End(f"nothing was heard from the controller for {self._patience_seconds:g} s"))

    async def _read(self) -> End:
        while True:
            frame = await self._socket.receive()
            if isinstance(frame, End):
                return frame
            if isinstance(frame, str):
                self._complain(Complaint("frame", "a text frame; messages are binary"))
                continue
            self._heard_at = self._clock.now() if self.epoch is not None else self._heard_at
            end = await self._hear(frame)
            if end is not None:
                return end

    async def _hear(self, frame: bytes) -> End | None:
        try:
            message = decode_from_controller(frame)
        except BadFrame as error:
            _logger.warning("a frame of the controller was not understood: %s", error)
            self._complain(error.complaint)
            return None
        if self._session.state is SessionState.CLOSED:
            return None  # the goodbye is on its way, and crossed this
        self._session.move(message)
        if isinstance(message, Welcome):
            await self._be_welcome(message)
            return None
        return self._obey(message)

    def _obey(self, message: FromController) -> End | None:
        match message:
            case Execute():
                if message.epoch != self.epoch:
                    reason = f"epoch {message.epoch} is over, this session's is {self.epoch}"
                    self._complain(Complaint("execute", reason))
                else:
                    self._worker.execute(message, self._age.of(message.sent_at, self._clock.now()))
            case Acknowledge():
                self._worker.acknowledge(message)
            case Cancel():
                self._worker.cancel(message)
            case OpenStream() | StreamCredit() | StreamInput() | CloseStream():
                self._worker.streams.hear(message)
            case Ping():
                # Another controller's clock tells nothing of this one's frames.
                if message.epoch == self.epoch:
                    self._age.note(message.sent_at, self._clock.now())
                self._worker.ping(message)
            case Complaint():
                _logger.warning("the controller did not understand a %s: %s", message.about, message.reason)
            case Goodbye():
                return End(
                    message.reason,
                    retry_after_seconds=message.retry_after_seconds or 0.0,
                    revoked=message.retry_after_seconds is None,
                )
            case Challenge():
                return self._prove(message)
        return None

    def _prove(self, challenge: Challenge) -> End | None:
        protocol = common_protocol(challenge)
        if protocol is None:
            return End(
                f"the controller speaks protocol {challenge.protocol_min} to {challenge.protocol_max}, which this "
                f"agent (version {self._facts.version}) doesn't: update the older of the two"
            )
        if challenge.controller_id != self._identity.controller_id:
            return End("another controller than the one that this host has joined answers there")
        standing = self._worker.ledger.standing
        if challenge.term < standing.term:
            return End(
                f"a stale controller answers there (term {challenge.term}, and this agent has served term "
                f"{standing.term}): it was restored from an old copy or should have been stopped. End it, and let the "
                "newer one answer",
                retry_after_seconds=STALE_CONTROLLER_SECONDS,
            )
        self._term = challenge.term
        try:
            text = hello_signing_bytes(
                nonce=challenge.nonce,
                controller_id=challenge.controller_id,
                agent_id=self._identity.agent_id,
                term=challenge.term,
            )
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self._hello_at, self._known_epoch = self._clock.now(), standing.epoch
        self.send(
            Hello(
                agent_id=self._identity.agent_id,
                signature=self._identity.sign(text),
                protocol=protocol,
                version=self._facts.version,
                hostname=self._facts.hostname,
                docker_version=self._facts.docker_version,
                simulated=self._facts.simulated,
                labels=dict(self._identity.labels),
                operations=self._worker.operations,
                instance=self._instance,
                ledger_id=standing.ledger_id,
                ledger_epoch=standing.epoch,
                watermark=standing.watermark,
                last_sequence=standing.last_sequence,
                unacknowledged=standing.unacknowledged,
                level=self._worker.policy.level.value,
                may_exec=self._worker.policy.exec,
            )
        )
        return None

    async def _be_welcome(self, welcome: Welcome) -> None:
        heartbeat = welcome.heartbeat_seconds
        if not _SHORTEST_HEARTBEAT_SECONDS <= heartbeat <= _LONGEST_HEARTBEAT_SECONDS:
            raise ProtocolError(f"a heartbeat every {heartbeat} s is none")
        if welcome.epoch <= self._known_epoch:
            # It answers an earlier hello, and with it everything that was meant for that session would count again.
            raise ProtocolError(
                f"a welcome to epoch {welcome.epoch}, and {self._known_epoch} has been already"
            )
        self._age.note(welcome.heard_at, self._hello_at)
        # Nothing is executed or sent in a session that the ledger doesn't know of.
        await self._worker.begin_session(welcome.epoch, self._term, welcome.acknowledged_up_to)
        self.epoch = welcome.epoch
        self._patience_seconds = _MISSED_HEARTBEATS * heartbeat
        self._heard_at = self._clock.now()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._clock.call_at(self._heard_at + self._patience_seconds, self._look)
        if not self.opened.done():
            self.opened.set_result(None)
        if self.open:
            self._worker.streams.attach(self._filled.set)
            self._worker.resend()

    def _complain(self, complaint: Complaint) -> None:
        if self.open:
            self.send(complaint)

    async def _write(self) -> End:
        while True:
            while self._outbox:
                # It stays in the outbox until it is written, so that nobody takes it for sent.
                await self._socket.send(self._outbox[0])
                self._outbox.popleft()
            self._written.set()
            self._filled.clear()
            chunk = self._worker.streams.next_message() if self.open else None
            if chunk is not None:
                # One at a time: whatever is to be said meanwhile goes before the next.
                self._session.move(chunk)
                await self._socket.send(encode_message(chunk))
                # A socket that takes all at once would let nobody else have a turn for a whole window.
                await asyncio.sleep(0)
            elif not self._outbox:
                await self._filled.wait()


def belongs_to(message: FromAgent, epoch: int | None) -> bool:
    """Whether a message may go out in the session of this epoch."""
    return not isinstance(message, Completed | Started) or message.epoch == epoch
