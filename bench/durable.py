"""What a durable command costs, end to end: accepted, dispatched, performed and concluded, each with its flush.

The path measured: Commands.accept -> SqliteStore -> Dispatcher -> Driver -> Gateway -> TLS -> 16 agents with a ledger
each and a fake Docker -> and back, until the result is durable. The agents are in processes of their own, several to
share them as no one interpreter should pace them all; the load is in the controller's. Nothing is switched off: both
ends flush. Beside it stands one fdatasync of this machine's disk.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import hosts
from bench.measure import Row, Timed, in_turns, row
from seawall.agent.identity import AgentIdentity
from seawall.bus.local import LocalBus
from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.controller.gateway import Gateway
from seawall.core.command import CommandState
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.engine.commands import CommandRequest, Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet
from seawall.engine.identifiers import correlation_ids
from seawall.engine.records import AgentRecord, JoinTokenRecord
from seawall.memory import settle
from seawall.storage.sqlite import SqliteStore
from seawall.writer import commit

AGENTS = 16
PROCESSES = 2
"""That the agents are spread over."""
IN_FLIGHT = 256
CONTAINERS = hosts.CONTAINERS
"""On each host, so that all that is in flight is under way: the changes of one container go one after the other."""
FLUSHES = 64
CONNECT_SECONDS = 20.0
LONGEST_ALONE_NS = 5e6
LONGEST_IN_A_CROWD_NS = 1e9 / 2_000
"""Two thousand a second."""
SEQUENTIAL, CONCURRENT = (
    "durable command, 1 in flight",
    f"durable command, {IN_FLIGHT} in flight, {AGENTS} agents",
)
FLUSH = "fdatasync of 4 KiB"


class Commits:
    """Counts the transactions that were flushed."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.count += 1
        commit(connection)


class Hosts:
    """The processes of the agents."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, homes: Path) -> None:
        """One more process, with an agent for each identity below the directory."""
        command = (sys.executable, "-m", "bench.hosts", str(homes))
        pipe = asyncio.subprocess.PIPE
        self._processes.append(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def commits(self) -> int:
        """How many transactions their ledgers have flushed."""
        count = 0
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"?\n")
            count += int(await process.stdout.readline())
        return count

    async def stop(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            await process.wait()


@asynccontextmanager
async def plane(directory: Path, commits: Commits) -> AsyncIterator[tuple[Commands, Hosts]]:
    """A controller without its API, and its agents."""
    clock = SystemClock()
    store = await SqliteStore.open(directory / "seawall.db", clock, commit=commits)
    guards: Guards[Slot] = Guards()

    def ignore(_: Event) -> None:
        """Events are on, as they are in a controller."""

    fleet = Fleet(guards, clock, ignore)
    driver = Driver(fleet, guards, clock, correlation_ids(clock), [ignore])
    bus = LocalBus()
    dispatcher = Dispatcher(driver, store, fleet, bus, clock)
    driver.journal = dispatcher
    commands = Commands(store, dispatcher, fleet, guards, clock, ignore)
    authority = CertificateAuthority.open(directory / "authority", clock.wall())
    controller_id, term = await store.controller_identity()
    gateway = Gateway(store, fleet, bus, clock, authority, controller_id, term)
    ready, stop = asyncio.Event(), asyncio.Event()
    dispatching = asyncio.create_task(dispatcher.run(ready, stop))
    await ready.wait()
    await gateway.start("127.0.0.1", 0, authority.server_context())
    homes = [directory / f"hosts-{number}" for number in range(PROCESSES)]
    agents = [
        await joined(
            number, homes[number % PROCESSES], store, fleet, gateway, authority, controller_id, clock
        )
        for number in range(AGENTS)
    ]
    there = Hosts()
    try:
        for each in homes:
            await there.start(each)
        for agent_id in agents:
            await fleet.connected(agent_id, clock.now() + CONNECT_SECONDS)
            assert fleet.is_connected(agent_id)
        settle()
        yield commands, there
    finally:
        await there.stop()
        await gateway.stop()
        stop.set()
        await dispatching
        await store.close()


async def joined(
    number: int,
    homes: Path,
    store: SqliteStore,
    fleet: Fleet,
    gateway: Gateway,
    authority: CertificateAuthority,
    controller_id: str,
    clock: SystemClock,
) -> str:
    """The id of a new agent, whose identity lies below `homes`."""
    key = Ed25519PrivateKey.generate()
    now, name = clock.wall(), f"agent-{number}"
    agent = AgentRecord(clock.new_id(), name, key.public_key().public_bytes_raw(), now)
    await store.add_join_token(JoinTokenRecord(clock.new_id(), name, now, now.replace(year=now.year + 1)))
    fleet.learn(await store.redeem(name, now, agent))
    url = f"https://127.0.0.1:{gateway.port}"
    identity = AgentIdentity(agent.agent_id, name, url, controller_id, {}, authority.ca_pem, key)
    identity.save(homes / name)
    return agent.agent_id


async def measure(rounds: int, times: int) -> list[Row]:
    """A row for a flush, one for a command alone, one for many at once, and two for the flushes per command."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        directory = Path(name)
        commits = Commits()
        async with plane(directory, commits) as (commands, there):
            flush, alone, crowd = flushes(directory), trips(commands, 1), trips(commands, IN_FLIGHT)
            one = await in_turns({FLUSH: flush, SEQUENTIAL: alone}, FLUSHES, rounds)
            many = await in_turns({CONCURRENT: crowd}, times, rounds)
            before, before_there = commits.count, await there.commits()
            await crowd(times)
            here = (commits.count - before) / times
            flushed_there = (await there.commits() - before_there) / times
    return [
        row(one, FLUSH),
        row(one, SEQUENTIAL, limit=LONGEST_ALONE_NS),
        Row(f"{SEQUENTIAL}, beside a flush", 0.0, "", row(one, SEQUENTIAL, beside=FLUSH).ratio, FLUSH),
        row(many, CONCURRENT, limit=LONGEST_IN_A_CROWD_NS),
        Row(f"flushes of the controller per 1,000 commands, {IN_FLIGHT} in flight", here * 1_000, ""),
        Row(f"flushes of the ledgers per 1,000 commands, {IN_FLIGHT} in flight", flushed_there * 1_000, ""),
    ]


def trips(commands: Commands, in_flight: int) -> Timed:
    """Restarts of a container, spread over the agents, with so many under way."""

    async def some(number: int, times: int) -> None:
        request = CommandRequest(
            "container_restart",
            f"agent-{number % AGENTS}",
            {"container": f"app-{number // AGENTS % CONTAINERS}"},
        )
        for _ in range(times):
            accepted = await commands.accept(request)
            record = await commands.wait(accepted.command_id, 60.0)
            assert record is not None
            assert record.state is CommandState.SUCCEEDED, record

    async def all_of_them(times: int) -> None:
        each = max(1, times // in_flight)
        await asyncio.gather(*(some(number, each) for number in range(in_flight)))

    return all_of_them


def flushes(directory: Path) -> Timed:
    """One small write after the other, each flushed."""

    async def write(times: int) -> None:
        descriptor = os.open(directory / "flushed", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for _ in range(times):
                os.pwrite(descriptor, b"x" * 4096, 0)
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    return write
