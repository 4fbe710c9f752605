"""Streams between readers and agents: passed on, not kept, whichever of the two links breaks meanwhile.

Credit goes from the reader to the agent, so at most a window of each stream is in here. What got lost on the way is
with the agent still: whoever comes back, the reader or the agent, the stream is opened again at the reader's offset.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from seawall.clock import Clock, Timer
from seawall.core.errors import CommandErrorCode
from seawall.wire.messages import (
    CloseStream,
    FromController,
    OpenStream,
    StreamCredit,
    StreamData,
    StreamEnd,
    StreamInput,
    StreamInputCredit,
)
from seawall.wire.stream import WINDOW_BYTES, Inflow

RESUME_SECONDS = 30.0
"""How long a stream waits for a reader that broke off."""

STALLED_SECONDS = 60.0
"""How long a reader may take nothing while bytes wait for it."""

LOST_SECONDS = 120.0
"""How long a stream waits for its agent; the agent itself gives up earlier, counted from when it notices."""

_logger = logging.getLogger("seawall.streams")


class StreamSession(Protocol):
    """A session of an agent, as streams use it."""

    @property
    def agent_id(self) -> str:
        """Whose it is."""

    @property
    def epoch(self) -> int:
        """Which one."""

    def stream(self, message: FromController) -> None:
        """Send what belongs to a stream: soon, in order, and never before what can't wait."""


class StreamOrder(Protocol):
    """What is to be streamed."""

    @property
    def operation(self) -> str:
        """The operation's name."""

    @property
    def arguments(self) -> dict[str, object]:
        """Its arguments, checked."""


class Relay:
    """One stream on its way through. The reader's side takes `next_chunk`, `input_credit` and `end` after each `news`.

    `owner` is who opened it; `generation` counts the connections of its reader, of which the newest counts.
    """

    def __init__(self, stream_id: str, agent_id: str, owner: str, order: StreamOrder, position: int) -> None:
        self.stream_id = stream_id
        self.agent_id = agent_id
        self.owner = owner
        self.order = order
        self.generation = 0
        self.attached = False
        """Whether its reader is there."""
        self.closed = asyncio.Event()
        """Set when the present connection of its reader has no business any more."""
        self.news = asyncio.Event()
        self.input_credit: StreamInputCredit | None = None
        self.epoch: int | None = None
        """The session in which it is open at the agent."""
        self.opened = False
        """Whether the agent may have heard of it."""
        self.inflow = Inflow(position)
        self.credited = position
        self.timer: Timer | None = None
        """Of whoever is away: the reader, else the agent."""
        self.stall: Timer | None = None
        self.over = False
        self._end: StreamEnd | None = None
        self._chunks: deque[tuple[int, bytes]] = deque()

    def next_chunk(self) -> tuple[int, bytes] | None:
        """The next bytes for the reader, with their offset."""
        return self._chunks.popleft() if self._chunks else None

    @property
    def end(self) -> StreamEnd | None:
        """The end, once every byte before it has been given to the reader."""
        end = self._end
        if end is None or self._chunks or self.inflow.position < end.offset:
            return None
        return end

    def put(self, message: StreamData) -> None:
        """Bytes have come from the agent; those that came before, and those after a gap, don't count."""
        offset = self.inflow.position
        fresh = self.inflow.take(message.offset, message.data)
        if fresh:
            self._chunks.append((offset, fresh))
            self.news.set()

    def finish(self, end: StreamEnd) -> None:
        """The agent says that it is over."""
        self._end = end
        self.news.set()

    def move(self, position: int) -> None:
        """The reader goes on from here."""
        self._chunks.clear()
        self.inflow = Inflow(position)
        self.credited = position
        self._end = None


