"""A host's health: one number, and the reasons for it."""

from __future__ import annotations

import pytest

from seawall.core.circuit import CircuitState
from seawall.core.health import HealthState, Vitals, judge

GB = 1024**3


def test_a_host_about_which_nothing_is_wrong_has_all_points() -> None:
    health = judge(Vitals(True, latency_seconds=0.02, docker=True, free_share=0.5, clock_offset_seconds=0.1))
    assert (health.state, health.score, health.reasons) == (HealthState.HEALTHY, 100, [])


def test_a_host_that_is_not_connected_is_offline_whatever_else_is_known() -> None:
    health = judge(Vitals(False, docker=True))
    assert (health.state, health.score) == (HealthState.OFFLINE, 0)


@pytest.mark.parametrize(
    ("vitals", "state", "reason"),
    [
        (Vitals(True, docker=False), HealthState.DEGRADED, "Docker Engine doesn't answer"),
        (Vitals(True, agent_circuit=CircuitState.OPEN), HealthState.DEGRADED, "circuit of its agent is open"),
        (Vitals(True, docker_circuit=CircuitState.HALF_OPEN), HealthState.HEALTHY, "Docker is being probed"),
        (Vitals(True, missed_pings=2), HealthState.DEGRADED, "last 2 pings"),
        (Vitals(True, latency_seconds=1.5), HealthState.HEALTHY, "took 1.5 s"),
        (Vitals(True, free_share=0.01, free_bytes=1), HealthState.DEGRADED, "disk is full"),
        (Vitals(True, free_share=0.05, free_bytes=GB), HealthState.HEALTHY, "almost full: 5%"),
        (Vitals(True, clock_offset_seconds=-90.0), HealthState.HEALTHY, "90 s behind"),
        (Vitals(True, longest_running_seconds=400.0), HealthState.DEGRADED, "400 s without progress"),
        (
            Vitals(True, unreached_registries=("r.test",)),
            HealthState.HEALTHY,
            "can't reach r.test for images",
        ),
        (Vitals(True, registry_circuit=CircuitState.OPEN), HealthState.HEALTHY, "its registries is open"),
        (Vitals(True, unknown_commands=2), HealthState.HEALTHY, "2 outcomes are UNKNOWN"),
    ],
)
def test_each_complaint_costs_points_and_says_why(vitals: Vitals, state: HealthState, reason: str) -> None:
    health = judge(vitals)
    assert health.state is state
    assert reason in health.reasons[0]
    assert health.score < 100


def test_a_large_disk_with_a_small_share_left_is_no_complaint() -> None:
    assert judge(Vitals(True, free_share=0.05, free_bytes=500 * GB)).reasons == []


def test_the_worst_is_said_first_and_the_score_never_falls_below_nothing() -> None:
    health = judge(
        Vitals(True, docker=False, agent_circuit=CircuitState.OPEN, latency_seconds=3.0, missed_pings=2)
    )
    assert health.state is HealthState.SICK
    assert health.score == 0
    assert "Docker Engine" in health.reasons[0]
    assert "ping took" in health.reasons[-1]
