"""Asks agents what became of commands that are UNKNOWN, until their ledgers have told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from seawall.clock import Clock
from seawall.core.command import Attempt, Command, Outcome, Source
from seawall.core.retry import RetryPolicy, back_off
from seawall.engine.fleet import Fleet
from seawall.engine.records import CommandRecord
from seawall.engine.store import CommandStore

ANSWER_SECONDS = 10.0
"""How long an agent may take to answer a question."""

_AT_ONCE = 8
_BACK_OFF = RetryPolicy(initial_delay=1.0, max_delay=60.0)
_FIRST_NUMBER = (
    1_000  # above every attempt's, so that no answer to an earlier attempt passes for one to a question
)

Settle = Callable[[CommandRecord, Outcome], Awaitable[None]]
"""Writes down what an UNKNOWN command turned out to be."""


class Reconciler:
    """The unsettled UNKNOWN commands of each agent, and one task for each agent that is asked about some."""

    def __init__(self, store: CommandStore, fleet: Fleet, clock: Clock, settle: Settle) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._settle = settle
        self._unknown: dict[str, dict[str, None]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._numbers = count(_FIRST_NUMBER)
        self.tasks: asyncio.TaskGroup | None = None
        """Where it works; None before the start and after the end."""

    def __len__(self) -> int:
        return sum(len(commands) for commands in self._unknown.values())

    def count(self, agent_id: str) -> int:
        """How many outcomes of this agent aren't known."""
        return len(self._unknown.get(agent_id, ()))

    @property
    def asking(self) -> list[asyncio.Task[None]]:
        """What asks now."""
        return list(self._asking.values())

    def add(self, agent_id: str, command_id: str) -> None:
        """The outcome of this command isn't known; its agent is asked as soon as it is there."""
        self._unknown.setdefault(agent_id, {})[command_id] = None
        if agent_id not in self._asking:
            self._begin(agent_id)

    def remove(self, agent_id: str, command_id: str) -> None:
        """The command is settled."""
        commands = self._unknown.get(agent_id)
        if commands is not None:
            commands.pop(command_id, None)
            if not commands:
                del self._unknown[agent_id]

    def agent_connected(self, agent_id: str) -> None:
        """The agent is there: ask at once."""
        asking = self._asking.pop(agent_id, None)
        if asking is not None:
            asking.cancel()
        self._begin(agent_id)

    async def ask(self, command_id: str) -> bool:
        """Ask about one command now. Whether it is settled after that."""
        record = await self._store.command(command_id)
        if record is None or record.settled:
            return True
        session = self._fleet.session(record.agent_id)
        if session is None or not record.sequence:
            return False
        number = next(self._numbers)
        attempt = Attempt(number, f"{command_id}.{number}", ANSWER_SECONDS, asks=True)
        command = Command(
            command_id, record.operation, record.agent_id, record.arguments, sequence=record.sequence
        )
        outcome = await session.exchange(command, attempt)
        if outcome.source is not Source.LEDGER:
            return False
        await self._settle(record, outcome)
        return True

    def _begin(self, agent_id: str) -> None:
        here = self._fleet.session(agent_id) is not None
        if self.tasks is not None and here and agent_id in self._unknown:
            self._asking[agent_id] = self.tasks.create_task(self._ask_all(agent_id), name=f"ask {agent_id}")

    async def _ask_all(self, agent_id: str) -> None:
        vain = 0
        try:
            while (commands := self._unknown.get(agent_id)) and self._fleet.session(agent_id) is not None:
                asked = list(commands)[:_AT_ONCE]
                async with asyncio.TaskGroup() as group:
                    answers = [group.create_task(self.ask(command_id)) for command_id in asked]
                for command_id, answer in zip(asked, answers, strict=True):
                    if answer.result():
                        self.remove(agent_id, command_id)
                    elif command_id in commands:
                        commands[command_id] = commands.pop(command_id)  # the others are asked about first
                vain = 0 if any(answer.result() for answer in answers) else vain + 1
                if vain:
                    await self._clock.sleep_until(
                        self._clock.now() + back_off(_BACK_OFF, vain, self._clock.dice)
                    )
        finally:
            if self._asking.get(agent_id) is asyncio.current_task():
                del self._asking[agent_id]
