"""What an earlier start left open for agents that aren't here: kept in as little room as waiting needs.

A hundred thousand commands may be open when a controller starts. Nothing is concluded about an agent that hasn't come
back yet: its commands wait for it, or for their deadline. Those that it may have had wait through the warm-up as well,
because it is about to come and tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop

from seawall.clock import Clock, Timer
from seawall.engine.records import CommandRecord, Unsettled

WARM_UP_SECONDS = 30.0
"""How long after its start a controller gives agents to come back before it calls an outcome unknown."""


class Backlog:
    """Commands that nothing drives yet. `wake` is called with those whose time has come, at most once for each."""

    def __init__(self, clock: Clock, wake: Callable[[list[str]], object]) -> None:
        self._clock = clock
        self._wake = wake
        self._waiting: dict[str, dict[str, None]] = {}
        self._due: list[tuple[float, str, str]] = []
        self._timer: Timer | None = None
        self._results: dict[str, asyncio.Future[CommandRecord]] = {}

    def __len__(self) -> int:
        return sum(len(commands) for commands in self._waiting.values())

    def fill(self, commands: list[Unsettled]) -> None:
        """Take in what was found at the start. Once, before anything else."""
        now = self._clock.now()
        offset = now - self._clock.wall().timestamp()
        for command in commands:
            self._waiting.setdefault(command.agent_id, {})[command.command_id] = None
            due = command.deadline_at.timestamp() + offset
            if command.sent:
                due = max(due, now + WARM_UP_SECONDS)
            self._due.append((due, command.agent_id, command.command_id))
        heapify(self._due)
        self._arm()

    def waiting(self, agent_id: str) -> int:
        """How many wait for this agent."""
        return len(self._waiting.get(agent_id, ()))

    def holds(self, agent_id: str, command_id: str) -> bool:
        """Whether this command waits here."""
        return command_id in self._waiting.get(agent_id, ())

    def take(self, agent_id: str) -> bool:
        """The agent is here, and all that waited for it is the caller's. False if nothing did."""
        return self._waiting.pop(agent_id, None) is not None

    def remove(self, agent_id: str, command_id: str) -> bool:
        """This one is the caller's. False if it doesn't wait here."""
        commands = self._waiting.get(agent_id)
        if commands is None or command_id not in commands:
            return False
        del commands[command_id]
        if not commands:
            del self._waiting[agent_id]
        return True

    def result(self, command_id: str) -> asyncio.Future[CommandRecord]:
        """What becomes of a command that nothing drives yet, for whoever waits for it."""
        result = self._results.get(command_id)
        if result is None:
            result = self._results[command_id] = asyncio.get_running_loop().create_future()
        return result

    def hand_over(self, command_id: str) -> asyncio.Future[CommandRecord]:
        """The same, for whoever is going to bring it about."""
        result = self._results.pop(command_id, None)
        return result if result is not None else asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Wake nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        for result in self._results.values():
            result.cancel()

    def _arm(self) -> None:
        if self._due:
            self._timer = self._clock.call_at(self._due[0][0], self._look)

    def _look(self) -> None:
        now, woken = self._clock.now(), []
        while self._due and self._due[0][0] <= now:
            _, agent_id, command_id = heappop(self._due)
            if self.remove(agent_id, command_id):
                woken.append(command_id)
        self._arm()
        if woken:
            self._wake(woken)
