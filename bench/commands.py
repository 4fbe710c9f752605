"""One in-memory `execute_command` beside the bare round trip of a future, on uvloop."""

from __future__ import annotations

import asyncio
from typing import get_args

from bench.measure import Row, Timed, in_turns, row
from seawall import DEFAULT_RETRY_POLICY, AgentCommandExecutor
from seawall.core.events import CommandFinished, Event

AGENT = "agent-1"
COMMAND = {"type": "container_start", "container_id": "abc123"}
IN_FLIGHT = 64


class Counts:
    """A metrics subscriber as plain as they come: integers, to be collected at scrape time."""

    def __init__(self) -> None:
        self.events = dict.fromkeys(get_args(Event), 0)
        self.seconds = 0.0

    def __call__(self, event: Event) -> None:
        self.events[type(event)] += 1
        if type(event) is CommandFinished:
            self.seconds += event.result.duration_seconds


class Loopback:
    """A connection manager whose agents answer at the next turn of the loop."""

    def __init__(self) -> None:
        self.executor = AgentCommandExecutor(self, subscribers=[Counts()])
        self.loop = asyncio.get_running_loop()

    def is_connected(self, agent_id: str) -> bool:
        return True

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        reply = {"correlation_id": command["correlation_id"], "success": True, "data": None}
        self.loop.call_soon(self.executor.handle_agent_response, reply)
        return True


async def round_trip(loop: asyncio.AbstractEventLoop) -> None:
    future: asyncio.Future[None] = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


async def bare(times: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(times):
        await round_trip(loop)


def executing(executor: AgentCommandExecutor) -> Timed:
    async def execute(times: int) -> None:
        for _ in range(times):
            result = await executor.execute_command(AGENT, COMMAND, 30.0, DEFAULT_RETRY_POLICY)
            assert result.success

    return execute


def in_flight(one_after_another: Timed) -> Timed:
    async def together(times: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(one_after_another(times // IN_FLIGHT))  # type: ignore[arg-type]  # coroutines all

    return together


async def commands(times: int, rounds: int) -> list[Row]:
    healthy, watched = Loopback().executor, Loopback().executor
    # A failure in the window: from now on a breaker watches this agent, as it does a host that has had trouble.
    watched.get_circuit_breaker(AGENT).failure_window_seconds = 3600
    watched.get_circuit_breaker(AGENT).record_failure()
    one, together = "bare future round trip", f"bare future round trip, {IN_FLIGHT} in flight"
    samples = await in_turns(
        {
            one: bare,
            "execute_command": executing(healthy),
            "execute_command, agent with a breaker": executing(watched),
            together: in_flight(bare),
            f"execute_command, {IN_FLIGHT} in flight": in_flight(executing(healthy)),
        },
        times,
        rounds,
    )
    return [
        row(samples, one),
        row(samples, "execute_command", beside=one, limit=6),
        row(samples, "execute_command, agent with a breaker", beside=one),
        row(samples, together),
        row(samples, f"execute_command, {IN_FLIGHT} in flight", beside=one, limit=6),
    ]
