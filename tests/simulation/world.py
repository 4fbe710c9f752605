"""A whole world from one number: a controller, hosts, clients and faults, run until it is quiet, and judged."""

from __future__ import annotations

import asyncio
import logging
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from random import Random
from typing import Any

from seawall.agent.session import ControllerSocket, End
from seawall.engine.records import AgentRecord, JoinTokenRecord
from tests.simulation.checker import check
from tests.simulation.clients import Clients, draw_plans
from tests.simulation.clock import WallClock
from tests.simulation.counters import counters
from tests.simulation.disk import Disk
from tests.simulation.faults import Fate
from tests.simulation.history import Ended, Event, Healed, QueueDepth, write_lines
from tests.simulation.host import AgentParts, Host, identities, public_key
from tests.simulation.invariants.record import Violation
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Direction, Line
from tests.simulation.node import Node, adopt
from tests.simulation.plane import Controller, Parts
from tests.simulation.store import SimulatedStore, empty_store
from tests.simulation.wire import WireWatch
from tests.simulation.witness import STORE_WATCH, Witness

SETTLE_SECONDS = 180.0
AFTERMATH_SECONDS = 45.0
"""Until both ends have missed the heartbeats of a connection that a fault has broken."""

_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 10.0
_LONGEST_DEADLINE_SECONDS = 90.0


@dataclass(frozen=True)
class Outcome:
    """What became of a world. `defects` are exceptions that nobody expected."""

    seed: int
    history: list[Event]
    violations: list[Violation]
    defects: list[str]
    counters: Mapping[str, int]
    digest: str

    @property
    def good(self) -> bool:
        """Whether everything that was promised held."""
        return not self.violations and not self.defects


