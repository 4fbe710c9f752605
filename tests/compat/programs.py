"""What old programs do around an executor: agents that answer a little later, and waiting for a command to be out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, MagicMock

if TYPE_CHECKING:
    from agent.command_executor import AgentCommandExecutor

Reply = dict[str, object]
DONE: Reply = {"success": True, "data": {"status": "running"}}


def answer(
    executor: AgentCommandExecutor,
    connections: MagicMock,
    reply: Reply | Callable[[dict[str, object]], Reply | None],
    delay: float = 0.01,
) -> list[dict[str, object]]:
    """Let the agents answer every command with this reply, after a delay; returns the list of what is sent."""
    sent: list[dict[str, object]] = []

    async def send(agent_id: str, command: dict[str, object]) -> bool:
        sent.append(command)
        content = reply(command) if callable(reply) else reply
        if content is not None:
            message = {"correlation_id": command["correlation_id"], **content}
            asyncio.get_running_loop().call_later(delay, executor.handle_agent_response, message)
        return True

    connections.send_command = AsyncMock(side_effect=send)
    return sent


async def under_way(executor: AgentCommandExecutor, commands: int = 1) -> None:
    """Return once this many commands await their reply."""
    for _ in range(1000):
        if executor.get_pending_command_count() == commands:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{executor.get_pending_command_count()} commands are pending, not {commands}")
