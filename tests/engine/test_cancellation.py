"""A command is cancelled at each of its awaits in turn, and nothing of it stays behind: for every n, at the n-th."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from itertools import count

import pytest

from seawall.core.breaker import CircuitState
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.command import Attempt, Command, CommandResult, Domain, Outcome, SafetyClass
from seawall.core.dispatch import Dispatch
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.guard import Guards
from seawall.core.retry import RetryPolicy
from seawall.engine.drive import Driver, Slot
from seawall.engine.executor import AgentCommandExecutor
from seawall.engine.identifiers import correlation_ids
from seawall.testing.clock import FakeClock

AGENT, NEIGHBOUR = "agent-1", "agent-2"
PATIENT = RetryPolicy(max_attempts=2, initial_delay=5.0, jitter=False)
NOT_SENT = Outcome(CommandErrorCode.NETWORK_ERROR, "not sent", circumstance=Circumstance.NOT_SENT)
MOST_AWAITS = 200


class CancelledAt:
    """Awaits a coroutine and cancels the task at its n-th suspension: while it waits, or `late`, in the very moment in
    which what it waits for has come."""

    def __init__(self, coroutine: Coroutine[object, None, object], suspension: int, *, late: bool) -> None:
        self.coroutine = coroutine
        self.suspension = suspension
        self.late = late
        self.reached = False

    def __await__(self) -> Generator[object, None, object]:
        step: Callable[[], object] = partial(self.coroutine.send, None)
        for suspension in count(1):
            try:
                waited = step()
            except StopIteration as end:
                return end.value
            if suspension == self.suspension:
                self.cancel(waited)
            try:
                yield waited
            except BaseException as error:  # noqa: BLE001 - whatever it is goes on to where it was awaited
                step = partial(self.coroutine.throw, error)
            else:
                step = partial(self.coroutine.send, None)
        raise AssertionError("unreachable")

    def cancel(self, waited: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.reached = True
        if not self.late:
            task.cancel()
        elif isinstance(waited, asyncio.Future):
            waited.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


class World:
    """An agent and its neighbour behind a link that takes its turns, a journal that takes them too, and one clock."""

    def __init__(self, limits: BulkheadLimits, plane: BulkheadLimits | None = None) -> None:
        self.clock = FakeClock()
        self.guards: Guards[Slot] = Guards(limits=limits, plane=plane)
        self.present = asyncio.Event()
        self.present.set()
        self.failing = 0
        self.under_way = 0
        self.held: dict[str, asyncio.Event] = {}
        self.driver = Driver(self, self.guards, self.clock, correlation_ids(self.clock), journal=self)

    def is_connected(self, agent_id: str) -> bool:
        return self.present.is_set()

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        self.under_way += 1
        try:
            await asyncio.sleep(0)
            if command.command_id in self.held:
                await self.held[command.command_id].wait()
            await self.clock.sleep_until(self.clock.now() + 1.0)
        finally:
            self.under_way -= 1
        if command.command_id == "cancelled" and self.failing:
            self.failing -= 1
            return NOT_SENT
        return Outcome()

    async def connected(self, agent_id: str, until: float) -> None:
        await self.present.wait()

    def prepared(self, command: Command) -> str | None:
        return None

    async def attempt_started(self, command: Command, attempt: Attempt) -> None:
        await asyncio.sleep(0)

    def attempt_finished(self, command: Command, attempt: Attempt, outcome: Outcome) -> None:
        pass

    async def waiting(self, command: Command) -> None:
        await asyncio.sleep(0)

    def command(self, name: str, agent_id: str = AGENT) -> Coroutine[object, None, object]:
        command = Command(
            name,
            "container_list",
            agent_id,
            {},
            SafetyClass.SAFE_READ,
            touches_docker=True,
            deadline=self.clock.now() + 1000.0,
            waits_for_agent=True,
        )
        return self.driver.drive(Dispatch(command, PATIENT))

    def hold(self, name: str, agent_id: str = AGENT) -> asyncio.Task[object]:
        """A command that keeps its slot until it is released."""
        self.held[name] = asyncio.Event()
        return asyncio.create_task(self.command(name, agent_id))

    def nothing_stays_behind(self) -> None:
        bulkheads = [guard.bulkhead for guard in self.guards]
        bulkheads += [self.guards.plane] if self.guards.plane is not None else []
        assert [(each.in_flight, each.in_bulk, each.waiting) for each in bulkheads] == [(0, 0, 0)] * len(
            bulkheads
        )
        for guard in self.guards:
            for _, breaker in guard.breakers:
                assert breaker.state is not CircuitState.HALF_OPEN or breaker.admits_at == 0.0, (
                    "a probe leaked"
                )
        assert self.under_way == 0
        assert self.clock.timers == []


async def scene_a_slot_of_the_agent(world: World) -> list[asyncio.Task[object]]:
    return [world.hold("first")]


async def scene_a_slot_of_the_plane(world: World) -> list[asyncio.Task[object]]:
    return [world.hold("first", NEIGHBOUR)]


async def scene_a_retry(world: World) -> list[asyncio.Task[object]]:
    world.failing = 1
    return []


async def scene_an_absent_agent(world: World) -> list[asyncio.Task[object]]:
    world.present.clear()
    return []


async def scene_a_probe(world: World) -> list[asyncio.Task[object]]:
    guard = world.guards.of(AGENT)
    for domain in (Domain.AGENT, Domain.DOCKER):
        guard.breaker(domain).put(CircuitState.HALF_OPEN, world.clock.now())
    return []


WIDE = BulkheadLimits(4, 4)
ONE = BulkheadLimits(1, 4)
SCENES = {
    "a slot of the agent": (scene_a_slot_of_the_agent, ONE, None, 4),
    "a slot of the plane": (scene_a_slot_of_the_plane, WIDE, ONE, 4),
    "a retry": (scene_a_retry, WIDE, WIDE, 8),
    "an absent agent": (scene_an_absent_agent, WIDE, None, 5),
    "a probe": (scene_a_probe, WIDE, None, 3),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as it is woken"])
@pytest.mark.parametrize("scene", SCENES)
async def test_a_cancellation_at_any_await_of_a_command_leaves_nothing_behind(scene: str, late: bool) -> None:
    set_up, limits, plane, awaits = SCENES[scene]
    for suspension in range(1, MOST_AWAITS):
        world = World(limits, plane)
        others = await set_up(world)
        await world.clock.settle()
        cancelled = CancelledAt(world.command("cancelled"), suspension, late=late)
        running = asyncio.ensure_future(awaited(cancelled))
        behind = asyncio.create_task(world.command("behind")) if others else None
        await world.clock.advance(3.0)
        world.present.set()
        for event in world.held.values():
            event.set()
        await world.clock.advance(30.0)
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError) == cancelled.reached, (
            f"at await {suspension}: {ended}"
        )
        for other in [*others, behind] if behind is not None else others:
            result = await other
            assert isinstance(result, CommandResult)
            assert result.success
        world.nothing_stays_behind()
        if not cancelled.reached:
            assert suspension == awaits + 1, "the scene isn't the one that was meant"
            return
    pytest.fail("it never ends")


async def awaited(cancelled: CancelledAt) -> object:
    return await cancelled


class Program:
    """A program's connections that take their turns; what is sent is answered a second later."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.executor = AgentCommandExecutor(self, clock=self.clock, subscribers=[])
        self.refusing = 1

    def is_connected(self, agent_id: str) -> bool:
        return True

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        await asyncio.sleep(0)
        if self.refusing:
            self.refusing -= 1
            return False
        reply = {"correlation_id": command["correlation_id"], "success": True}
        self.clock.call_at(self.clock.now() + 1.0, lambda: self.executor.handle_agent_response(reply))
        await asyncio.sleep(0)
        return True


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as it is woken"])
async def test_a_cancellation_at_any_await_of_an_embedded_command_leaves_no_pending_entry(late: bool) -> None:
    for suspension in range(1, MOST_AWAITS):
        program = Program()
        command = {"type": "container_list"}
        executed = program.executor.execute_command(AGENT, command, 30.0, PATIENT)
        cancelled = CancelledAt(executed, suspension, late=late)
        running = asyncio.ensure_future(awaited(cancelled))
        await program.clock.advance(30.0)
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError) == cancelled.reached, (
            f"at await {suspension}: {ended}"
        )
        assert program.executor.get_pending_command_count() == 0
        for guard in program.executor._guards:
            assert (guard.bulkhead.in_flight, guard.bulkhead.waiting) == (0, 0)
        if not cancelled.reached:
            assert suspension > 4
            return
    pytest.fail("it never ends")
