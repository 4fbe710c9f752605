"""A simulated link keeps the habits of the real one."""

from __future__ import annotations

import pytest

from seawall.agent import link as agent_link
from seawall.agent import session as agent_session
from seawall.controller import session as controller_session
from seawall.controller.settings import ControllerSettings
from seawall.core.command import Outcome
from seawall.simulator import link as simulated
from seawall.simulator.host import Delivery, Host, HostModel
from seawall.simulator.link import Link
from seawall.simulator.timeline import Timeline


class Ear:
    """A controller that writes down what it is told."""

    def __init__(self, timeline: Timeline) -> None:
        self.up = True
        self.told: list[tuple[str, float]] = []
        self._timeline = timeline

    def connected(self, link: Link) -> None:
        self.told.append(("connected", self._timeline.now))

    def lost(self, link: Link) -> None:
        self.told.append(("lost", self._timeline.now))

    def heard(self, link: Link) -> None:
        self.told.append(("heard", self._timeline.now))

    def answered(self, delivery: Delivery, outcome: Outcome) -> None:
        self.told.append(("answered", self._timeline.now))

    def times(self, what: str) -> list[float]:
        return [at for kind, at in self.told if kind == what]


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def ear(timeline: Timeline) -> Ear:
    return Ear(timeline)


@pytest.fixture
def link(timeline: Timeline, ear: Ear) -> Link:
    return Link(Host("web", HostModel(), timeline, lambda: 0.5), ear, timeline)


def test_its_constants_are_those_of_the_real_ends() -> None:
    assert simulated.BACK_OFF == agent_link._BACK_OFF
    assert simulated.HEALTHY_SECONDS == agent_link.HEALTHY_SECONDS
    assert simulated.HANDSHAKE_SECONDS == agent_session.HANDSHAKE_SECONDS
    assert simulated.MISSED_HEARTBEATS == controller_session.MISSED_HEARTBEATS
    assert ControllerSettings.model_fields["heartbeat_seconds"].default == simulated.HEARTBEAT_SECONDS


def test_a_host_that_is_gone_is_given_up_after_three_missed_heartbeats(
    timeline: Timeline, ear: Ear, link: Link
) -> None:
    link.host.trouble.dead = True
    timeline.run(100.0)
    assert ear.told == [("lost", 40.0)]
    assert not link.open


def test_a_host_that_starts_again_is_there_within_a_second(timeline: Timeline, ear: Ear, link: Link) -> None:
    link.host.trouble.dead = True
    timeline.run(100.0)
    link.revive()
    timeline.run(101.0)
    assert ear.told == [("lost", 40.0), ("connected", 100.5)]
    assert link.epoch == 2


def test_a_cut_network_is_dialled_with_growing_pauses(timeline: Timeline, ear: Ear, link: Link) -> None:
    link.cut = True
    timeline.run(200.0)
    link.cut = False
    timeline.run(300.0)
    (back,) = ear.times("connected")
    # It was cut for so long that the agent waits up to a minute between two tries.
    assert 200.0 < back < 260.0


def test_a_half_open_session_ends_and_the_next_one_is_whole(timeline: Timeline, ear: Ear, link: Link) -> None:
    link.mute_epoch = link.epoch
    timeline.run(60.0)
    assert ear.times("lost") == [40.0]
    assert ear.times("connected") == [40.5]
    assert ear.times("heard")[0] > 40.5


def test_nobody_dials_into_a_controller_that_is_down(timeline: Timeline, ear: Ear, link: Link) -> None:
    ear.up = False
    link.drop()
    timeline.run(10.0)
    assert not link.open
    ear.up = True
    timeline.run(30.0)
    assert link.open
