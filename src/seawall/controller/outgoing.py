"""What goes to one agent: written at once while it reads, else kept in a bounded queue until it reads again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from seawall.controller.session_support import SessionSocket, SessionSupport
from seawall.core.command import Attempt, Command, Outcome
from seawall.engine.deadlines import Deadline
from seawall.wire.codec import encode_message
from seawall.wire.messages import Acknowledge, Execute, FromController

DRAIN_SECONDS = 10.0
"""An agent that takes nothing for so long is given up."""
OUTBOX_LIMIT = 256
"""How many attempts wait for an agent that reads slowly."""

_CONTROL_ROOM = 32  # in the queue, for what isn't an attempt


class Pending(Struct, eq=False):
    """An attempt that awaits its outcome. `frames_before` had been heard when it was sent; None before that.

    `excused` says that this process was too late for the agent to be blamed, `traceparent` is the attempt's span.
    """

    command: Command
    attempt: Attempt
    due: float
    future: asyncio.Future[Outcome]
    frames_before: int | None = None
    deadline: Deadline | None = None
    excused: bool = False
    traceparent: str = ""

    @property
    def sent(self) -> bool:
        """Whether the agent may have it."""
        return self.frames_before is not None

    def end(self, outcome: Outcome) -> None:
        """Give whoever waits the outcome, unless there is one already."""
        if not self.future.done():
            self.future.set_result(outcome)

    def frame(self, remaining_seconds: float, epoch: int, now: float) -> bytes:
        """As it is sent now, with so much time left."""
        command, attempt = self.command, self.attempt
        return encode_message(
            Execute(
                command.command_id,
                attempt.correlation_id,
                attempt.number,
                command.operation,
                command.arguments,
                0.0 if attempt.asks else remaining_seconds,
                epoch,
                command.sequence,
                now,
                self.traceparent,
            )
        )


class Outgoing:
    """The way out of one session.

    `heard` says how many frames have come from the agent, `give_up` ends the session of one that takes nothing.
    """

    def __init__(
        self,
        socket: SessionSocket,
        support: SessionSupport,
        epoch: int,
        heard: Callable[[], int],
        give_up: Callable[[str], None],
    ) -> None:
        self.queue: deque[Pending | bytes] = deque()
        """What can't be written yet; while anything waits here, nothing overtakes it."""
        self._socket = socket
        self._support = support
        self._epoch = epoch
        self._heard = heard
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._trickle: deque[bytes] = deque()
        self._draining = False
        self._ended = False
        self._acknowledged: list[int] = []
        self._up_to = 0

    def keep(self, pending: Pending) -> bool:
        """Let an attempt wait until the agent reads again. False if too many wait already."""
        if len(self.queue) >= OUTBOX_LIMIT:
            return False
        self.queue.append(pending)
        self._drain_soon()
        return True

    def drop(self, pending: Pending) -> None:
        """An attempt isn't waited for any more: if it still waits here, it is never sent."""
        if pending in self.queue:
            self.queue.remove(pending)

    def post(self, message: FromController) -> None:
        """Send what isn't an attempt: at once, or before the attempts that wait."""
        frame = encode_message(message)
        if self.queue or self._socket.paused:
            if len(self.queue) < OUTBOX_LIMIT + _CONTROL_ROOM:
                self.queue.appendleft(frame)
                self._drain_soon()
            return
        try:
            self._socket.write(frame)
        except ConnectionError:
            return  # The reader learns of it, too, and ends the session.

    def trickle(self, message: FromController) -> None:
        """Send what belongs to a stream: in its order, and after everything else that waits.

        It is bounded by the windows of streams.
        """
        frame = encode_message(message)
        if self.queue or self._trickle or self._socket.paused:
            self._trickle.append(frame)
            self._drain_soon()
            return
        try:
            self._socket.write(frame)
        except ConnectionError:
            return  # The reader learns of it, too, and ends the session.

    def acknowledge(self, sequence: int, up_to: int) -> None:
        """Acknowledge a result; those of one turn of the loop go in one frame."""
        if not self._acknowledged:
            self._loop.call_soon(self._send_acknowledgements)
        self._acknowledged.append(sequence)
        self._up_to = max(self._up_to, up_to)

    def end(self) -> None:
        """Nothing is sent any more."""
        self._ended = True
        self.queue.clear()
        self._trickle.clear()

    def _send_acknowledgements(self) -> None:
        sequences, self._acknowledged = self._acknowledged, []
        if not self._ended:
            self.post(Acknowledge(sequences, self._up_to))

    def _drain_soon(self) -> None:
        if not self._draining:
            self._draining = True
            self._support.spawn(self._drain())

    async def _drain(self) -> None:
        clock, deadlines = self._support.clock, self._support.deadlines
        reason = f"the agent took nothing that it was sent for {DRAIN_SECONDS:g} seconds"
        try:
            while (self.queue or self._trickle) and not self._ended:
                stuck = deadlines.add(clock.now() + DRAIN_SECONDS, partial(self._give_up, reason))
                try:
                    await self._socket.drain()
                finally:
                    deadlines.drop(stuck)
                self._flush()
        except ConnectionError:
            return  # The reader learns of it, too, and ends the session.
        finally:
            self._draining = False

    def _flush(self) -> None:
        while self.queue and not self._socket.paused:
            entry = self.queue.popleft()
            if isinstance(entry, bytes):
                self._socket.write(entry)
                continue
            now = self._support.clock.now()
            remaining = entry.due - now
            if remaining > 0 and not entry.future.done():
                self._socket.write(entry.frame(remaining, self._epoch, now))
                entry.frames_before = self._heard()
        while self._trickle and not self._socket.paused:
            self._socket.write(self._trickle.popleft())
