"""The session of one agent: attempts out, outcomes back, heartbeats in between.

The reader resolves futures and never waits. What can't be written at once waits in a bounded queue, and an agent that
doesn't read loses its session, nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import msgspec

from seawall.clock import wall_of
from seawall.controller import outcomes
from seawall.controller.outgoing import OUTBOX_LIMIT, Outgoing, Pending
from seawall.controller.session_support import SessionSocket, SessionSupport
from seawall.controller.signs import note_signs
from seawall.core.command import Attempt, Command, Domain, Outcome
from seawall.engine.deadlines import Deadline
from seawall.engine.fleet import LedgerResult, Signs
from seawall.engine.notices import Notice
from seawall.wire.codec import FRAME_LIMIT_BYTES, BadFrame, decode_from_agent
from seawall.wire.messages import (
    Cancel,
    Complaint,
    Completed,
    FromAgent,
    FromController,
    Goodbye,
    Ping,
    Pong,
    Progress,
    Started,
    StreamData,
    StreamEnd,
    StreamInputCredit,
)
from seawall.wire.session import ProtocolError

MISSED_HEARTBEATS = 3
DOCKER_EVERY = 3
LIFE_SECONDS = 5.0
"""How long a session has to prove that its agent lives, when another claims to be the same agent."""

_PROGRESS_CHARACTERS = 1_000
_PROTOCOL_RETRY_SECONDS = 5.0
_READ_FIRST_SECONDS = 0.1

_UNENCODABLE = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)

_logger = logging.getLogger("seawall.gateway")


class GatewaySession:
    """`engine.fleet.AgentSession` over one WebSocket whose agent is proved."""

    def __init__(
        self, agent_id: str, epoch: int, instance: str, socket: SessionSocket, support: SessionSupport
    ) -> None:
        self.agent_id = agent_id
        self.epoch = epoch
        self.instance = instance
        self.heard_at = support.clock.now()
        self.latency_seconds: float | None = None
        self.signs = Signs()
        self._socket = socket
        self._support = support
        self._clock = support.clock
        self._deadlines = support.deadlines
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, Pending] = {}
        self._outgoing = Outgoing(socket, support, epoch, lambda: self._frames_heard, self._give_up)
        self._frames_heard = 0
        self._ended = False
        self._sequence = 0
        self._unanswered = 0
        self._ping_sent_at = 0.0
        self._beat_due: Deadline | None = None
        self._proved = False
        self._life: asyncio.Future[bool] | None = None
        self._life_asked = 0

    @property
    def missed_pings(self) -> int:
        """See `AgentSession.missed_pings`."""
        return max(0, self._unanswered - 1)

    async def run(self) -> None:
        """Live until the connection is over. The agent has had its Welcome and is attached to the fleet."""
        self._schedule_beat()
        reason = "the connection was lost"
        try:
            await self._socket.receive_all(self._take)
        except ProtocolError as error:
            reason = str(error)
            await self.close(reason, _PROTOCOL_RETRY_SECONDS)
        finally:
            self._end(reason)

    # engine.fleet.AgentSession

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        """See `ports.Link.exchange`."""
        if self._ended:
            return outcomes.not_sent(self.agent_id, "its session ended")
        socket, command_id = self._socket, command.command_id
        if command_id in self._pending:
            return outcomes.asked_already(command)
        now = self._clock.now()
        due = now + attempt.timeout_seconds
        pending = Pending(command, attempt, due, self._loop.create_future())
        if self._support.traceparent is not None:
            pending.traceparent = self._support.traceparent(attempt.correlation_id)
        try:
            frame = pending.frame(attempt.timeout_seconds, self.epoch, now)
        except _UNENCODABLE as error:
            return outcomes.unsendable(command, str(error))
        if len(frame) > FRAME_LIMIT_BYTES:
            size = f"they make {len(frame)} bytes, {FRAME_LIMIT_BYTES} can be sent"
            return outcomes.unsendable(command, size)
        outgoing = self._outgoing
        if not outgoing.queue and not socket.paused:
            try:
                socket.write(frame)
            except ConnectionError:
                return outcomes.not_sent(self.agent_id, "its connection was lost")
            pending.frames_before = self._frames_heard
        elif not outgoing.keep(pending):
            return outcomes.not_sent(self.agent_id, f"it reads too slowly, {OUTBOX_LIMIT} already wait")
        self._pending[command_id] = pending
        self._support.under_way.add(command_id)
        pending.deadline = self._deadlines.add(due, partial(self._time_over, pending))
        try:
            return await pending.future
        finally:
            self._deadlines.drop(pending.deadline)
            del self._pending[command_id]
            self._support.under_way.discard(command_id)
            if pending.frames_before is None:
                outgoing.drop(pending)

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        """Ask the agent to stop an attempt. One that still waits here ends at once, and is never sent."""
        pending = self._pending.get(command_id)
        if pending is None or pending.attempt.correlation_id != correlation_id:
            return
        if not pending.sent:
            pending.end(outcomes.cancelled_before_sending())
        else:
            self._outgoing.post(Cancel(command_id, correlation_id))

    def acknowledge(self, sequence: int, up_to: int) -> None:
        """See `AgentSession.acknowledge`. Those of one turn of the loop go in one frame."""
        if not self._ended:
            self._outgoing.acknowledge(sequence, up_to)

    def stream(self, message: FromController) -> None:
        """See `streams.StreamSession.stream`."""
        if not self._ended:
            self._outgoing.trickle(message)

    async def lives(self) -> bool:
        """See `AgentSession.lives`: by the answer to a ping of now, in LIFE_SECONDS. Other frames may be late ones."""
        if self._ended:
            return False
        if self._life is None:
            self._life = self._loop.create_future()
            self._ping()
            self._life_asked = self._sequence
        life = self._life
        due = self._deadlines.add(self._clock.now() + LIFE_SECONDS, partial(self._answer_life, False))
        try:
            return await asyncio.shield(life)
        finally:
            self._deadlines.drop(due)

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """End the session; returns within a few seconds, and what is under way ends before it waits at all."""
        self._end(reason)
        await self._socket.close(reason, retry_after_seconds)

    # What comes from the agent

    def _take(self, frame: bytes) -> bool:
        """Take a frame in; False if none is wanted after it."""
        if self._ended:
            return False
        self.heard_at = self._clock.now()
        self._frames_heard += 1
        try:
            message = decode_from_agent(frame)
        except BadFrame as error:
            self._complain(error)
            return True
        self._socket.machine.move(message)
        if type(message) is Completed:
            self._completed(message)
        elif isinstance(message, StreamData | StreamEnd | StreamInputCredit):
            self._support.streams.told(self, message)
        else:
            self._noted(message)
        return not self._ended

    def _completed(self, message: Completed) -> None:
        support, pending = self._support, self._pending.get(message.command_id)
        if message.epoch != self.epoch:
            support.stale_frames += 1
            return
        if message.recorded:
            self._prove()
        elif pending is not None and message.correlation_id != pending.attempt.correlation_id:
            support.late_answers += 1
            return
        if pending is None:
            if message.command_id in support.under_way:
                support.foreign_answers += 1
            elif message.recorded:
                self._tell(message)
            else:
                support.late_answers += 1
        elif not pending.sent and not message.recorded:
            # It answers what it was never sent.
            support.stale_frames += 1
        elif pending.future.done():
            if message.recorded:
                self._tell(message)
            else:
                support.late_answers += 1
        else:
            pending.future.set_result(outcomes.answered(message))

    def _tell(self, message: Completed) -> None:
        """The ledger has told what nobody waits for in this session."""
        told = LedgerResult(message.command_id, message.sequence, outcomes.answered(message), message.origin)
        listener = self._support.fleet.listener
        if listener is not None:
            listener.agent_told(self.agent_id, told)

    def _prove(self) -> None:
        """The agent's ledger has this epoch: a later one that hasn't is not the same."""
        if not self._proved:
            self._proved = True
            self._support.prove_epoch(self.agent_id, self.epoch)

    def _noted(self, message: FromAgent) -> None:
        match message:
            case Started():
                self._started(message)
            case Pong():
                self._answered(message)
            case Progress():
                self._progressed(message)
            case Goodbye():
                self._end(f"the agent said goodbye: {message.reason[:200]!r}")
            case Complaint():
                _logger.warning(
                    "agent %s didn't understand a frame",
                    self.agent_id,
                    extra={
                        "agent": self.agent_id,
                        "about": message.about[:64],
                        "reason": message.reason[:200],
                    },
                )

    def _started(self, message: Started) -> None:
        if message.epoch != self.epoch:
            self._support.stale_frames += 1
            return
        self._prove()
        if self._support.fleet.listener is not None and message.command_id in self._pending:
            self._support.fleet.listener.agent_started(self.agent_id, message.command_id)

    def _progressed(self, message: Progress) -> None:
        """The work moves, so the attempt goes on: for its own time again, but not past the command's deadline."""
        pending = self._of_attempt(message.correlation_id)
        if pending is None:
            return
        pending.due = min(self._clock.now() + pending.attempt.timeout_seconds, pending.command.deadline)
        content: dict[str, object] = {"text": message.text[:_PROGRESS_CHARACTERS]}
        if message.detail is not None:
            content["detail"] = message.detail
        self._support.bus.publish(Notice("progress", self.agent_id, pending.command.command_id, content))

    def _of_attempt(self, correlation_id: str | None) -> Pending | None:
        for pending in self._pending.values():
            if pending.attempt.correlation_id == correlation_id:
                return pending
        return None

    def _complain(self, error: BadFrame) -> None:
        self._support.bad_frames += 1
        if error.complaint.about != "complaint":  # or two ends could complain about complaints for ever
            self._outgoing.post(error.complaint)
        pending = self._of_attempt(error.correlation_id)
        if pending is not None and pending.sent:
            pending.end(outcomes.unreadable(error.complaint))

    # Heartbeats

    def _schedule_beat(self) -> None:
        # Spread by a tenth, so that agents which connected together aren't asked together for ever.
        wait = self._support.heartbeat_seconds * (0.9 + 0.2 * self._clock.dice())
        self._beat_due = self._deadlines.add(self._clock.now() + wait, self._beat)

    def _beat(self) -> None:
        if self._ended:
            return
        if self._unanswered >= MISSED_HEARTBEATS:
            self._give_up(f"the agent answered none of the last {MISSED_HEARTBEATS} heartbeats")
            return
        self._ping()
        self._schedule_beat()

    def _ping(self) -> None:
        self._sequence += 1
        self._unanswered += 1
        self._ping_sent_at = now = self._clock.now()
        self._outgoing.post(Ping(self._sequence, self._sequence % DOCKER_EVERY == 0, now, self.epoch))

    def _answer_life(self, lives: bool) -> None:
        life, self._life = self._life, None
        if life is not None and not life.done():
            life.set_result(lives)

    def _answered(self, pong: Pong) -> None:
        if not self._sequence - self._unanswered < pong.sequence <= self._sequence:
            self._support.stale_frames += 1
            return
        self._unanswered = self._sequence - pong.sequence
        if pong.sequence >= self._life_asked:
            self._answer_life(True)
        if not self._unanswered:
            self.latency_seconds = self.heard_at - self._ping_sent_at
        fleet = self._support.fleet
        if note_signs(self.signs, pong, self._clock.wall(), self.latency_seconds or 0.0):
            reason = "the registries that the host used lately answer it"
            fleet.heard(self.agent_id, Domain.REGISTRY, reason)
        fleet.heard(self.agent_id, Domain.AGENT, "the agent answered a ping")
        if pong.docker:
            fleet.heard(self.agent_id, Domain.DOCKER, "the Docker Engine answered a ping")

    # Ends

    def _time_over(self, pending: Pending) -> None:
        if pending.due > self._clock.now() and not pending.future.done():
            pending.deadline = self._deadlines.add(pending.due, partial(self._time_over, pending))
            return
        late = self._clock.now() - pending.due
        if late > pending.attempt.timeout_seconds / 2 and not pending.excused and not pending.future.done():
            # This process was the slow one: what has arrived meanwhile is read first, and the agent isn't blamed.
            pending.excused, pending.due = True, self._clock.now() + _READ_FIRST_SECONDS
            pending.deadline = self._deadlines.add(pending.due, partial(self._time_over, pending))
            return
        sent, heard = pending.sent, pending.excused or pending.frames_before != self._frames_heard
        pending.end(outcomes.timed_out(self.agent_id, pending.attempt, sent=sent, heard=heard))

    def _give_up(self, reason: str) -> None:
        """The peer is dead, or as good as that: there is nobody to say goodbye to."""
        self._end(reason)
        self._socket.abort()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._beat_due is not None:
            self._deadlines.drop(self._beat_due)
        self._answer_life(False)
        self._outgoing.end()
        self._support.streams.lost(self)
        # Another session may be the agent's by now: then only what is this one's own is over.
        if self._support.fleet.detach(self):
            record = self._support.fleet.find(self.agent_id)
            if record is not None:
                record.last_seen_at = wall_of(self._clock, self.heard_at)
            self._support.bus.publish(
                Notice("agent_disconnected", self.agent_id, None, {"epoch": self.epoch, "reason": reason})
            )
        self._fail_pending(reason)
        _logger.info(
            "session of agent %s ended: %s",
            self.agent_id,
            reason,
            extra={"agent": self.agent_id, "epoch": self.epoch, "reason": reason},
        )

    def _fail_pending(self, reason: str) -> None:
        first = True
        for pending in self._pending.values():
            if pending.future.done():
                continue
            if pending.sent:
                pending.end(outcomes.disconnected(self.agent_id, reason, first=first))
                first = False
            else:
                pending.end(outcomes.not_sent(self.agent_id, reason))
