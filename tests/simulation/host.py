"""A host in the simulated world: its disk, its dockerd, and an agent that can be killed and started again."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from seawall.agent.identity import AgentIdentity
from seawall.agent.ledger import Ledger, LedgerFailed
from seawall.agent.ledger_tables import prepare
from seawall.agent.link import AgentLink, AgentRevoked
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.session import ControllerSocket, End, HostFacts
from seawall.agent.worker import Worker
from seawall.testing.effects import traced_runners, traced_verifiers
from seawall.wire.messages import Execute
from tests.simulation.clock import SimulatedClock, WallClock
from tests.simulation.copies import LedgerCopy
from tests.simulation.disk import Disk, DiskHandle
from tests.simulation.docker import SimulatedDocker
from tests.simulation.history import FrameTaken, Place, Rare
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Line
from tests.simulation.node import Node
from tests.simulation.plane import CONTROLLER_ID
from tests.simulation.witness import LEDGER_WATCH, Witness

Result = TypeVar("Result")

_NOTEWORTHY_AGE_SECONDS = 0.5
_LONG_SECONDS = 30.0

Dial = Callable[[Line, Node], ControllerSocket | End | None]
"""A connection to the controller, None if nobody answers at all."""


class WatchedWorker(Worker):
    """The worker; the witness sees which attempts it acts on, and what the ledger knew of them then."""

    host: Host

    def execute(self, message: Execute, age_seconds: float = 0.0) -> None:
        self.host.note_execute(message, age_seconds, self.ledger)
        super().execute(message, age_seconds)


@dataclass(frozen=True)
class AgentParts:
    """Which classes an agent is made of; a defect is another class in one of the places."""

    handle: type[DiskHandle] = DiskHandle
    ledger: type[Ledger] = Ledger
    worker: type[WatchedWorker] = WatchedWorker
    link: type[AgentLink] = AgentLink
    clock: type[SimulatedClock] = SimulatedClock
    prepare: Callable[[Agent], object] | None = None


class Agent:
    """One life of an agent."""

    def __init__(self, host: Host, node: Node, parts: AgentParts) -> None:
        self.node = node
        self.host = host
        self.handle = parts.handle(host.disk, node, LedgerFailed)
        contents = prepare(host.disk.connection, "the ledger", host.agent_id, node.clock.new_id())
        self.ledger = parts.ledger(self.handle.write, contents, node.clock)
        self.link = parts.link(host.identity, node.clock, self._describe, dial=self._dial)
        self.worker: WatchedWorker | None = None
        self._parts = parts
        node.spawn(self._live(), host.agent_id)

    async def _live(self) -> None:
        host, parts = self.host, self._parts
        worker = self.worker = parts.worker(
            host.docker,
            self.node.clock,
            self.link.send,
            ledger=self.ledger,
            version="1",
            runners=traced_runners(RUNNERS),
            verifiers=traced_verifiers(VERIFIERS),
        )
        worker.host = host
        if parts.prepare is not None:
            parts.prepare(self)
        try:
            await self.link.run(worker)
        except (AgentRevoked, LedgerFailed) as error:
            host.gave_up = str(error)

    async def _describe(self) -> HostFacts:
        return HostFacts("1", self.host.agent_id, "20.10", simulated=True)

    async def _dial(self) -> ControllerSocket | End:
        loop = self.node.loop
        found = self.host.dial(self.host.line, self.node)
        if found is None:
            await loop.create_future()
        assert found is not None
        return found


class Host:
    """One machine. `start` and `kill` its agent; its disk and its containers are still there afterwards."""

    def __init__(
        self,
        agent_id: str,
        loop: SimulatedLoop,
        random: Random,
        witness: Witness,
        line: Line,
        dial: Dial,
        parts: AgentParts,
    ) -> None:
        self.agent_id = agent_id
        self.identity = identities()[agent_id]
        self.wall = WallClock()
        self.line = line
        self.dial = dial
        self.agent: Agent | None = None
        self.gave_up = ""
        self.copy: LedgerCopy | None = None
        """Of the ledger, some time ago."""
        self.parts = parts
        self._loop = loop
        self._random = random
        self._witness = witness
        self._lives = 0
        self._taken: dict[tuple[int, str, int], None] = {}
        self.disk = Disk(
            self.new_ledger(), LEDGER_WATCH, lambda connection: witness.ledger_committed(agent_id, connection)
        )
        clock = SimulatedClock(loop, random, self.wall)
        self.docker = SimulatedDocker(
            agent_id, clock, random, witness, lambda: self.node(f"dockerd {agent_id}")
        )

    def node(self, name: str, clock: type[SimulatedClock] = SimulatedClock) -> Node:
        """A new process on this machine."""
        return Node(self._loop, name, self._random, self.wall, clock)

    def start(self) -> None:
        """Start the agent, unless it runs."""
        if self.agent is None or not self.agent.node.alive:
            self._lives += 1
            node = self.node(f"{self.agent_id}/{self._lives}", self.parts.clock)
            self.agent = Agent(self, node, self.parts)

    def kill(self) -> None:
        """`kill -9` the agent."""
        if self.agent is not None:
            self.agent.node.kill()

    @property
    def unacknowledged(self) -> int:
        """How many results wait for the controller's word."""
        return self.agent.ledger.standing.unacknowledged if self.agent is not None else 0

    @property
    def quiet(self) -> bool:
        """Whether the agent is there, and has nothing left to do or to tell."""
        agent = self.agent
        if agent is None or agent.worker is None or not agent.link.connected:
            return False
        return not agent.worker.in_flight and not self.unacknowledged and not agent.ledger.unfinished()

    @property
    def waits_long(self) -> bool:
        """Whether the agent was told to stay away for long."""
        agent = self.agent
        if agent is None or agent.link.retry_at is None:
            return False
        return agent.link.retry_at - agent.node.clock.now() > _LONG_SECONDS

    def keep_copy(self) -> None:
        """Remember what the ledger is now."""
        self.copy = LedgerCopy(self.agent_id, self.disk.image(), self._witness.order)

    def new_ledger(self) -> bytes:
        """The image of a ledger that nobody has written in yet."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            prepare(connection, "a new ledger", self.agent_id, f"ledger-{self._random.getrandbits(64):016x}")
            return connection.serialize()

    def note_execute(self, message: Execute, age_seconds: float, ledger: Ledger) -> None:
        """The agent acts on an attempt."""
        witness, standing, entry = self._witness, ledger.standing, ledger.entry(message.command_id)
        about = (self.agent_id, message.command_id)
        witness.tell(
            FrameTaken,
            kind="execute",
            taker=Place.AGENT,
            agent=self.agent_id,
            sender="controller",
            epoch=message.epoch,
            current_epoch=standing.epoch,
            term=standing.term,
            current_term=standing.term,
            command_id=message.command_id,
        )
        if age_seconds > _NOTEWORTHY_AGE_SECONDS:
            witness.reached(Rare.LATE_FRAME, *about)
        if not message.sequence:
            return
        attempt = (message.epoch, message.command_id, message.attempt)
        if entry is not None and entry.state.value == "STARTED":
            witness.reached(Rare.JOINED, *about)
        elif entry is not None and entry.state.value == "DONE":
            witness.reached(Rare.REPLAYED, *about)
        elif entry is None and message.sequence <= ledger.watermark:
            witness.reached(Rare.WATERMARK_REFUSAL, *about)
        elif attempt in self._taken:
            witness.reached(Rare.REPEATED_ANSWER, *about)
        self._taken[attempt] = None


@cache
def identities() -> Mapping[str, AgentIdentity]:
    """Who the agents of every world are."""
    return {
        agent_id: AgentIdentity(
            agent_id,
            agent_id,
            "http://127.0.0.1:1",
            CONTROLLER_ID,
            {},
            "",
            Ed25519PrivateKey.from_private_bytes(hashlib.sha256(agent_id.encode()).digest()),
        )
        for agent_id in ("agent-1", "agent-2", "agent-3")
    }


def public_key(agent_id: str) -> bytes:
    """The key by which the controller knows an agent."""
    return identities()[agent_id].private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
