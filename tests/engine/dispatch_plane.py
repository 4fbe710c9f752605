"""A controller without its doors: Commands, Dispatcher, Driver and Fleet on a real store, with a scripted agent."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from seawall.bus.local import LocalBus
from seawall.core.command import Attempt, Command, CommandState, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.engine.commands import CommandRequest, Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet, LedgerResult, Signs
from seawall.engine.identifiers import correlation_ids
from seawall.engine.records import AgentRecord, CommandRecord, JoinTokenRecord, LedgerFacts, SessionGrant
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from seawall.wire.messages import Origin
from seawall.writer import commit
from tests.storage.backends import BusyStore

Script = Callable[[Command, Attempt], Outcome]
HOST = "00000000-0000-7000-8000-000000000001"
OTHER = "00000000-0000-7000-8000-000000000002"
_UNCHANGED_ROUNDS = 3
LEDGER = LedgerFacts("ledger-1")

READ = CommandRequest("container_list", "web-1")
CHANGE = CommandRequest("container_restart", "web-1", {"container": "web"})


class ScriptedSession:
    """An agent that answers what it is told to, and remembers what reached it. `hold` keeps its answers back.

    `durable` says how many transactions were durable at each acknowledgement.
    """

    def __init__(self, script: Script, agent_id: str = HOST, epoch: int = 1) -> None:
        self.agent_id = agent_id
        self.epoch = epoch
        self.instance = "instance-1"
        self.heard_at = 0.0
        self.latency_seconds: float | None = None
        self.missed_pings = 0
        self.signs = Signs()
        self.script = script
        self.reached: list[tuple[str, int]] = []
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.acknowledged: list[tuple[int, int]] = []
        self.durable: list[int] = []
        self.transactions: Callable[[], int] = lambda: 0
        self.hold: asyncio.Event | None = None

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        if attempt.asks:
            self.asked.append(command.command_id)
        else:
            self.reached.append((command.command_id, attempt.number))
        if self.hold is not None:
            await self.hold.wait()
        return self.script(command, attempt)

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        self.cancelled.append(command_id)
        self.script = failing(CommandErrorCode.CANCELLED, Circumstance.HEARD)
        if self.hold is not None:
            self.hold.set()

    def acknowledge(self, sequence: int, up_to: int) -> None:
        self.acknowledged.append((sequence, up_to))
        self.durable.append(self.transactions())

    async def lives(self) -> bool:
        return True

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        pass


class Commits:
    """Counts the flushes of a store, and can hold them up."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.count += 1
        commit(connection)


