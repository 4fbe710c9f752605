"""The session of one agent: attempts out, outcomes back, heartbeats in between.

The reader resolves futures and never waits. What can't be written at once waits in a bounded queue, and an agent that
doesn't read loses its session, nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial

import msgspec
from msgspec import Struct

from seawall.clock import wall_of
from seawall.controller import outcomes
from seawall.controller.agent_socket import AgentSocket
from seawall.controller.session_support import SessionSupport
from seawall.core.command import Attempt, Command, Domain, Outcome
from seawall.engine.deadlines import Deadline
from seawall.engine.notices import Notice
from seawall.wire.codec import FRAME_LIMIT_BYTES, BadFrame, decode_from_agent, encode_message
from seawall.wire.messages import (
    Cancel,
    Complaint,
    Completed,
    Execute,
    FromAgent,
    FromController,
    Goodbye,
    Ping,
    Pong,
    Progress,
)
from seawall.wire.session import ProtocolError

MISSED_HEARTBEATS = 3
DOCKER_EVERY = 3
DRAIN_SECONDS = 10.0
OUTBOX_LIMIT = 256
"""How many attempts wait for an agent that reads slowly."""

_CONTROL_ROOM = 32  # in the queue, for what isn't an attempt
_PROGRESS_CHARACTERS = 1_000
_PROTOCOL_RETRY_SECONDS = 5.0

_UNENCODABLE = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)

_logger = logging.getLogger("seawall.gateway")


class _Pending(Struct, eq=False):
    """An attempt that awaits its outcome. `frames_before` had been heard when it was sent; None before that."""

    command: Command
    attempt: Attempt
    due: float
    future: asyncio.Future[Outcome]
    frames_before: int | None = None

    @property
    def sent(self) -> bool:
        return self.frames_before is not None

    def end(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class GatewaySession:
    """`engine.fleet.AgentSession` over one WebSocket whose agent is proved."""

    def __init__(self, agent_id: str, epoch: int, socket: AgentSocket, support: SessionSupport) -> None:
        self.agent_id = agent_id
        self.epoch = epoch
        self.heard_at = support.clock.now()
        self.latency_seconds: float | None = None
        self._socket = socket
        self._support = support
        self._clock = support.clock
        self._deadlines = support.deadlines
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, _Pending] = {}
        self._outbox: deque[_Pending | bytes] = deque()
        self._draining = False
        self._frames_heard = 0
        self._ended = False
        self._sequence = 0
        self._unanswered = 0
        self._ping_sent_at = 0.0
        self._beat_due: Deadline | None = None

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
        socket, correlation_id = self._socket, attempt.correlation_id
        due = self._clock.now() + attempt.timeout_seconds
        pending = _Pending(command, attempt, due, self._loop.create_future())
        try:
            frame = _execute(command, attempt, attempt.timeout_seconds, self.epoch)
        except _UNENCODABLE as error:
            return outcomes.unsendable(command, str(error))
        if len(frame) > FRAME_LIMIT_BYTES:
            size = f"they make {len(frame)} bytes, {FRAME_LIMIT_BYTES} can be sent"
            return outcomes.unsendable(command, size)
        if not self._outbox and not socket.paused:
            try:
                socket.write(frame)
            except ConnectionError:
                return outcomes.not_sent(self.agent_id, "its connection was lost")
            pending.frames_before = self._frames_heard
        elif len(self._outbox) < OUTBOX_LIMIT:
            self._queue(pending)
        else:
            return outcomes.not_sent(self.agent_id, f"it reads too slowly, {OUTBOX_LIMIT} already wait")
        self._pending[correlation_id] = pending
        self._support.under_way.add(correlation_id)
        deadline = self._deadlines.add(due, partial(self._time_over, pending))
        try:
            return await pending.future
        finally:
            self._deadlines.drop(deadline)
            del self._pending[correlation_id]
            self._support.under_way.discard(correlation_id)
            if pending.frames_before is None and pending in self._outbox:
                self._outbox.remove(pending)

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        """Ask the agent to stop an attempt. One that still waits here ends at once, and is never sent."""
        pending = self._pending.get(correlation_id)
        if pending is None or pending.command.command_id != command_id:
            return
        if not pending.sent:
            pending.end(outcomes.cancelled_before_sending())
        else:
            self._post(Cancel(command_id, correlation_id))

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
        else:
            self._noted(message)
        return not self._ended

    def _completed(self, message: Completed) -> None:
        pending = self._pending.get(message.correlation_id)
        if pending is None:
            if message.correlation_id in self._support.under_way:
                self._support.foreign_answers += 1
            else:
                self._support.late_answers += 1
        elif message.epoch != self.epoch or message.command_id != pending.command.command_id:
            self._support.stale_frames += 1
        elif not pending.sent:
            # It answers what it was never sent.
            self._support.stale_frames += 1
        elif pending.future.done():
            self._support.late_answers += 1
        else:
            pending.future.set_result(outcomes.answered(message))

    def _noted(self, message: FromAgent) -> None:
        match message:
            case Pong():
                self._answered(message)
            case Progress():
                pending = self._pending.get(message.correlation_id)
                if pending is not None:
                    content: dict[str, object] = {"text": message.text[:_PROGRESS_CHARACTERS]}
                    command_id = pending.command.command_id
                    self._support.bus.publish(Notice("progress", self.agent_id, command_id, content))
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

    def _complain(self, error: BadFrame) -> None:
        self._support.bad_frames += 1
        if error.complaint.about != "complaint":  # or two ends could complain about complaints for ever
            self._post(error.complaint)
        pending = self._pending.get(error.correlation_id) if error.correlation_id is not None else None
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
        self._sequence += 1
        self._unanswered += 1
        self._ping_sent_at = self._clock.now()
        self._post(Ping(self._sequence, self._sequence % DOCKER_EVERY == 0))
        self._schedule_beat()

    def _answered(self, pong: Pong) -> None:
        if not self._sequence - self._unanswered < pong.sequence <= self._sequence:
            self._support.stale_frames += 1
            return
        self._unanswered = self._sequence - pong.sequence
        if not self._unanswered:
            self.latency_seconds = self.heard_at - self._ping_sent_at
        fleet = self._support.fleet
        fleet.heard(self.agent_id, Domain.AGENT, "the agent answered a ping")
        if pong.docker:
            fleet.heard(self.agent_id, Domain.DOCKER, "the Docker Engine answered a ping")

    # What goes to the agent

    def _post(self, message: FromController) -> None:
        """Send what isn't an attempt: at once, or before the attempts that wait."""
        frame = encode_message(message)
        if self._outbox or self._socket.paused:
            if len(self._outbox) < OUTBOX_LIMIT + _CONTROL_ROOM:
                self._queue(frame, first=True)
            return
        try:
            self._socket.write(frame)
        except ConnectionError:
            return  # The reader learns of it, too, and ends the session.

    def _queue(self, entry: _Pending | bytes, *, first: bool = False) -> None:
        if first:
            self._outbox.appendleft(entry)
        else:
            self._outbox.append(entry)
        if not self._draining:
            self._draining = True
            self._support.spawn(self._drain())

    async def _drain(self) -> None:
        try:
            while self._outbox and not self._ended:
                reason = f"the agent took nothing that it was sent for {DRAIN_SECONDS:g} seconds"
                stuck = self._deadlines.add(self._clock.now() + DRAIN_SECONDS, partial(self._give_up, reason))
                try:
                    await self._socket.drain()
                finally:
                    self._deadlines.drop(stuck)
                self._flush()
        except ConnectionError:
            return  # The reader learns of it, too, and ends the session.
        finally:
            self._draining = False

    def _flush(self) -> None:
        while self._outbox and not self._socket.paused:
            entry = self._outbox.popleft()
            if isinstance(entry, bytes):
                self._socket.write(entry)
                continue
            remaining = entry.due - self._clock.now()
            if remaining > 0 and not entry.future.done():
                self._socket.write(_execute(entry.command, entry.attempt, remaining, self.epoch))
                entry.frames_before = self._frames_heard

    # Ends

    def _time_over(self, pending: _Pending) -> None:
        sent, heard = pending.sent, pending.frames_before != self._frames_heard
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
        self._outbox.clear()
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


def _execute(command: Command, attempt: Attempt, remaining_seconds: float, epoch: int) -> bytes:
    return encode_message(
        Execute(
            command.command_id,
            attempt.correlation_id,
            attempt.number,
            command.operation,
            command.arguments,
            remaining_seconds,
            epoch,
        )
    )
