"""The simulated plane and the engine's own loop do the same with the same commands, answers and dice."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest

from seawall.core.command import Attempt, Command, Outcome, SafetyClass, Source
from seawall.core.dispatch import Dispatch
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.core.guard import Guards
from seawall.core.retry_gate import RetryGate
from seawall.engine.drive import Driver, Slot
from seawall.simulator.contenders import CONTENDERS
from seawall.simulator.host import Delivery, Host, HostModel
from seawall.simulator.link import Link
from seawall.simulator.plane import Order, Plane
from seawall.simulator.tally import Tally
from seawall.simulator.timeline import Timeline
from seawall.testing.clock import FakeClock

CONTENDER = CONTENDERS["production"]
SECONDS, TIMEOUT, DEADLINE = 240.0, 2.0, 12.0

Script = dict[tuple[str, int], tuple[float, Outcome | None]]
Story = list[tuple[str, CommandErrorCode | None, int, float]]
Circuits = list[tuple[float, str, str]]


ILLS: dict[str, list[Outcome | None]] = {
    "mixed": [
        None,
        Outcome(CommandErrorCode.NETWORK_ERROR, circumstance=Circumstance.NOT_SENT),
        Outcome(CommandErrorCode.UNKNOWN_ERROR),
        Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.DOCKER_UNREACHABLE),
    ],
    "silent": [None],
}


def dice() -> float:
    return 0.5


def script(kind: str, seed: int) -> tuple[list[float], Script]:
    """When commands come, and how each attempt of them goes: it changes with time from well to ill and back."""
    chance = random.Random(seed)
    moments = sorted(chance.uniform(0, SECONDS) for _ in range(600))
    answers: Script = {}
    for number, moment in enumerate(moments, start=1):
        ill = 0.9 if 60 < moment < 150 else 0.1
        for attempt in range(1, 8):
            seconds = chance.expovariate(1 / 0.8)
            outcome: Outcome | None = Outcome(source=Source.AGENT)
            if chance.random() < ill:
                outcome = chance.choice(ILLS[kind])
            answers[str(number), attempt] = (seconds, outcome)
    return moments, answers


class ScriptedHost(Host):
    """Answers by the script."""

    def __init__(self, answers: Script, timeline: Timeline) -> None:
        super().__init__("web", HostModel(latency_seconds=0.0), timeline, dice)
        self._answers = answers
        self._attempts: dict[str, int] = {}

    def receive(self, delivery: Delivery) -> None:
        name = delivery.command.command_id
        self._attempts[name] = self._attempts.get(name, 0) + 1
        seconds, outcome = self._answers[name, self._attempts[name]]
        if outcome is not None:
            self.timeline.after(seconds, partial(self.answer, delivery, outcome))


def simulated(kind: str, seed: int) -> tuple[Story, Circuits]:
    moments, answers = script(kind, seed)
    timeline, tally = Timeline(), Tally()
    plane = Plane(CONTENDER, timeline, dice, tally)
    link = Link(ScriptedHost(answers, timeline), plane, timeline, watched=False)
    for moment in moments:
        timeline.at(moment, partial(plane.submit, link, Order(TIMEOUT, DEADLINE)))
    timeline.run(SECONDS + 60)
    story: Story = []
    for number, life in enumerate(tally.lives, start=1):
        assert life.result is not None
        result = life.result
        story.append((str(number), result.error_code, result.total_attempts, round(life.ended_at, 6)))
    return story, shown(tally.circuits)


class ScriptedLink:
    """`engine.ports.Link` by the script."""

    def __init__(self, answers: Script, clock: FakeClock) -> None:
        self._answers = answers
        self._clock = clock
        self._attempts: dict[str, int] = {}
        self._heard = 0

    def is_connected(self, agent_id: str) -> bool:
        return True

    async def connected(self, agent_id: str, until: float) -> None:
        raise AssertionError("it is always connected")

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        name = command.command_id
        self._attempts[name] = self._attempts.get(name, 0) + 1
        seconds, outcome = self._answers[name, self._attempts[name]]
        before, now = self._heard, self._clock.now()
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            self._heard += 1
            if not answered.done() and outcome is not None:
                answered.set_result(outcome)

        def give_up() -> None:
            if not answered.done():
                when = Circumstance.HEARD if self._heard != before else Circumstance.SILENT
                answered.set_result(Outcome(CommandErrorCode.TIMEOUT, circumstance=when))

        if outcome is not None:
            self._clock.call_at(now + seconds, arrive)
        self._clock.call_at(now + attempt.timeout_seconds, give_up)
        return await answered


async def driven(kind: str, seed: int) -> tuple[Story, Circuits]:
    moments, answers = script(kind, seed)
    clock = FakeClock(0.0, dice=dice)
    policy = CONTENDER.policy
    guards: Guards[Slot] = Guards(policy.breaker, policy.bulkhead)
    gate = RetryGate(policy.budget)
    changes: list[CircuitChanged] = []
    story: Story = []

    def note(event: object) -> None:
        if isinstance(event, CircuitChanged):
            changes.append(event)

    driver = Driver(ScriptedLink(answers, clock), guards, clock, lambda: "c", [note])

    async def carry(number: int, moment: float) -> None:
        await clock.sleep_until(moment)
        command = Command(
            str(number),
            "container_list",
            "web",
            {},
            SafetyClass.SAFE_READ,
            touches_docker=True,
            timeout_seconds=TIMEOUT,
            deadline=moment + DEADLINE,
            waits_for_agent=True,
        )
        result = await driver.drive(Dispatch(command, policy.retry, gate=gate))
        story.append((str(number), result.error_code, result.total_attempts, round(clock.now(), 6)))

    async with asyncio.TaskGroup() as tasks:
        for number, moment in enumerate(moments, start=1):
            tasks.create_task(carry(number, moment))
        await clock.advance(SECONDS + 60)
    return sorted(story, key=lambda each: int(each[0])), shown(changes)


def shown(changes: list[CircuitChanged]) -> Circuits:
    return [(round(change.at, 6), change.domain.value, change.target.value) for change in changes]


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "seed"), [("mixed", 1), ("mixed", 2), ("silent", 3)])
async def test_they_tell_the_same_story(kind: str, seed: int) -> None:
    story, circuits = simulated(kind, seed)
    assert len({code for _, code, _, _ in story}) >= (5 if kind == "mixed" else 4)
    assert len(circuits) >= 3
    assert await driven(kind, seed) == (story, circuits)
