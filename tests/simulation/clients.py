"""Clients: what they ask for, drawn from dice, and how they go about it when answers stay away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from seawall.engine.commands import (
    CommandRequest,
    Commands,
    NotUnknown,
    UnknownAgent,
    UnknownCommand,
    fingerprint,
)
from seawall.engine.records import CommandRecord
from seawall.engine.store import IdempotencyConflict, StoreFailed, StoreFull
from tests.simulation.history import Answered, Asked, NotFound, Rare, StateShown
from tests.simulation.node import Node
from tests.simulation.plane import Controller, ControllerGone
from tests.simulation.witness import Witness

Answer = TypeVar("Answer")

_LOST_ANSWERS = 0.05
_TURNED_AWAY = (CommandErrorCode.CIRCUIT_OPEN.value, CommandErrorCode.BULKHEAD_FULL.value)
_LONGEST_WAIT_SECONDS = 15.0
_PATIENCE_SECONDS = 150.0


@dataclass(frozen=True)
class Plan:
    """One thing that a client wants. `cancel_after`, `repeat_after` and `misuse_after` are seconds, None for never."""

    at: float
    client: str
    request: CommandRequest
    cancel_after: float | None = None
    repeat_after: float | None = None
    misuse_after: float | None = None
    resolves: bool = False


def draw_plans(random: Random, agents: list[str], tag_ids: dict[str, str], seconds: float) -> list[Plan]:
    """What the clients of one world will want, in the order of time."""
    return sorted(
        (_plan(random, number, agents, tag_ids, seconds) for number in range(random.randint(20, 40))),
        key=lambda plan: plan.at,
    )


def _plan(random: Random, number: int, agents: list[str], tag_ids: dict[str, str], seconds: float) -> Plan:
    agent = random.choice(agents)
    operation, arguments = _wish(random, number, tag_ids[agent])
    key = f"key-{number}" if random.random() < 0.8 else None

    def sometimes(share: float, longest: float) -> float | None:
        return random.random() * longest if random.random() < share else None

    request = CommandRequest(
        operation,
        agent,
        arguments,
        timeout_seconds=random.choice((2.0, 5.0, 10.0, 30.0)),
        max_attempts=random.choice((1, 2, 3, 5)),
        deadline_seconds=random.choice((1.0, 5.0, 20.0, 60.0, 90.0)),
        queue=random.random() < 0.85,
        idempotency_key=key,
        requested_by=f"client-{number % 3}",
    )
    return Plan(
        random.random() * seconds,
        f"client-{number % 3}",
        request,
        cancel_after=sometimes(0.2, 5.0),
        repeat_after=sometimes(0.25, 60.0) if key is not None else None,
        misuse_after=sometimes(0.05, 30.0) if key is not None else None,
        resolves=random.random() < 0.3,
    )


def _wish(random: Random, number: int, tag_id: str) -> tuple[str, dict[str, object]]:
    container = random.choices(("web", "db", "mule", "nobody"), (5, 4, 3, 0.2))[0]
    verb = random.choices(
        ("start", "stop", "restart", "kill", "rename", "remove", "inspect", "list", "ping"),
        (4, 4, 8, 3, 2, 0.3, 1, 0.5, 0.5),
    )[0]
    target: dict[str, object] = {"container": container}
    match verb:
        case "stop" | "restart":
            return f"container_{verb}", target | {"grace_seconds": random.choice((0, 1, 3))}
        case "kill":
            return "container_kill", target | {"signal": random.choice(("SIGKILL", "SIGTERM", "SIGHUP"))}
        case "rename":
            # By its id: under changing names nobody could say whose turn it is.
            return "container_rename", {"container": tag_id, "name": f"tag-{number}"}
        case "remove":
            return "container_remove", target | {"force": random.random() < 0.7}
        case "list":
            return "container_list", {}
        case "ping":
            return "ping", {}
        case _:
            return f"container_{verb}", target


class Clients:
    """All of them: `run` follows the plans."""

    def __init__(
        self, node: Node, witness: Witness, random: Random, controller: Callable[[], Controller | None]
    ) -> None:
        self._node = node
        self._witness = witness
        self._random = random
        self._controller = controller
        self.open = 0
        """How many still want something."""

    def run(self, plans: list[Plan]) -> None:
        """Let each plan have a task of its own."""
        self.open = len(plans)
        for number, plan in enumerate(plans):
            self._node.spawn(self._follow(plan, f"{plan.client}/{number}"))

    def probe(self, agents: list[str]) -> None:
        """Ask each agent something harmless: a circuit that is half open waits for that."""
        for agent in agents:
            request = CommandRequest("container_list", agent, {}, 5.0, 1, 10.0, requested_by="prober")
            self._node.spawn(self._post("prober", f"prober {self._witness.order}", request))

    async def _follow(self, plan: Plan, reader: str) -> None:
        try:
            await asyncio.sleep(plan.at)
            command_id = await self._insist(plan, reader)
            if command_id is None:
                return
            if plan.cancel_after is not None:
                await asyncio.sleep(plan.cancel_after)
                await self._look(
                    reader, command_id, lambda commands: commands.cancel(command_id, plan.client)
                )
            if plan.misuse_after is not None:
                await asyncio.sleep(plan.misuse_after)
                await self._post(plan.client, reader, _another(plan.request))
            if plan.repeat_after is not None:
                await asyncio.sleep(plan.repeat_after)
                await self._post(plan.client, f"{reader} again", plan.request)
            state = await self._until_over(reader, command_id)
            if state is CommandState.UNKNOWN:
                await self._settle(plan, reader, command_id)
        finally:
            self.open -= 1

    async def _insist(self, plan: Plan, reader: str) -> str | None:
        """Post until there is an answer, which is safe with an idempotency key only."""
        for _ in range(8):
            command_id = await self._post(plan.client, reader, plan.request)
            if command_id is not None or plan.request.idempotency_key is None:
                return command_id
            await asyncio.sleep(0.5 + 3.0 * self._random.random())
        return None

    async def _post(self, client: str, reader: str, request: CommandRequest) -> str | None:
        witness, key = self._witness, request.idempotency_key or ""
        asked = fingerprint(request, request.agent)
        witness.tell(
            Asked,
            client=client,
            key=key,
            fingerprint=asked,
            operation=request.operation,
            agent=request.agent,
            container=str(request.arguments.get("container", "")),
        )

        async def accept(commands: Commands) -> tuple[str, CommandState, str | None]:
            record = await commands.accept(request)
            return record.command_id, record.state, record.error_code

        status, command_id, state = 202, "", None
        try:
            told = await self._ask(accept)
            if told is None:
                return None
            command_id, state, code = told
            if state is CommandState.REJECTED and code in _TURNED_AWAY:
                status, command_id, state = 503, "", None
        except IdempotencyConflict:
            status = 409
        except (StoreFailed, StoreFull):
            status = 503
            witness.reached(Rare.STOPPED_ACCEPTING)
        except UnknownAgent:
            status = 404
        witness.tell(
            Answered, client=client, key=key, fingerprint=asked, status=status, command_id=command_id
        )
        if state is not None:
            witness.tell(StateShown, reader=reader, command_id=command_id, state=state)
        return command_id or None

    async def _until_over(self, reader: str, command_id: str) -> CommandState | None:
        give_up_at = self._node.loop.time() + _PATIENCE_SECONDS
        while self._node.loop.time() < give_up_at:
            wait_seconds = self._random.random() * _LONGEST_WAIT_SECONDS
            state = await self._look(reader, command_id, _waiting(command_id, wait_seconds))
            if state is not None and state.final:
                return state
            await asyncio.sleep(0.2 + self._random.random())
        return None

    async def _settle(self, plan: Plan, reader: str, command_id: str) -> None:
        """An UNKNOWN: ask the host, and if that doesn't help, say what it was."""
        await asyncio.sleep(5.0 * self._random.random())
        state = await self._look(reader, command_id, lambda commands: commands.verify(command_id, 10.0))
        if state is CommandState.UNKNOWN and plan.resolves:
            await asyncio.sleep(20.0)
            await self._look(
                reader,
                command_id,
                lambda commands: commands.resolve(
                    command_id, CommandState.FAILED, plan.client, "looked at it"
                ),
            )

    async def _look(
        self, reader: str, command_id: str, request: Callable[[Commands], Awaitable[CommandRecord | None]]
    ) -> CommandState | None:
        async def look(commands: Commands) -> tuple[CommandState | None]:
            record = await request(commands)
            return (record.state if record is not None else None,)

        try:
            told = await self._ask(look)
        except NotUnknown:
            return None
        except UnknownCommand:
            told = (None,)
        except StoreFailed:
            return None
        if told is None:
            return None
        (state,) = told
        if state is None:
            self._witness.tell(NotFound, reader=reader, command_id=command_id)
        else:
            self._witness.tell(StateShown, reader=reader, command_id=command_id, state=state)
        return state

    async def _ask(self, request: Callable[[Commands], Awaitable[Answer]]) -> Answer | None:
        """The answer, or None if there is none: the controller died, or the answer was lost."""
        await asyncio.sleep(0.005 * self._random.random())
        controller = self._controller()
        try:
            answer = await controller.ask(request) if controller is not None else None
        except ControllerGone:
            return None
        # What is shown was true when it was said: the way back takes no time here.
        return None if self._random.random() < _LOST_ANSWERS else answer


def _waiting(command_id: str, seconds: float) -> Callable[[Commands], Awaitable[CommandRecord | None]]:
    return lambda commands: commands.wait(command_id, seconds)


def _another(request: CommandRequest) -> CommandRequest:
    """The same key for something else."""
    return CommandRequest(
        "ping", request.agent, {}, idempotency_key=request.idempotency_key, requested_by=request.requested_by
    )
