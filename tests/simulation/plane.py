"""A controller in the simulated world: the real parts, put together as `controller.app` does, on a simulated store."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from seawall.bus.local import LocalBus
from seawall.controller.handshake import Handshakes
from seawall.core.breaker import BreakerSettings
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.engine.commands import Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import AgentSession, Fleet
from seawall.engine.identifiers import correlation_ids
from seawall.engine.notices import Notice
from seawall.engine.ports import Subscriber
from seawall.engine.store import StoreFailed
from tests.simulation.clock import SimulatedClock
from tests.simulation.disk import Disk
from tests.simulation.history import Rare, SessionClosed
from tests.simulation.network import AgentEnd, Connection, ControllerEnd, Line
from tests.simulation.node import Node
from tests.simulation.store import SimulatedStore
from tests.simulation.witness import Witness

Answer = TypeVar("Answer")

CONTROLLER_ID = "controller"
HEARTBEAT_SECONDS = 10.0


class ControllerGone(Exception):
    """The client's connection broke before there was an answer."""


class WatchedFleet(Fleet):
    """The fleet; the witness sees which sessions it puts away, and on whose account."""

    witness: Witness

    def detach(self, session: AgentSession) -> bool:
        before = self.session(session.agent_id)
        detached = super().detach(session)
        if before is not None and self.session(session.agent_id) is None:
            self.witness.tell(
                SessionClosed, agent=session.agent_id, epoch=before.epoch, socket_epoch=session.epoch
            )
        return detached


class _Bus(LocalBus):
    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self._witness = witness

    def publish(self, notice: Notice) -> None:
        self._witness.noticed(notice)
        super().publish(notice)


@dataclass(frozen=True)
class Parts:
    """Which classes a controller is made of; a defect is another class in one of the places."""

    store: type[SimulatedStore] = SimulatedStore
    fleet: type[WatchedFleet] = WatchedFleet
    handshakes: type[Handshakes] = Handshakes
    dispatcher: type[Dispatcher] = Dispatcher
    driver: type[Driver] = Driver
    commands: type[Commands] = Commands
    clock: type[SimulatedClock] = SimulatedClock
    prepare: Callable[[Controller], object] = field(default=lambda controller: None)


class Controller:
    """One life of the controller."""

    store: SimulatedStore
    fleet: WatchedFleet
    handshakes: Handshakes
    dispatcher: Dispatcher
    commands: Commands

    def __init__(
        self,
        node: Node,
        disk: Disk,
        witness: Witness,
        parts: Parts,
        broke_down: Callable[[str], object],
    ) -> None:
        """`broke_down` is told of an exception that ends the process and should not have come."""
        self.node = node
        self._broke_down = broke_down
        self.guards: Guards[Slot] = Guards(BreakerSettings(), BulkheadLimits())
        self.ready = False
        self._disk = disk
        self._witness = witness
        self._parts = parts
        self._subscribers: list[Subscriber] = [witness.observe]
        self._waiting: dict[asyncio.Future[object], None] = {}
        node.on_death.append(self._die)
        node.spawn(self._guarded(), "controller")

    async def _guarded(self) -> None:
        try:
            await self._live()
        except* StoreFailed:
            self.node.call_later(0.0, self.node.kill)
        except* Exception as group:  # noqa: BLE001 - whatever it is, it ends the process
            self._broke_down("".join(traceback.format_exception(group)))
            self.node.call_later(0.0, self.node.kill)

    async def _live(self) -> None:
        node, parts, witness = self.node, self._parts, self._witness
        clock = node.clock
        store = self.store = await parts.store.open(self._disk, node, CONTROLLER_ID)
        controller_id, term = await store.controller_identity()
        witness.term = term
        bus = _Bus(witness)
        fleet = self.fleet = parts.fleet(self.guards, clock, self.emit)
        fleet.witness = witness
        self.handshakes = parts.handshakes(store, fleet, bus, clock, controller_id, term, HEARTBEAT_SECONDS)
        driver = parts.driver(fleet, self.guards, clock, correlation_ids(clock), self._subscribers)
        self.dispatcher = driver.journal = parts.dispatcher(driver, store, fleet, bus, clock)
        self.commands = parts.commands(store, self.dispatcher, fleet, self.guards, clock, self.emit)
        parts.prepare(self)
        for agent in await store.agents():
            fleet.learn(agent)
        recovered, living, never = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dispatcher.run(recovered, never), name="dispatcher")
            await recovered.wait()
            tasks.create_task(self.handshakes.live(living, never), name="sessions")
            await living.wait()
            self.ready = True

    def emit(self, event: Event) -> None:
        """Tell every subscriber."""
        for subscriber in self._subscribers:
            subscriber(event)

    # Its doors

    def connect(self, line: Line, agent: Node) -> AgentEnd:
        """An agent opens a connection."""
        connection = Connection(line)
        self.node.spawn(
            self.handshakes.serve(ControllerEnd(connection, self.node)), f"connection of {line.agent_id}"
        )
        return AgentEnd(connection, agent)

    async def ask(self, request: Callable[[Commands], Awaitable[Answer]]) -> Answer:
        """A client's request. Raises ControllerGone if the controller dies before it has answered."""
        if not (self.node.alive and self.ready):
            raise ControllerGone
        answer: asyncio.Future[object] = self.node.loop.create_future()
        self._waiting[answer] = None

        async def handle() -> None:
            try:
                told: object = await request(self.commands)
            except Exception as error:  # noqa: BLE001 - it belongs to the client
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(told)

        self.node.spawn(handle(), "request")
        try:
            return await answer  # type: ignore[return-value]  # what `request` gave
        finally:
            self._waiting.pop(answer, None)

    def _die(self) -> None:
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(ControllerGone())
        self._witness.controller_died()
        if self.ready:
            self.count()

    def count(self) -> None:
        """Tell the witness what only this process knows."""
        for _ in range(self.handshakes.foreign_answers + self.dispatcher.settlement.foreign_results):
            self._witness.reached(Rare.STRANGER)
        for _ in range(self.handshakes.stale_frames):
            self._witness.reached(Rare.STALE_EPOCH)
