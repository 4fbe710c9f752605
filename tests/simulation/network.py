"""The network between agents and controller: lines that fail, and on them connections of two directed pipes of frames.

A real connection neither loses nor reorders frames. This one may: whatever a broken proxy, or somebody who has recorded
a session, can do to frames must have no effect either.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from enum import Enum
from random import Random

from seawall.agent.session import End
from seawall.wire.codec import encode_message
from seawall.wire.messages import Execute, Goodbye, Message
from seawall.wire.session import ProtocolError, Session
from tests.simulation.loop import SimulatedLoop
from tests.simulation.node import Node

_STEP_SECONDS = 1e-6  # between frames that arrive "at once", so that they stay in order
_QUICKEST_SECONDS, _SLOWEST_SECONDS = 0.000_2, 0.005
_LONGEST_DELAY_SECONDS = 20.0
_REMEMBERED = 40
_PAUSED_AT = 8


class Direction(Enum):
    """Which way a frame goes."""

    TO_AGENT = "to_agent"
    TO_CONTROLLER = "to_controller"


@dataclass
class Rates:
    """How often a frame suffers what, 0 to 1."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    garble: float = 0.0

    @property
    def quiet(self) -> bool:
        """Whether every frame arrives as it was sent."""
        return not any(getattr(self, each.name) for each in fields(self))


@dataclass
class Line:
    """The way between one agent and the controller, through all its connections.

    What goes in a blocked direction waits until it is open again, as in a partition that heals. `watch` is told of each
    frame that is sent.
    """

    agent_id: str
    loop: SimulatedLoop
    random: Random
    rates: Rates = field(default_factory=Rates)
    blocked: set[Direction] = field(default_factory=set)
    watch: Callable[[Line, Direction, bytes], object] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    connection: Connection | None = None
    epoch: int = 0
    """Of the newest session that was welcomed on it."""
    on_execute: Callable[[Execute], object] | None = None
    """If set, it is told of the next Execute that leaves, once."""
    _remembered: dict[Direction, deque[bytes]] = field(
        default_factory=lambda: {way: deque(maxlen=_REMEMBERED) for way in Direction}
    )

    def count(self, what: str) -> None:
        """One more frame has suffered this."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def seconds(self) -> float:
        """How long a frame is under way if nothing is wrong."""
        return _QUICKEST_SECONDS + self.random.random() * _SLOWEST_SECONDS

    def block(self, *directions: Direction) -> None:
        """Nothing arrives any more that way."""
        self.blocked.update(directions)

    def open(self) -> None:
        """The partition is over: what waited arrives."""
        self.blocked.clear()
        if self.connection is not None:
            self.connection.release()

    def inject(self, direction: Direction, frame: bytes) -> None:
        """Slip a frame into the connection that there is."""
        if self.connection is not None:
            self.connection.pipe(direction).arrive_later(frame, self.seconds())

    def replay(self, direction: Direction) -> None:
        """Send again what went that way some time ago, maybe in an earlier connection."""
        if self._remembered[direction]:
            self.count("replayed")
            self.inject(direction, self.random.choice(self._remembered[direction]))

    def note(self, direction: Direction, frame: bytes) -> None:
        """A frame is on its way."""
        self._remembered[direction].append(frame)
        if self.watch is not None:
            self.watch(self, direction, frame)


class Pipe:
    """One direction of a connection."""

    def __init__(self, line: Line, direction: Direction) -> None:
        self.line = line
        self.direction = direction
        self.ended = False
        """Whether the receiver has seen the end."""
        self.silent = False
        """Whether nothing arrives any more, not even the end."""
        self.held: list[bytes | None] = []
        self._inbox: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._last_due = 0.0

    def send(self, frame: bytes) -> None:
        """Put a frame on its way."""
        line, rates, throw = self.line, self.line.rates, self.line.random.random
        line.note(self.direction, frame)
        if rates.quiet:
            self.arrive_later(frame, line.seconds())
            return
        if throw() < rates.loss:
            line.count("lost")
            return
        if throw() < rates.garble:
            line.count("garbled")
            frame = frame[: int(throw() * len(frame))] if throw() < 0.7 else b"\xff\x00" + frame
        if throw() < rates.duplicate:
            line.count("duplicated")
            self.arrive_later(
                frame, line.seconds() + throw() * throw() * _LONGEST_DELAY_SECONDS, in_order=False
            )
        seconds, in_order = line.seconds(), True
        if throw() < rates.delay:
            line.count("delayed")
            seconds += throw() * _LONGEST_DELAY_SECONDS
        if throw() < rates.reorder:
            line.count("reordered")
            seconds, in_order = seconds + throw(), False
        self.arrive_later(frame, seconds, in_order=in_order)

    def end(self) -> None:
        """Let the receiver see the end, after what was sent before."""
        self.arrive_later(None, self.line.seconds())

    def end_now(self) -> None:
        """The receiver sees the end before anything else."""
        self.ended = True
        self._inbox.clear()
        self.held.clear()
        self._wake()

    def release(self) -> None:
        """The line is open again."""
        held, self.held = self.held, []
        for frame in held:
            self.arrive_later(frame, self.line.seconds())
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    async def wait_until_open(self) -> None:
        """Return when the line is no longer blocked, or the connection over."""
        if self.held and not self.ended:
            self._opened = self.line.loop.create_future()
            await self._opened

    async def receive(self) -> bytes | None:
        """The next frame, or None at the end."""
        while not self._inbox:
            if self.ended:
                return None
            self._waiter = self.line.loop.create_future()
            await self._waiter
        return self._inbox.popleft()

    def arrive_later(self, frame: bytes | None, seconds: float, *, in_order: bool = True) -> None:
        """Have a frame, or None for the end, arrive in a while."""
        due = self.line.loop.time() + seconds
        if in_order:
            due = self._last_due = max(due, self._last_due + _STEP_SECONDS)
        self.line.loop.call_at(due, self._arrive, frame)

    def _arrive(self, frame: bytes | None) -> None:
        if self.ended or self.silent:
            return
        if self.direction in self.line.blocked:
            self.held.append(frame)
            return
        if frame is None:
            self.ended = True
        else:
            self._inbox.append(frame)
        self._wake()

    def _wake(self) -> None:
        for waiter in (self._waiter, self._opened if self.ended else None):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)


class Connection:
    """A connection of an agent to the controller."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._pipes = {direction: Pipe(line, direction) for direction in Direction}
        line.connection = self

    def pipe(self, direction: Direction) -> Pipe:
        """One direction of it."""
        return self._pipes[direction]

    def release(self) -> None:
        """The line is open again."""
        for pipe in self._pipes.values():
            pipe.release()

    def cut(self) -> None:
        """Both ends see that it is over."""
        for pipe in self._pipes.values():
            pipe.end_now()

    def silence(self, direction: Direction) -> None:
        """Who sends that way is gone without a word: its peer doesn't hear of it."""
        self._pipes[direction].silent = True

    def half_open(self, direction: Direction) -> None:
        """Who receives that way sees the end; the other one does not, and its frames go nowhere."""
        self._pipes[direction].end_now()
        for other, pipe in self._pipes.items():
            pipe.silent = pipe.silent or other is not direction


