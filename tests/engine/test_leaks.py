"""After very many commands, some of them cancelled, nothing is left: no entry, no permit, no memory (gate A8)."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import tracemalloc

import pytest

from seawall.engine.executor import AgentCommandExecutor
from tests.chaos.figures import record

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(7_200)]

COMMANDS = int(os.environ.get("SEAWALL_LEAK_COMMANDS", "20000"))
AT_ONCE = 100
AGENTS = 10
CANCELLED_SHARE = 0.05
MOST_GROWTH_BYTES = 64 * 1024


class Agents:
    """Answers at the next turn of the loop, one in fifty with an error; those to be cancelled wait for ever."""

    def __init__(self) -> None:
        self.executor = AgentCommandExecutor(self, subscribers=[])

    def is_connected(self, agent_id: str) -> bool:
        return True

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        if command["fate"] != "cancelled":
            answer = {"correlation_id": command["correlation_id"], "success": command["fate"] == "done"}
            asyncio.get_running_loop().call_soon(self.executor.handle_agent_response, answer)
        return True


async def carry(agents: Agents, dice: random.Random, commands: int) -> int:
    """Have so many commands carried; how many of them were cancelled."""
    cancelled = 0
    for _ in range(commands // AT_ONCE):
        running = []
        for number in range(AT_ONCE):
            drawn = dice.random()
            fate = "cancelled" if drawn < CANCELLED_SHARE else "failed" if drawn < 0.07 else "done"
            work = agents.executor.execute_command(f"agent-{number % AGENTS}", {"type": "ping", "fate": fate})
            running.append((fate, asyncio.ensure_future(work)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for fate, task in running:
            if fate == "cancelled":
                task.cancel()
                cancelled += 1
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
    return cancelled


async def test_gate_a8_nothing_is_left_of_very_many_commands_some_of_them_cancelled() -> None:
    seed = random.randrange(1 << 32)
    agents, dice = Agents(), random.Random(seed)
    tracemalloc.start()
    try:
        await carry(agents, dice, 2_000)  # what is there once for all, and the last hundred of them
        await asyncio.sleep(0)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        cancelled = await carry(agents, dice, COMMANDS)
        await asyncio.sleep(0)
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    record("commands carried without a leak (A8)", COMMANDS, int(growth >= MOST_GROWTH_BYTES), "commands")
    assert cancelled > 0.9 * CANCELLED_SHARE * COMMANDS - 100
    assert agents.executor.get_pending_command_count() == 0
    guards = agents.executor._guards
    assert sum(guard.bulkhead.in_flight for guard in guards) == 0, "every slot is back"
    assert guards.plane is None or guards.plane.in_flight == 0
    assert growth < MOST_GROWTH_BYTES, f"{growth} bytes more than before (seed {seed})"
