"""A faulty way between agents and a controller: it terminates TLS with the controller's own key and sees messages.

What it does to a message is decided by a plan, seeded or scripted, which sees the decoded message.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from seawall.wire.codec import FRAME_LIMIT_BYTES, BadFrame, decode_from_agent, decode_from_controller
from seawall.wire.join import CONTROLLER_SERVER_NAME
from seawall.wire.messages import Challenge, Goodbye, Hello, Message, Welcome
from tests.chaos.frames import Frame, MessageReader, Opcode

_CHUNK_BYTES = 64 * 1024
_DELAY_SECONDS = 0.3
_KEPT_FOR_REPLAY = 200


class Direction(Enum):
    """Where a message goes."""

    TO_AGENT = "to the agent"
    TO_CONTROLLER = "to the controller"


class Fault(Enum):
    """What can happen to a message on its way."""

    DROP = "dropped"
    DELAY = "delayed, and all that follow with it"
    TWICE = "duplicated"
    SWAP = "overtaken by the next one"
    TRUNCATE = "cut short"
    GARBLE = "garbled"
    OVERSIZE = "made larger than any frame may be"
    REPLAY = "preceded by one of an earlier moment or session"
    CUT = "lost with its connection"
    HALF_OPEN = "lost, with all that follow, and neither end is told"


@dataclass(frozen=True)
class Passage:
    """A message at the proxy. `session` counts connections from 1; `message` is None for what is none."""

    direction: Direction
    session: int
    message: Message | None

    @property
    def handshake(self) -> bool:
        """Whether it opens or closes the session."""
        return isinstance(self.message, Challenge | Hello | Welcome | Goodbye)


Plan = Callable[[Passage], Fault | None]


def seeded(
    dice: random.Random, faults: Iterable[Fault], rate: float, limit: int, kinds: tuple[type, ...] = ()
) -> Plan:
    """A plan that lets `rate` of the messages suffer one of the faults, `limit` of them at most.

    It spares handshakes, which fail as a whole, and looks at messages of some kinds only, if any are given.
    """
    left, choices = limit, tuple(faults)

    def plan(passage: Passage) -> Fault | None:
        nonlocal left
        if passage.handshake or (kinds and not isinstance(passage.message, kinds)):
            return None
        if left <= 0 or dice.random() >= rate:
            return None
        left -= 1
        return dice.choice(choices)

    return plan


@dataclass
class _Way:
    """One direction of one connection."""

    direction: Direction
    session: int
    source: asyncio.StreamReader
    sink: asyncio.StreamWriter
    reader: MessageReader = field(default_factory=MessageReader)
    held: list[Frame] = field(default_factory=list)
    """What the next message overtakes."""

    def send(self, frame: Frame) -> None:
        """Write a frame as whoever comes from the other side would."""
        self.sink.write(frame.encode(masked=self.direction is Direction.TO_CONTROLLER))


class _Connection:
    """Both directions of an agent's connection."""

    def __init__(self, ways: tuple[_Way, _Way]) -> None:
        self.ways = ways
        self.half_open = False

    def cut(self) -> None:
        """End it at both ends, as a reset would."""
        for way in self.ways:
            way.sink.transport.abort()


