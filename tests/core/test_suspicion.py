"""When much fails at once, the plane suspects itself."""

from __future__ import annotations

from seawall.core.suspicion import Change, Suspicion, SuspicionSettings


def test_one_dead_agent_of_a_hundred_is_no_mass_failure() -> None:
    suspicion = Suspicion()
    for number in range(100):
        assert suspicion.observe(f"a{number}", 1.0, failed=number == 0) is None
    assert suspicion.since is None


def test_a_third_of_the_fleet_failing_at_once_is_one_mass_failure_and_told_once() -> None:
    suspicion = Suspicion()
    for number in range(70):
        suspicion.observe(f"a{number}", 1.0, failed=False)
    changes = [suspicion.observe(f"b{number}", 2.0, failed=True) for number in range(60)]
    assert [change for change in changes if change is not None] == [Change.BEGAN]
    assert suspicion.since == 2.0


def test_a_few_agents_are_too_few_to_suspect_oneself() -> None:
    suspicion = Suspicion()
    assert [suspicion.observe(f"a{number}", 1.0, failed=True) for number in range(4)] == [None] * 4


def test_what_one_agent_fails_again_and_again_counts_once() -> None:
    suspicion = Suspicion()
    for moment in range(50):
        assert suspicion.observe("a", moment / 10, failed=True) is None
    assert suspicion.failing == 1


def test_it_is_over_when_it_has_been_calm_for_a_while() -> None:
    suspicion = Suspicion(SuspicionSettings(calm_seconds=5.0))
    for number in range(10):
        suspicion.observe(f"a{number}", 0.0, failed=True)
    assert suspicion.since == 0.0
    for number in range(10):
        assert suspicion.observe(f"a{number}", 3.0, failed=False) is None
    assert suspicion.look(7.9) is None
    assert suspicion.look(8.1) is Change.ENDED
    assert suspicion.since is None


def test_calm_that_is_broken_begins_anew() -> None:
    suspicion = Suspicion(SuspicionSettings(calm_seconds=5.0))
    for number in range(10):
        suspicion.observe(f"a{number}", 0.0, failed=True)
    for number in range(10):
        suspicion.observe(f"a{number}", 1.0, failed=False)
    for number in range(6):
        suspicion.observe(f"a{number}", 4.0, failed=True)
    assert suspicion.look(6.5) is None
    assert suspicion.since == 0.0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    suspicion = Suspicion()
    for number in range(4):
        suspicion.observe(f"a{number}", 0.0, failed=True)
    assert suspicion.observe("b", 30.0, failed=True) is None
    assert (suspicion.agents, suspicion.failing) == (1, 1)
