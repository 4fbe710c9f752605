"""Runs in virtual time, with a wall clock that may jump, and what happened in them when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from seawall.bus.local import LocalBus
from seawall.core.command import Attempt, Command, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CommandFinished, Event
from seawall.core.guard import Guards
from seawall.engine.commands import Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet, Signs
from seawall.engine.identifiers import correlation_ids
from seawall.engine.records import AgentRecord
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from tests.storage.backends import BusyStore, agent, join_token

HOST = "00000000-0000-7000-8000-000000000001"
STEP_SECONDS = 0.5

_UNCHANGED_ROUNDS = 2
_APART_SECONDS = 0.1

_JUMPS = [
    sign * jump
    for sign in (-1, 1)
    for jump in (timedelta(seconds=40), timedelta(hours=5), timedelta(days=1), timedelta(days=400))
]


class Jumps:
    """Lets the wall clock jump now and then; `None` as a seed leaves it alone."""

    def __init__(self, clock: FakeClock, seed: int | None) -> None:
        self._clock = clock
        self._dice = random.Random(seed) if seed is not None else None
        self.count = 0

    def maybe(self) -> None:
        """One jump, or none."""
        if self._dice is not None and self._dice.random() < 0.2:
            self._clock.set_wall(self._clock.wall() + self._dice.choice(_JUMPS))
            self.count += 1


@dataclass
class LedgerHost:
    """A session of a host that begins each command once, takes its time, and remembers how it ended.

    How long each takes, whether it is told in time, and whether Docker is there is all in the dice of its name. No two
    answers come in the same moment: which of them the store's threads let through first would be anybody's guess.
    """

    clock: FakeClock
    seed: int
    agent_id: str = HOST
    epoch: int = 1
    instance: str = "only"
    heard_at: float = 0.0
    latency_seconds: float | None = None
    signs: Signs = field(default_factory=Signs)
    reached: list[tuple[str, int, float]] = field(default_factory=list)
    """(container, attempt, when) of every exchange but questions."""
    _over_at: dict[str, float] = field(default_factory=dict)

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        now = self.clock.now()
        # Commands have other ids where the wall clock was another one.
        name = str(command.arguments["container"])
        if not attempt.asks:
            self.reached.append((name, attempt.number, now))
        dice = random.Random(f"{self.seed}/{name}/{attempt.number}")
        of_its_own = dice.uniform(0.0, _APART_SECONDS)
        if name not in self._over_at:
            if attempt.asks:
                return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, "never begun", source=Source.LEDGER)
            if dice.random() < 0.3:
                await self.clock.sleep_until(now + of_its_own)
                return Outcome(
                    CommandErrorCode.DOCKER_ERROR,
                    "Docker is away",
                    circumstance=Circumstance.DOCKER_UNREACHABLE,
                    source=Source.AGENT,
                )
            self._over_at[name] = now + dice.choice((0.5, 3.0, 12.0, 45.0)) + of_its_own
        if self._over_at[name] > now + attempt.timeout_seconds:
            await self.clock.sleep_until(now + attempt.timeout_seconds)
            return Outcome(CommandErrorCode.TIMEOUT, "no answer", circumstance=Circumstance.SILENT)
        await self.clock.sleep_until(self._over_at[name])
        return Outcome(response={"done": True}, source=Source.LEDGER)

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        """Nobody cancels here."""

    def acknowledge(self, sequence: int, up_to: int) -> None:
        """It forgets nothing."""

    async def lives(self) -> bool:
        return True

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """It has nothing to close."""


class Plane:
    """A controller without its doors, on a real store."""

    def __init__(self, store: BusyStore, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.ended: list[tuple[str, float]] = []
        """(container, when) of every command that came to an end."""
        guards: Guards[Slot] = Guards()
        self.fleet = Fleet(guards, clock, self._note)
        self.fleet.learn(AgentRecord(HOST, "web-1", b"", clock.wall()))
        driver = Driver(self.fleet, guards, clock, correlation_ids(clock), [self._note])
        self.dispatcher = Dispatcher(driver, store, self.fleet, LocalBus(), clock)
        driver.journal = self.dispatcher
        self.commands = Commands(store, self.dispatcher, self.fleet, guards, clock, driver.emit)

    def connect(self, host: LedgerHost) -> None:
        """The host is here from now on."""
        self.fleet.attach(host)
        self.dispatcher.agent_connected(HOST)

    async def advance(self, seconds: float) -> None:
        """Let time pass, from one moment at which something falls due to the next: the store's threads keep up."""
        until = self.clock.now() + seconds
        await self.settle()
        while (now := self.clock.now()) < until:
            due = next((when for when in self.clock.timers if when > now), until)
            await self.clock.advance(min(due, until, now + STEP_SECONDS) - now)
            await self.settle()

    async def settle(self) -> None:
        """Let everything go on that waits for the store only, until nothing more comes of it."""
        before, same = None, 0
        while same < _UNCHANGED_ROUNDS:
            await self.store.check()
            await self.clock.settle()
            now = (len(self.ended), self.clock.timers)
            before, same = now, same + 1 if now == before and not self.store.awaited else 0

    def _note(self, event: Event) -> None:
        if isinstance(event, CommandFinished):
            self.ended.append((str(event.command.arguments.get("container")), event.at))


@asynccontextmanager
async def running(directory: Path, clock: FakeClock) -> AsyncIterator[Plane]:
    """A controller that has started on what is in `directory`."""
    store = await BusyStore.open(directory / "seawall.db", clock)
    assert isinstance(store, BusyStore)
    plane = Plane(store, clock)
    ready, stop = asyncio.Event(), asyncio.Event()
    if not await store.agents():
        await _join(store, clock)
    task = asyncio.create_task(plane.dispatcher.run(ready, stop))
    try:
        await ready.wait()
        yield plane
    finally:
        stop.set()
        await task
        await store.close()


async def _join(store: SqliteStore, clock: FakeClock) -> None:
    await store.add_join_token(join_token("secret", expires_at=clock.wall() + timedelta(days=1)))
    await store.redeem("secret", clock.wall(), agent(HOST, "web-1"))
