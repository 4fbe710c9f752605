"""A simulated host works, queues, remembers and breaks as a real one does."""

from __future__ import annotations

from seawall.core.command import Command, Outcome, SafetyClass
from seawall.simulator.host import RECORDED, SUCCEEDED, Delivery, Host, HostModel
from seawall.simulator.timeline import Timeline


class Stand:
    """A host, and what it answered when."""

    def __init__(self, workers: int = 1) -> None:
        self.timeline = Timeline()
        self.answers: list[tuple[float, int, Outcome]] = []
        model = HostModel(workers=workers, service="fixed", service_seconds=1.0)
        self.host = Host("web", model, self.timeline, lambda: 0.5)
        self.host.answer = lambda delivery, outcome: self.answers.append(
            (self.timeline.now, delivery.token, outcome)
        )
        self.tokens = 0

    def send(self, command: Command) -> None:
        self.tokens += 1
        self.host.receive(Delivery(command, self.tokens, 1))


READ = Command("r", "container_list", "web", {}, SafetyClass.SAFE_READ)
CHANGE = Command("c", "container_restart", "web", {}, SafetyClass.VERIFIABLE, sequence=1)
FORGETFUL = Command("c", "container_restart", "web", {}, SafetyClass.VERIFIABLE)


def test_workers_take_commands_in_the_order_of_their_arrival() -> None:
    stand = Stand(workers=2)
    for _ in range(5):
        stand.send(READ)
    assert stand.host.load == 5
    stand.timeline.run(10.0)
    assert [(at, token) for at, token, _ in stand.answers] == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]


def test_a_read_that_is_sent_again_is_work_again() -> None:
    stand = Stand()
    stand.send(READ)
    stand.send(READ)
    stand.timeline.run(10.0)
    assert [at for at, _, _ in stand.answers] == [1.0, 2.0]


def test_a_change_that_is_sent_again_joins_and_later_gets_the_recorded_answer() -> None:
    stand = Stand()
    stand.send(CHANGE)
    stand.send(CHANGE)
    stand.timeline.run(5.0)
    stand.send(CHANGE)
    assert stand.answers == [(1.0, 2, RECORDED), (5.0, 3, RECORDED)]
    assert stand.host.repeated_effects == 0


def test_a_change_that_no_ledger_knows_has_its_effect_again() -> None:
    stand = Stand()
    stand.send(FORGETFUL)
    stand.send(FORGETFUL)
    stand.timeline.run(5.0)
    assert stand.host.repeated_effects == 1


def test_a_frozen_host_answers_when_it_thaws() -> None:
    stand = Stand()
    stand.send(READ)
    stand.host.trouble.frozen = True
    stand.send(READ)
    stand.timeline.run(10.0)
    assert stand.answers == []
    stand.host.thaw()
    stand.timeline.run(20.0)
    assert [(at, outcome) for at, _, outcome in stand.answers] == [(10.0, SUCCEEDED), (11.0, SUCCEEDED)]


def test_a_host_that_dies_answers_nothing_of_what_it_did() -> None:
    stand = Stand()
    stand.send(READ)
    stand.host.die()
    stand.timeline.run(10.0)
    assert stand.answers == []
    assert stand.host.load == 0


def test_a_crash_after_the_effect_loses_the_answer_and_not_the_effect() -> None:
    stand = Stand()
    stand.host.crashes_after_effect = 1
    stand.host.on_crash = stand.host.die
    stand.send(CHANGE)
    stand.timeline.run(5.0)
    stand.send(CHANGE)
    assert stand.answers == [(5.0, 2, RECORDED)]
    assert stand.host.repeated_effects == 0
