"""Many agents with a fake Docker in one process, each with its own link and a ledger in memory.

`python -m bench.crowd DIRECTORY`: one agent for each identity below the directory, until the end of standard input.
They come in a row, as the hosts of a data centre that are switched on one after the other.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from pathlib import Path

import uvloop

from seawall.agent.identity import AgentIdentity
from seawall.agent.link import AgentLink
from seawall.agent.session import HostFacts
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.memory import settle
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.ledger import MemoryDisk

CONTAINER = "app"
_A_SECOND = 120
"""How many come."""


async def agent(home: Path, clock: SystemClock) -> None:
    identity = AgentIdentity.load(home)

    async def describe() -> HostFacts:
        return HostFacts("1.0", simulated=True)

    link = AgentLink(identity, clock, describe)
    ledger = MemoryDisk().ledger(identity.agent_id, clock)
    worker = Worker(
        FakeDocker(clock, [FakeContainer(CONTAINER)]), clock, link.send, ledger=ledger, version="1.0"
    )
    try:
        await link.run(worker)
    finally:
        await worker.close()


async def serve(homes: list[Path]) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), over.set)
    clock, agents = SystemClock(), list[asyncio.Task[None]]()
    for home in homes:
        agents.append(asyncio.create_task(agent(home, clock)))
        await asyncio.sleep(1 / _A_SECOND)
    settle()
    gc.disable()  # an agent of its own has a small heap; a look at thousands of them would be this bench's doing
    await over.wait()
    loop.remove_reader(sys.stdin.fileno())
    for each in agents:
        each.cancel()
    await asyncio.wait(agents)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvloop.run(serve(sorted(Path(sys.argv[1]).iterdir())))