class Streams:
    """All streams of a controller. One event loop owns it; nothing in here waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._relays: dict[str, Relay] = {}
        self._by_agent: dict[str, dict[str, Relay]] = {}
        self._sessions: dict[str, StreamSession] = {}

    def __len__(self) -> int:
        return len(self._relays)

    def find(self, stream_id: str) -> Relay | None:
        """The stream of this id, if it is open."""
        return self._relays.get(stream_id)

    def is_connected(self, agent_id: str) -> bool:
        """Whether streams of this agent can be opened now."""
        return agent_id in self._sessions

    # The reader's side

    def open(
        self, stream_id: str, agent_id: str, owner: str, order: StreamOrder, offset: int, *, again: bool
    ) -> Relay:
        """A stream that isn't known here: a new one, or (`again`) one that an earlier controller knew."""
        relay = Relay(stream_id, agent_id, owner, order, offset)
        relay.opened = again
        self._relays[stream_id] = relay
        self._by_agent.setdefault(agent_id, {})[stream_id] = relay
        return relay

    def attach(self, relay: Relay, offset: int) -> int:
        """A reader reads it, from `offset` on; the number of its connection. An earlier one is put out."""
        relay.generation += 1
        relay.attached = True
        relay.closed.set()
        relay.closed = asyncio.Event()
        relay.news.set()
        relay.news = asyncio.Event()
        relay.move(offset)
        self._cancel(relay)
        self._send_open(relay)
        return relay.generation

    def detach(self, relay: Relay, generation: int) -> None:
        """The reader's connection is over; it may come back in RESUME_SECONDS."""
        if relay.over or relay.generation != generation:
            return
        self._cancel(relay)
        relay.attached = False
        relay.timer = self._later(
            RESUME_SECONDS, lambda: self.close(relay, "the reader did not come back in time")
        )

    def credit(self, relay: Relay, up_to: int) -> None:
        """The reader holds everything up to here. Raises ValueError for what it was never sent."""
        if up_to > relay.inflow.position:
            raise ValueError(f"credit up to {up_to}, and only {relay.inflow.position} bytes were sent")
        if up_to <= relay.credited:
            return
        relay.credited = up_to
        self._send(relay, StreamCredit(relay.stream_id, up_to))
        if relay.stall is not None:
            relay.stall.cancel()
            relay.stall = None
        self._watch(relay)

    def give(self, relay: Relay, offset: int, data: bytes) -> None:
        """Input from the reader."""
        self._send(relay, StreamInput(relay.stream_id, offset, data))

    def close(self, relay: Relay, reason: str) -> None:
        """Nobody reads it any more."""
        self._send(relay, CloseStream(relay.stream_id, reason))
        self._forget(relay)

    # The agents' side

    def connected(self, session: StreamSession) -> None:
        """An agent's session opened: its streams go on, those whose readers are there."""
        self._sessions[session.agent_id] = session
        for relay in list(self._by_agent.get(session.agent_id, {}).values()):
            if relay.attached:
                self._cancel(relay)
                self._send_open(relay)

    def lost(self, session: StreamSession) -> None:
        """A session is over. Only what was open in this very one waits for the next."""
        current = self._sessions.get(session.agent_id)
        if current is not None and current.epoch == session.epoch:
            del self._sessions[session.agent_id]
        for relay in list(self._by_agent.get(session.agent_id, {}).values()):
            if relay.epoch == session.epoch:
                relay.epoch = None
                if relay.attached:
                    self._cancel(relay)
                    relay.timer = self._later(LOST_SECONDS, partial(self._give_up, relay))

    def told(self, session: StreamSession, message: StreamData | StreamEnd | StreamInputCredit) -> None:
        """An agent speaks. What comes from another session than the stream's has no effect."""
        relay = self._relays.get(message.stream_id)
        if relay is None or relay.agent_id != session.agent_id or relay.epoch != session.epoch:
            return
        match message:
            case StreamData():
                relay.put(message)
                self._watch(relay)
            case StreamInputCredit():
                again = relay.input_credit is not None and relay.input_credit.again
                relay.input_credit = StreamInputCredit(relay.stream_id, message.up_to, message.again or again)
                relay.news.set()
            case StreamEnd():
                relay.finish(message)

    # How

    def _send_open(self, relay: Relay) -> None:
        session = self._sessions.get(relay.agent_id)
        if session is None:
            relay.epoch = None
            relay.timer = self._later(LOST_SECONDS, partial(self._give_up, relay))
            return
        again, relay.opened = relay.opened, True
        relay.epoch = session.epoch
        relay.input_credit = None
        order = relay.order
        session.stream(
            OpenStream(
                *(relay.stream_id, order.operation, order.arguments, relay.inflow.position, WINDOW_BYTES),
                again,
            )
        )

    def _send(self, relay: Relay, message: FromController) -> None:
        session = self._sessions.get(relay.agent_id)
        if session is not None and session.epoch == relay.epoch:
            session.stream(message)

    def _watch(self, relay: Relay) -> None:
        """A reader that is half a window behind has STALLED_SECONDS to take some of it."""
        if relay.stall is None and relay.inflow.position - relay.credited >= WINDOW_BYTES // 2:
            relay.stall = self._later(
                STALLED_SECONDS, partial(self._cut_off, relay, relay.generation, relay.credited)
            )

    def _cut_off(self, relay: Relay, generation: int, credited: int) -> None:
        relay.stall = None
        if relay.over or relay.generation != generation or relay.credited != credited:
            return
        error = (
            f"the reader took nothing for {STALLED_SECONDS:g} s although there was something: it was cut off"
        )
        _logger.warning("stream %s: %s", relay.stream_id, error)
        self._conclude(relay, CommandErrorCode.TIMEOUT, error)

    def _give_up(self, relay: Relay) -> None:
        error = f"the host did not come back within {LOST_SECONDS:g} s"
        self._conclude(relay, CommandErrorCode.AGENT_DISCONNECTED, error)

    def _conclude(self, relay: Relay, code: CommandErrorCode, error: str) -> None:
        self._send(relay, CloseStream(relay.stream_id, error))
        relay.finish(StreamEnd(relay.stream_id, relay.inflow.position, code.value, error))
        self._forget(relay)

    def _later(self, seconds: float, do: Callable[[], object]) -> Timer:
        return self._clock.call_at(self._clock.now() + seconds, do)

    def _cancel(self, relay: Relay) -> None:
        for timer in (relay.timer, relay.stall):
            if timer is not None:
                timer.cancel()
        relay.timer = relay.stall = None

    def _forget(self, relay: Relay) -> None:
        self._cancel(relay)
        relay.over = True
        relay.news.set()
        relay.closed.set()
        self._relays.pop(relay.stream_id, None)
        of_agent = self._by_agent.get(relay.agent_id, {})
        of_agent.pop(relay.stream_id, None)
        if not of_agent:
            self._by_agent.pop(relay.agent_id, None)