class Plane:
    """See the module's text."""

    def __init__(self, store: BusyStore, clock: FakeClock, commits: Commits) -> None:
        self.clock = clock
        self.store = store
        self.commits = commits
        self.events: list[Event] = []
        self.guards: Guards[Slot] = Guards()
        self.bus = LocalBus()
        self.fleet = Fleet(self.guards, clock, self.events.append)
        self.driver = Driver(self.fleet, self.guards, clock, correlation_ids(clock), [self.events.append])
        self.dispatcher = Dispatcher(self.driver, store, self.fleet, self.bus, clock)
        self.driver.journal = self.dispatcher
        self.commands = Commands(store, self.dispatcher, self.fleet, self.guards, clock, self.driver.emit)
        self.ready, self.stop = asyncio.Event(), asyncio.Event()

    def attach(self, script: Script | None = None, agent_id: str = HOST) -> ScriptedSession:
        """Connect a scripted agent."""
        session = ScriptedSession(ok if script is None else script, agent_id)
        session.transactions = self.transactions
        self.fleet.attach(session)
        return session

    def held(self, script: Script | None = None) -> ScriptedSession:
        """Connect an agent that takes what it gets, and says nothing of it yet."""
        session = ScriptedSession(ok if script is None else script)
        session.hold = asyncio.Event()
        self.fleet.attach(session)
        return session

    def tells(self, record: CommandRecord, outcome: Outcome, agent_id: str = HOST) -> None:
        """A result comes out of an agent's ledger, unasked."""
        origin = Origin(record.operation, record.arguments, "2030-01-01T00:00:00Z", "2030-01-01T00:00:02Z")
        told = LedgerResult(record.command_id, record.sequence, outcome, origin)
        self.dispatcher.agent_told(agent_id, told)

    async def loses_ledger(self) -> SessionGrant:
        """What the handshake does when the agent comes with another ledger."""
        record = self.fleet.find(HOST)
        assert record is not None
        grant = await self.store.open_session(record, LedgerFacts("another"))
        self.dispatcher.agent_lost_ledger(HOST, grant.lost, grant.amnesia)
        return grant

    async def known(self, record: CommandRecord) -> CommandRecord:
        """The record as the store has it."""
        found = await self.store.command(record.command_id)
        assert found is not None
        return found

    def transactions(self) -> int:
        """How many transactions the store has committed; one that is asked for alone has one to itself."""
        return self.commits.count

    async def settle(self) -> None:
        """Let everything go on that waits for other tasks or the store, but not for the clock."""
        before, same = None, 0
        while same < _UNCHANGED_ROUNDS:
            await self.clock.settle()
            await self.store.check()
            await self.clock.settle()
            now = (len(self.events), self.clock.timers)
            before, same = now, same + 1 if now == before and not self.store.awaited else 0

    async def reached(self, session: ScriptedSession, count: int) -> None:
        """Return when so many attempts have reached the agent; no time passes."""
        for _ in range(200):
            if len(session.reached) >= count:
                return
            await self.settle()
        raise AssertionError(f"only {session.reached} reached the agent")

    async def finished(self, record: CommandRecord, *, within_seconds: float = 600.0) -> CommandRecord:
        """The record once it is final."""
        return await self._once(record, lambda found: found.state.final, within_seconds)

    async def settled(self, record: CommandRecord) -> CommandRecord:
        """The record once its state is the last word."""
        return await self._once(record, lambda found: found.settled, 600.0)

    async def _once(
        self, record: CommandRecord, over: Callable[[CommandRecord], bool], within_seconds: float
    ) -> CommandRecord:
        """Turn virtual time from one moment at which something is due to the next, until it is so."""
        until = self.clock.now() + within_seconds
        while True:
            # The store's threads live in real time: their slowness must not look like time to the plane.
            await self.settle()
            found = await self.known(record)
            if over(found):
                return found
            assert self.clock.now() < until, f"still {found.state} after {within_seconds} s"
            due = self.clock.timers
            step = due[0] - self.clock.now() if due else 0.0
            await self.clock.advance(max(0.0, min(step, until - self.clock.now())))

    async def unknown(self, session: ScriptedSession) -> CommandRecord:
        """A change whose outcome nobody knows: its agent answers nothing of use."""
        session.script = failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD)
        record = await self.finished(await self.commands.accept(CHANGE))
        assert (record.state, record.settled) == (CommandState.UNKNOWN, False)
        return record


@asynccontextmanager
async def running(
    directory: Path, clock: FakeClock | None = None, stores: type[BusyStore] = BusyStore
) -> AsyncIterator[Plane]:
    """A controller that knows the hosts web-1 and web-2."""
    clock, commits = clock if clock is not None else FakeClock(), Commits()
    store = await stores.open(directory / "seawall.db", clock, commit=commits)
    assert isinstance(store, BusyStore)
    plane = Plane(store, clock, commits)
    known = {agent.agent_id: agent for agent in await store.agents()}
    for agent_id, name in ((HOST, "web-1"), (OTHER, "web-2")):
        plane.fleet.learn(
            known.get(agent_id) or await join(store, AgentRecord(agent_id, name, b"", clock.wall()))
        )
    task = asyncio.create_task(plane.dispatcher.run(plane.ready, plane.stop))
    try:
        await plane.ready.wait()
        yield plane
    finally:
        plane.stop.set()
        await task
        await store.close()


async def join(store: SqliteStore, agent: AgentRecord) -> AgentRecord:
    """As a host joins, without the network; its ledger has shown itself once."""
    token = JoinTokenRecord(agent.name, agent.name, agent.joined_at, agent.joined_at.replace(year=2099))
    await store.add_join_token(token)
    await store.redeem(agent.name, agent.joined_at, agent)
    await store.open_session(agent, LEDGER)
    return agent


def ok(_: Command, __: Attempt) -> Outcome:
    return Outcome(response={"done": True})


def failing(code: CommandErrorCode, circumstance: Circumstance = Circumstance.NONE) -> Script:
    return lambda _, __: Outcome(code, f"scripted {code.value}", circumstance=circumstance)


def first_fails(code: CommandErrorCode, circumstance: Circumstance = Circumstance.NONE) -> Script:
    failed = Outcome(code, "scripted", circumstance=circumstance)
    return lambda _, attempt: failed if attempt.number == 1 else Outcome(response=1)


def ledger(
    code: CommandErrorCode | None = None,
    response: object = None,
    evidence: Mapping[str, object] | None = None,
) -> Outcome:
    """The last word of the agent's ledger."""
    error = None if code is None else f"recorded {code.value}"
    shown = None if evidence is None else dict(evidence)
    return Outcome(code, error, response, source=Source.LEDGER, evidence=shown)


def by_question(answer: Outcome, attempt_answer: Outcome) -> Script:
    """Different answers to a question and to an attempt."""
    return lambda _, attempt: answer if attempt.asks else attempt_answer
