"""Agents with a fake Docker, each with a ledger on the disk, in a process that isn't the controller's, as in life.

`python -m bench.hosts DIRECTORY`: one agent for each identity below the directory, until the end of standard input.
Each line of input is answered with the number of transactions that the ledgers have flushed so far.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import uvloop

from seawall.agent.identity import AgentIdentity
from seawall.agent.ledger import LEDGER_FILE, Ledger
from seawall.agent.link import AgentLink
from seawall.agent.session import HostFacts
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.memory import settle
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.writer import commit

CONTAINERS = 16


class Commits:
    """Counts the transactions that were flushed, by whichever ledger's thread."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, connection: sqlite3.Connection) -> None:
        commit(connection)
        self.count += 1


async def agent(home: Path, clock: SystemClock, commits: Commits) -> None:
    identity = AgentIdentity.load(home)
    ledger = await Ledger.open(home / LEDGER_FILE, identity.agent_id, clock, commit=commits)

    async def describe() -> HostFacts:
        return HostFacts("1.0", simulated=True)

    containers = [FakeContainer(f"app-{number}") for number in range(CONTAINERS)]
    link = AgentLink(identity, clock, describe)
    worker = Worker(FakeDocker(clock, containers), clock, link.send, ledger=ledger, version="1.0")
    try:
        await link.run(worker)
    finally:
        await worker.close()
        await ledger.close()


async def serve(homes: list[Path]) -> None:
    loop = asyncio.get_running_loop()
    clock, commits, stop = SystemClock(), Commits(), asyncio.Event()

    def answer() -> None:
        asked = os.read(sys.stdin.fileno(), 4096)
        if not asked:
            loop.remove_reader(sys.stdin.fileno())
            stop.set()
        else:
            print(commits.count, flush=True)

    loop.add_reader(sys.stdin.fileno(), answer)
    settle()
    agents = [asyncio.create_task(agent(home, clock, commits)) for home in homes]
    await stop.wait()
    for each in agents:
        each.cancel()
    await asyncio.wait(agents)


if __name__ == "__main__":
    uvloop.run(serve(sorted(Path(sys.argv[1]).iterdir())))
