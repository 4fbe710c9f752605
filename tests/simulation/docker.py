"""The Docker Engine of a simulated host: the fake one, whose daemon is a node of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.effects import Effect as Done
from seawall.testing.effects import Work, executing
from seawall.testing.faults import Fault, Latency
from tests.simulation.clock import SimulatedClock
from tests.simulation.history import Effect, FaultKind, Place, Rare
from tests.simulation.node import Node
from tests.simulation.witness import Witness

# Both steps of a restart take less than the time after which a change that is in doubt counts as settled: what takes
# longer can't be told from what will never happen.
_QUICK_SECONDS, _SLOW_SECONDS = 0.01, 2.0
_SLOW_SHARE = 0.15
_NOTICED_SECONDS = 0.1


class _Effects(list[Done]):
    """The daemon's log; each entry is told to the witness."""

    def __init__(self, tell: Callable[[Done], object]) -> None:
        super().__init__()
        self._tell = tell

    def append(self, done: Done) -> None:
        super().append(done)
        self._tell(done)


class SimulatedDocker(FakeDocker):
    """The containers of one host, and the daemon that serves them: `new_node` makes each of its lives."""

    def __init__(
        self,
        agent_id: str,
        clock: SimulatedClock,
        random: Random,
        witness: Witness,
        new_node: Callable[[], Node],
    ) -> None:
        super().__init__(clock, containers(), hostname=agent_id, latency=self._latency)
        self.history = _Effects(self._done)
        self.agent_id = agent_id
        self._random = random
        self._witness = witness
        self._new_node = new_node
        self._node = new_node()
        self.in_mid_restart: Callable[[], object] | None = None
        """If set, it is called once, when a restart has done the first of its steps."""
        self._slow = 0
        self._began: dict[tuple[str, str], float] = {}
        self._names = {found.container_id: found.name for found in self.containers}

    def kill_daemon(self) -> None:
        super().kill_daemon()
        self._node.kill()

    def start_daemon(self, *, containers_lost: bool = False) -> None:
        if not self.alive:
            self._node = self._new_node()
        before = {found.container_id: (found.started_at, found.finished_at) for found in self.containers}
        super().start_daemon(containers_lost=containers_lost)
        for found in self.containers:
            if before[found.container_id] != (found.started_at, found.finished_at):
                self._outsider(found)

    def end_by_itself(self, name: str) -> None:
        """A container's program ends, without anybody having asked for it."""
        for found in self.containers:
            if found.name == name and found.running:
                self.end(name)
                self._outsider(found)

    async def _serve(
        self,
        work: Work,
        do: Callable[[Work], Awaitable[Any]],
        fault: Fault | None,
        timeout_seconds: float,
        *,
        changes: bool,
    ) -> Any:
        # The daemon's work goes on when the agent's process is gone.
        serving = self._node.start(super()._serve(work, do, fault, timeout_seconds, changes=changes))
        serving.add_done_callback(_look_away)
        self._node.loop.call_later(_NOTICED_SECONDS, self._note_slow, serving)
        return await asyncio.shield(serving)

    def _note_slow(self, serving: asyncio.Task[Any]) -> None:
        """Work that takes long is no fault of Docker's, but it may well outlast a command's time."""
        if serving.done():
            return
        about = (FaultKind.OVERLOAD, Place.DOCKER, self.agent_id)
        self._slow += 1
        if self._slow == 1:
            self._witness.fault(*about)

        def over(_: object) -> None:
            self._slow -= 1
            if not self._slow:
                self._witness.fault(*about, ended=True)

        serving.add_done_callback(over)

    def _latency(self, operation: str) -> Latency:
        throw = self._random.random
        slow = _SLOW_SECONDS if throw() < _SLOW_SHARE else _QUICK_SECONDS
        latency = Latency(throw() * 0.01, throw() * slow, throw() * 0.01)
        self._began[executing.get(), operation] = self._node.loop.time() + latency.request
        return latency

    def _done(self, done: Done) -> None:
        if done.operation == "container_restart" and done.step == "stop":
            strike, self.in_mid_restart = self.in_mid_restart, None
            if strike is not None:
                self._node.loop.call_soon(strike)
        key, now = (done.command_id, done.operation), self._node.loop.time()
        accept = self._witness.commands.get(done.command_id)
        if accept is not None and accept.operation != done.operation:
            self._witness.reached(Rare.RESUMED, self.agent_id, done.command_id)
        self._witness.worked[done.command_id] = None
        self._witness.tell(
            Effect,
            agent=self.agent_id,
            container=self._names[done.container_id],
            operation=done.operation,
            command_id=done.command_id or None,
            began_at=self._began.get(key, now),
            ended_at=now,
            step=done.step,
            changed=done.changed,
        )

    def _outsider(self, found: FakeContainer) -> None:
        now = self._node.loop.time()
        self._witness.tell(
            Effect,
            agent=self.agent_id,
            container=self._names[found.container_id],
            operation="",
            command_id=None,
            began_at=now,
            ended_at=now,
        )


def _look_away(serving: asyncio.Task[Any]) -> None:
    """Its failure may have nobody left to hear it."""
    if not serving.cancelled():
        serving.exception()


def containers() -> list[FakeContainer]:
    """What every simulated host holds."""
    return [
        FakeContainer("web", restart_policy="unless-stopped"),
        FakeContainer("db", running=False),
        FakeContainer("mule", ignores_term=True, stop_timeout=2),
        FakeContainer("tag"),
    ]
