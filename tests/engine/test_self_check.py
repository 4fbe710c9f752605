"""When many hosts fail at once, no circuit opens until it is over, and it is told once."""

from __future__ import annotations

import pytest

from seawall.core.command import Attempt, Command, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import AttemptFinished, Event, MassFailureChanged
from seawall.core.guard import Guards
from seawall.engine.drive import Slot
from seawall.engine.self_check import SelfCheck
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio


class Plane:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.guards: Guards[Slot] = Guards()
        self.told: list[Event] = []
        self.check = SelfCheck(self.guards, self.clock, self.told.append)

    def ended(self, agent_id: str, outcome: Outcome) -> None:
        attempt = Attempt(1, "x", 1.0)
        command = Command("c", "ping", agent_id, {})
        self.check.observe(AttemptFinished(self.clock.now(), command, attempt, outcome, 1.0))

    def fail(self, hosts: int, circumstance: Circumstance = Circumstance.SILENT) -> None:
        for number in range(hosts):
            self.ended(f"a{number}", Outcome(CommandErrorCode.TIMEOUT, circumstance=circumstance))

    def changes(self) -> list[bool]:
        return [event.began for event in self.told if isinstance(event, MassFailureChanged)]


async def test_a_mass_failure_freezes_the_circuits_and_is_told_once() -> None:
    plane = Plane()
    plane.fail(20)
    assert plane.changes() == [True]
    assert "failed at once" in plane.guards.frozen


async def test_it_thaws_by_itself_when_nothing_fails_any_more() -> None:
    plane = Plane()
    plane.fail(20)
    await plane.clock.advance(60.0)
    assert plane.changes() == [True, False]
    assert plane.guards.frozen == ""
    assert plane.clock.timers == []


async def test_what_tells_a_circuit_nothing_tells_the_suspicion_nothing() -> None:
    plane = Plane()
    plane.fail(20, Circumstance.HEARD)
    assert plane.changes() == []