class World:
    """Of one seed. `parts` and `agent_parts` are what its programs are made of, `faults` the kinds that may strike."""

    def __init__(
        self,
        seed: int,
        parts: Parts | None = None,
        agent_parts: AgentParts | None = None,
        *,
        faults: frozenset[str] | None = None,
        honest_disks: bool = True,
    ) -> None:
        self.seed = seed
        self.loop = SimulatedLoop()
        self.loop.adopt = adopt
        self.loop.set_exception_handler(self._unexpected)
        self.witness = Witness(self.loop)
        self.wall = WallClock()
        self.disk = Disk(joined_store(), STORE_WATCH, self.witness.store_committed)
        self.controller: Controller | None = None
        self.defects: list[str] = []
        self._parts = parts if parts is not None else Parts()
        random = self._random("hosts")
        self.hosts = [
            self._new_host(agent_id, agent_parts if agent_parts is not None else AgentParts())
            for agent_id in list(identities())[: random.randint(2, 3)]
        ]
        for disk in (self.disk, *(host.disk for host in self.hosts)):
            disk.honest = honest_disks
        self.fate = Fate(self, self._random("fate"), faults)
        self._clients_node = Node(self.loop, "clients", self._random("clients' node"), WallClock())
        self._clients = Clients(
            self._clients_node, self.witness, self._random("clients"), lambda: self.controller
        )

    def run(self) -> Outcome:
        """All of it, from the first start to the verdict."""
        with self._eyes_open():
            try:
                self.loop.run_until_complete(self._clients_node.start(self._live()))
                return self._judged()
            finally:
                self._close()

    async def _live(self) -> None:
        random = self._random("plans")
        seconds = random.uniform(60.0, 180.0)
        self.start_controller()
        for host in self.hosts:
            host.start()
        tags = {host.agent_id: host.docker.container("tag").container_id for host in self.hosts}
        plans = draw_plans(random, list(tags), tags, seconds)
        self._clients.run(plans)
        self.fate.schedule(seconds)
        await asyncio.sleep(seconds)
        self.heal()
        healed_at = self.loop.time()
        longest = _LONGEST_DEADLINE_SECONDS + SETTLE_SECONDS
        while self.loop.time() < healed_at + longest:
            await asyncio.sleep(_LOOK_SECONDS)
            if self.quiet:
                break
            if self.loop.time() > healed_at + _PATIENCE_SECONDS:
                self._bring_back()
                self._clients.probe(self._circuits_not_closed())
        self._finish(healed_at + longest)

    # What the faults do to it

    def start_controller(self) -> None:
        """A new life, on the same disk."""
        if self.controller is None or not self.controller.node.alive:
            self.wall.offset_seconds = 0.0
            random, parts = self._random(f"controller {self.loop.time()}"), self._parts
            node = Node(self.loop, "controller", random, self.wall, parts.clock)
            self.controller = Controller(node, self.disk, self.witness, parts, self.defects.append)

    def kill_controller(self, *, silent: bool = False) -> None:
        """`kill -9`; `silent` as a machine that is switched off."""
        if self.controller is None:
            return
        for host in self.hosts:
            if silent and host.line.connection is not None:
                host.line.connection.silence(Direction.TO_AGENT)
        self.controller.node.kill()

    def heal(self) -> None:
        """No more faults."""
        self.disk.full = False
        self.fate.heal()
        self.start_controller()
        for host in self.hosts:
            host.start()
        self.witness.tell(Healed)

    @property
    def time_of_day(self) -> datetime:
        """As it really is."""
        return self._clients_node.clock.wall()

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to do."""
        controller = self.controller
        if controller is None or not controller.ready or self._clients.open:
            return False
        dispatcher = controller.dispatcher
        return (
            not len(dispatcher.settlement.reconciler)
            and all(not dispatcher.open_commands(host.agent_id) for host in self.hosts)
            and all(guard.closed for guard in controller.guards)
            and all(host.quiet for host in self.hosts)
        )

    # How

    def _circuits_not_closed(self) -> list[str]:
        controller = self.controller
        if controller is None or not controller.ready:
            return []
        return [guard.agent_id for guard in controller.guards if not guard.closed]

    def _bring_back(self) -> None:
        """What a person does about an agent that was told to stay away for long: start it again."""
        for host in self.hosts:
            if host.waits_long:
                host.kill()
                host.start()

    def _finish(self, at_latest: float) -> None:
        witness, controller = self.witness, self.controller
        for host in self.hosts:
            if host.gave_up:
                self.defects.append(f"{host.agent_id} has given up: {host.gave_up}")
            witness.tell(QueueDepth, queue=f"outbox {host.agent_id}", depth=host.unacknowledged)
        if controller is not None and controller.ready:
            controller.count()
            depth = len(controller.dispatcher.settlement.reconciler)
            witness.tell(QueueDepth, queue="reconciler", depth=depth)
        # Where nothing is left to do the rest of the time is passed over.
        end = Ended(at=max(at_latest, self.loop.time()), order=witness.order + 1)
        witness.events.append(end)

    def _judged(self) -> Outcome:
        history = self.witness.events
        violations = check(history, settle_seconds=SETTLE_SECONDS, aftermath_seconds=AFTERMATH_SECONDS)
        reached = dict(counters(history))
        for host in self.hosts:
            for what, times in host.line.counts.items():
                name = f"frame {what}"
                reached[name] = reached.get(name, 0) + times
        told = write_lines(history) + f"{self.loop.turns} {self.loop.next_number()}".encode()
        return Outcome(self.seed, history, violations, self.defects, reached, f"{zlib.crc32(told):08x}")

    def _close(self) -> None:
        if self.controller is not None:
            self.controller.node.kill()
        for host in self.hosts:
            host.kill()
            host.docker.kill_daemon()
        self._clients_node.kill()
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.run_forever()
        self.loop.close()
        for disk in (self.disk, *(host.disk for host in self.hosts)):
            disk.close()

    def _new_host(self, agent_id: str, parts: AgentParts) -> Host:
        line = Line(agent_id, self.loop, self._random(f"line {agent_id}"), watch=WireWatch(self.witness))
        return Host(agent_id, self.loop, self._random(agent_id), self.witness, line, self._dial, parts)

    def _dial(self, line: Line, agent: Node) -> ControllerSocket | End | None:
        if line.blocked:
            return None
        if self.controller is None or not self.controller.ready or not self.controller.node.alive:
            return End("it can't be reached")
        return self.controller.connect(line, agent)

    def _random(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def _unexpected(self, loop: object, context: dict[str, Any]) -> None:
        self.defects.append(f"{context.get('message')}: {context.get('exception')!r}")

    @contextmanager
    def _eyes_open(self) -> Iterator[None]:
        """Nothing is logged, but what the code itself calls a defect is noted."""
        logger, ears = logging.getLogger("seawall"), _Ears(self.defects)
        before = logger.level, logger.propagate
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        logger.addHandler(ears)
        try:
            with warnings.catch_warnings():
                # A process that is killed leaves work behind that it never began.
                warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
                yield
        finally:
            logger.removeHandler(ears)
            logger.setLevel(before[0])
            logger.propagate = before[1]


class _Ears(logging.Handler):
    def __init__(self, defects: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._defects = defects

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._defects.append(logging.Formatter().format(record))


@cache
def joined_store() -> bytes:
    """The image of a controller's database that knows the agents."""
    loop = SimulatedLoop()
    node = Node(loop, "founder", Random(0), WallClock())
    disk = Disk(empty_store())

    async def join() -> None:
        store = SimulatedStore(disk, node)
        now = node.clock.wall()
        for agent_id in identities():
            token = JoinTokenRecord(agent_id, agent_id, now, node.clock.wall().replace(year=2040))
            await store.add_join_token(token)
            await store.redeem(agent_id, now, AgentRecord(agent_id, agent_id, public_key(agent_id), now))

    loop.run_until_complete(node.start(join()))
    loop.close()
    image = disk.image()
    disk.close()
    return image


def simulate(seed: int) -> Outcome:
    """The world of this number, as it is meant to be."""
    return World(seed).run()


__all__ = ["SETTLE_SECONDS", "Outcome", "World", "simulate"]
