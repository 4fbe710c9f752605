"""What the sessions of one gateway share: one heap of deadlines, one task group, and what they count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Protocol

from seawall.clock import Clock
from seawall.controller.streams import Streams
from seawall.engine.deadlines import Deadlines
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus
from seawall.engine.store import FleetStore, StoreFailed
from seawall.wire.messages import Message
from seawall.wire.session import Session

_logger = logging.getLogger("seawall.gateway")


class SessionSocket(Protocol):
    """One connection of an agent, as a session uses it. `agent_socket.AgentSocket` is the real one."""

    machine: Session

    @property
    def source(self) -> str:
        """The address of the other end."""

    @property
    def closing(self) -> bool:
        """Whether this end has begun to close, or the connection is gone."""

    @property
    def paused(self) -> bool:
        """Whether the peer reads too slowly for more to be written now."""

    async def open(self) -> None:
        """Be ready for frames. Raises ConnectionError if the peer is gone by now."""

    async def drain(self) -> None:
        """Wait until more may be written. Raises ConnectionError when the connection is lost meanwhile."""

    def write(self, frame: bytes) -> None:
        """Write a frame, soon. Raises ConnectionError if the connection is gone; nothing was written then."""

    def send(self, message: Message) -> None:
        """Write a message that `machine` has to note. Raises as `write`, and ProtocolError."""

    async def receive(self) -> bytes | None:
        """The next frame; None once the connection is over."""

    async def receive_all(self, take: Callable[[bytes], bool]) -> None:
        """Hand over each frame until the connection is over or `take` wants no more."""

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """Say goodbye and close, within a few seconds."""

    def abort(self) -> None:
        """Cut the connection, whatever is still to be written."""


class SessionSupport:
    """Made by the gateway, used by each of its sessions. The counters only grow; telemetry reads them."""

    def __init__(
        self, store: FleetStore, fleet: Fleet, bus: Bus, clock: Clock, heartbeat_seconds: float
    ) -> None:
        self.store = store
        self.fleet = fleet
        self.bus = bus
        self.clock = clock
        self.heartbeat_seconds = heartbeat_seconds
        self.deadlines = Deadlines(clock)
        self.streams = Streams(clock)
        self.tasks: asyncio.TaskGroup | None = None
        self.under_way: set[str] = set()
        """The ids of all commands that await an answer, in whichever session."""
        self.traceparent: Callable[[str], str] | None = None
        """The span of an attempt, by its correlation id, where there are traces."""
        self.sessions_opened = 0
        self.handshakes_refused = 0
        self.foreign_answers = 0
        """Answers about commands that another session waits for."""
        self.late_answers = 0
        """Answers to attempts that are over, or never were."""
        self.stale_frames = 0
        """Frames from an older epoch, and answers to what was never sent or asked."""
        self.bad_frames = 0

    def prove_epoch(self, agent_id: str, epoch: int) -> None:
        """The agent's ledger has shown that it knows this epoch."""
        self.spawn(self._keep_proof(agent_id, epoch))

    async def _keep_proof(self, agent_id: str, epoch: int) -> None:
        try:
            await self.store.prove_epoch(agent_id, epoch)
        except StoreFailed as error:
            _logger.warning("the epoch of agent %s could not be kept: %s", agent_id, error)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` beside everything else; a gateway that has stopped has nothing left to work on."""
        if self.tasks is None:
            work.close()
        else:
            self.tasks.create_task(_unharmed(work))


async def _unharmed(work: Coroutine[None, None, None]) -> None:
    """A defect in what is done for one session costs that work, not the gateway."""
    try:
        await work
    except Exception:
        _logger.exception("work for a session failed; this is a defect")
