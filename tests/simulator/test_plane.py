"""A simulated plane keeps Seawall's promises, and a naive one shows what they are for."""

from __future__ import annotations

import msgspec
import pytest

from seawall.simulator.contenders import CONTENDERS
from seawall.simulator.faults import ClockStep, ControllerRestart, CrashAfterEffect, Disconnect, HalfOpen
from seawall.simulator.figures import figures
from seawall.simulator.scenario import Scenario, Traffic, shipped
from seawall.simulator.tally import Tally
from seawall.simulator.world import run

PRODUCTION, NAIVE = CONTENDERS["production"], CONTENDERS["naive"]
QUIET = Scenario("quiet", 120.0, Traffic(2.0, changes=1.0), name="quiet")


def troubled(*faults: object) -> Scenario:
    return msgspec.structs.replace(QUIET, fault=faults)


def ends(scenario: Scenario, tally: Tally) -> dict[str, int]:
    return figures(scenario, tally).ends


def test_the_same_seed_gives_the_same_run() -> None:
    scenario = shipped()["mishaps"]
    assert run(scenario, PRODUCTION, 7) == run(scenario, PRODUCTION, 7)
    assert run(scenario, PRODUCTION, 7) != run(scenario, PRODUCTION, 8)


@pytest.mark.parametrize("name", ["overload", "dead", "herd", "mishaps", "partition"])
def test_every_command_ends_and_nothing_stays_behind(name: str) -> None:
    scenario = shipped()[name]
    for contender in (PRODUCTION, NAIVE):
        found = figures(scenario, run(scenario, contender, 3))
        assert "still open" not in found.ends
        assert sum(found.ends.values()) == found.commands


def test_a_careful_plane_repeats_no_effect_whatever_happens() -> None:
    scenario = shipped()["mishaps"]
    assert run(scenario, PRODUCTION, 1).repeated_effects == 0
    assert run(scenario, NAIVE, 1).repeated_effects > 0


def test_a_crash_after_the_effect_costs_a_careful_plane_nothing() -> None:
    scenario = troubled(CrashAfterEffect(at=60.0, times=3))
    tally = run(scenario, PRODUCTION, 1)
    assert ends(scenario, tally) == {"success": len(tally.lives)}
    assert tally.repeated_effects == 0


def test_a_step_of_the_clock_is_nothing_to_monotonic_time() -> None:
    scenario = troubled(ClockStep(60.0, 7_200.0), ClockStep(70.0, -18_000.0))
    assert run(scenario, PRODUCTION, 1) == run(QUIET, PRODUCTION, 1)


def test_what_was_accepted_survives_a_restart_of_a_careful_controller_only() -> None:
    scenario = troubled(HalfOpen(at=50.0), ControllerRestart(at=60.0, down_seconds=2.0))
    careful, naive = run(scenario, PRODUCTION, 1), run(scenario, NAIVE, 1)
    # What is asked while nobody is there is lost in both.
    assert {life.asked_at // 2 for life in careful.lives if life.lost} == {30.0}
    assert any(life.lost and life.asked_at < 60.0 for life in naive.lives)


def test_commands_wait_for_a_host_that_reconnects() -> None:
    scenario = troubled(Disconnect(at=60.0))
    assert set(ends(scenario, run(scenario, PRODUCTION, 1))) == {"success"}


def test_late_and_double_answers_change_nothing() -> None:
    tally = run(shipped()["mishaps"], PRODUCTION, 1)
    assert tally.unmatched > 0
    assert tally.repeated_effects == 0
