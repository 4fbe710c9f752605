"""Agents with a fake Docker, each with a ledger on the disk, in a process of their own as they are in life.

`python -m bench.hosts DIRECTORY`: one agent for each identity below the directory, until the end of standard input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from seawall.agent.app import run_agent
from seawall.agent.identity import AgentIdentity
from seawall.clock import SystemClock
from seawall.testing.docker import FakeDocker


async def serve(directory: Path) -> None:
    clock, stop = SystemClock(), asyncio.Event()
    agents = [
        asyncio.create_task(
            run_agent(AgentIdentity.load(home), home, FakeDocker(clock), clock, simulated=True, stop=stop)
        )
        for home in sorted(directory.iterdir())
    ]
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.read1() or stop.set())
    await asyncio.wait(agents)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