class FaultProxy:
    """Listens on loopback for agents; `plan` may be changed at any time, and None lets everything pass."""

    def __init__(self, upstream_port: int, server: ssl.SSLContext, client: ssl.SSLContext, seed: int) -> None:
        self.plan: Plan | None = None
        self.injected: Counter[Fault] = Counter()
        self._upstream_port = upstream_port
        self._tls = (server, client)
        self._dice = random.Random(seed)
        self._seen: dict[Direction, list[Frame]] = defaultdict(list)
        self._sessions = 0
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What agents dial."""
        assert self._server is not None
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> FaultProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls[0])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        while self._tasks:
            # One that has just been accepted may still be dialling.
            self.cut_all()
            await asyncio.wait(set(self._tasks), timeout=_DELAY_SECONDS)

    def cut_all(self) -> None:
        """Reset every connection."""
        for connection in list(self._connections):
            connection.cut()

    def heal(self) -> None:
        """No more faults: what is half-open is cut, and what is held goes on with the next message."""
        self.plan = None
        for connection in list(self._connections):
            if connection.half_open:
                connection.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            upstream = await asyncio.open_connection(
                "127.0.0.1", self._upstream_port, ssl=self._tls[1], server_hostname=CONTROLLER_SERVER_NAME
            )
        except OSError:
            writer.transport.abort()
            return
        self._sessions += 1
        connection = _Connection(
            (
                _Way(Direction.TO_CONTROLLER, self._sessions, reader, upstream[1]),
                _Way(Direction.TO_AGENT, self._sessions, upstream[0], writer),
            )
        )
        self._connections.add(connection)
        try:
            await asyncio.gather(*(self._relay(connection, way) for way in connection.ways))
        finally:
            self._connections.discard(connection)
            connection.cut()

    async def _relay(self, connection: _Connection, way: _Way) -> None:
        """Carry one direction until its source ends. The other end is told, unless the connection is half-open."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            way.sink.write(await way.source.readuntil(b"\r\n\r\n"))
            while data := await way.source.read(_CHUNK_BYTES):
                for frame in way.reader.feed(data):
                    await self._pass(connection, way, frame)
        if not connection.half_open:
            connection.cut()

    async def _pass(self, connection: _Connection, way: _Way, frame: Frame) -> None:
        if connection.half_open:
            return
        fault = None
        if self.plan is not None and frame.opcode is Opcode.BINARY:
            fault = self.plan(Passage(way.direction, way.session, decoded(way.direction, frame)))
        if fault is not None:
            self.injected[fault] += 1
        overtaken, way.held = way.held, [frame] if fault is Fault.SWAP else []
        if fault is Fault.DELAY:
            await asyncio.sleep(_DELAY_SECONDS)
        for sent in self._instead(fault, way.direction, frame) + overtaken:
            way.send(sent)
        self._remember(way.direction, frame)
        if fault is Fault.CUT:
            connection.cut()
        connection.half_open |= fault is Fault.HALF_OPEN

    def _instead(self, fault: Fault | None, direction: Direction, frame: Frame) -> list[Frame]:
        """What is sent now where this frame came."""
        match fault:
            case Fault.DROP | Fault.SWAP | Fault.CUT | Fault.HALF_OPEN:
                return []
            case Fault.TWICE:
                return [frame, frame]
            case Fault.TRUNCATE:
                return [Frame(frame.opcode, frame.payload[: len(frame.payload) // 2])]
            case Fault.GARBLE:
                return [Frame(frame.opcode, self._garbled(frame.payload))]
            case Fault.OVERSIZE:
                return [Frame(frame.opcode, frame.payload + bytes(FRAME_LIMIT_BYTES))]
            case Fault.REPLAY:
                return [self._dice.choice(self._seen[direction] or [frame]), frame]
        return [frame]

    def _garbled(self, payload: bytes) -> bytes:
        """Some of its bytes changed."""
        changed = bytearray(payload)
        for _ in range(1 + len(changed) // 16):
            changed[self._dice.randrange(len(changed))] ^= self._dice.randint(1, 255)
        return bytes(changed)

    def _remember(self, direction: Direction, frame: Frame) -> None:
        """Keep a frame for a replay; handshakes are replayed by the gateway's own tests."""
        message = decoded(direction, frame)
        if frame.opcode is Opcode.BINARY and not isinstance(message, Challenge | Hello | Welcome | Goodbye):
            seen = self._seen[direction]
            seen.append(frame)
            del seen[:-_KEPT_FOR_REPLAY]


def decoded(direction: Direction, frame: Frame) -> Message | None:
    """The message in a frame."""
    decode = decode_from_controller if direction is Direction.TO_AGENT else decode_from_agent
    with suppress(BadFrame):
        return decode(frame.payload)
    return None