class _End:
    """What both ends have in common: a node that holds it, a pipe out and a pipe in."""

    def __init__(self, connection: Connection, node: Node, out: Direction) -> None:
        self._node = node
        self._out = connection.pipe(out)
        self._in = connection.pipe(
            Direction.TO_AGENT if out is Direction.TO_CONTROLLER else Direction.TO_CONTROLLER
        )
        self._over = False
        node.on_death.append(self._die)

    def _die(self) -> None:
        if not self._over:
            self._out.end()
        self._over = True

    def _finish(self) -> None:
        """This end is done; the other one learns of it in time."""
        if not self._over:
            self._over = True
            if self._node.alive:
                self._out.end()
                self._in.end_now()
            with suppress(ValueError):
                self._node.on_death.remove(self._die)

    async def _receive(self) -> bytes | None:
        frame = await self._in.receive()
        if not self._node.alive:
            await self._node.loop.create_future()
        return frame


class AgentEnd(_End):
    """The agent's end: `agent.session.ControllerSocket`."""

    def __init__(self, connection: Connection, node: Node) -> None:
        super().__init__(connection, node, Direction.TO_CONTROLLER)

    async def receive(self) -> bytes | str | End:
        """See `ControllerSocket.receive`."""
        frame = await self._receive()
        return frame if frame is not None else End("the controller closed the connection")

    async def send(self, frame: bytes) -> None:
        """See `ControllerSocket.send`."""
        if self._in.ended and self._node.alive:
            raise ConnectionResetError("the connection is closed")
        if not self._over:
            self._out.send(frame)

    async def close(self) -> None:
        """See `ControllerSocket.close`."""
        self._finish()


class ControllerEnd(_End):
    """The controller's end, as `controller.agent_socket.AgentSocket` would be."""

    def __init__(self, connection: Connection, node: Node) -> None:
        super().__init__(connection, node, Direction.TO_AGENT)
        self.machine = Session()

    @property
    def closing(self) -> bool:
        """See `AgentSocket.closing`."""
        return self._over or self._in.ended

    @property
    def paused(self) -> bool:
        """See `AgentSocket.paused`."""
        return len(self._out.held) >= _PAUSED_AT

    async def open(self) -> None:
        """See `AgentSocket.open`."""
        if self.closing:
            raise ConnectionResetError("the connection was lost")

    async def drain(self) -> None:
        """See `AgentSocket.drain`."""
        if self.paused:
            await self._out.wait_until_open()
        if self.closing:
            raise ConnectionResetError("the connection was lost")

    @property
    def source(self) -> str:
        """See `AgentSocket.source`."""
        return "simulated"

    def write(self, frame: bytes) -> None:
        """See `AgentSocket.write`."""
        if self.closing:
            raise ConnectionResetError("the connection is closed")
        self._out.send(frame)

    def send(self, message: Message) -> None:
        """See `AgentSocket.send`."""
        self.machine.move(message)
        self.write(encode_message(message))

    async def receive(self) -> bytes | None:
        """See `AgentSocket.receive`."""
        return await self._receive()

    async def receive_all(self, take: Callable[[bytes], bool]) -> None:
        """See `AgentSocket.receive_all`."""
        frame = await self._receive()
        while frame is not None and take(frame):
            frame = await self._receive()

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """See `AgentSocket.close`."""
        if self._over:
            return
        with suppress(ConnectionError, ProtocolError):
            self.send(Goodbye(reason, retry_after_seconds))
        self._finish()

    def abort(self) -> None:
        """See `AgentSocket.abort`."""
        self._finish()
