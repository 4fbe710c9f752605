"""What is tried for an alert, and what never is, whatever happens in whichever order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.alert import Alert
from seawall.core.alert_rules import AlertKind
from seawall.core.command import CommandState
from seawall.core.remediation import (
    Budget,
    Refusal,
    Remedy,
    Ruling,
    Try,
    Verdict,
    World,
    circles,
    judge,
    rule_on,
)

RESTART = Remedy("restart", AlertKind.CIRCUIT, "container_restart", {"container": "web"}, acts=True)
BUDGET = Budget()


def alert(alert_id: str = "n-1", **changes: object) -> Alert:
    fields: dict[str, object] = {
        "alert_id": alert_id,
        "key": "circuit/a-1/docker",
        "kind": AlertKind.CIRCUIT,
        "agent_id": "a-1",
        "host": "web-1",
        "text": "the circuit of its docker is open",
        "opened_at": 0.0,
        "active": True,
        "since": 0.0,
    }
    return Alert(**(fields | changes))  # type: ignore[arg-type]  # a test may give any field


def tried(at: float, *, remedy: str = "restart", alert_id: str = "n-1", acted: bool = True) -> Try:
    return Try(remedy, alert_id, "a-1", at, acted, over=True)


def ruled(
    now: float, *tries: Try, remedy: Remedy = RESTART, of: Alert | None = None, **world: object
) -> Ruling:
    return rule_on(remedy, of or alert(), tries, World(**world), BUDGET, now)  # type: ignore[arg-type]


def test_a_remedy_waits_until_the_alert_has_been_open_for_a_while_and_is_tried_then() -> None:
    assert ruled(59.9).verdict is Verdict.WAIT
    ruling = ruled(60.0)
    assert (ruling.verdict, ruling.reason) == (
        Verdict.ACTED,
        "circuit for 60 s: the circuit of its docker is open",
    )


def test_without_leave_to_act_the_same_is_only_rehearsed() -> None:
    rehearsed = msgspec.structs.replace(RESTART, acts=False)
    assert ruled(60.0, remedy=rehearsed).verdict is Verdict.DRY_RUN
    # What was only rehearsed costs a remedy that acts nothing.
    rehearsals = [tried(10.0 * n, remedy="other", acted=False) for n in range(6)]
    assert ruled(60.0, *rehearsals).verdict is Verdict.ACTED
    assert ruled(60.0, *rehearsals, remedy=rehearsed).refusal is Refusal.BUDGET


@pytest.mark.parametrize(
    ("world", "refusal"),
    [
        ({"stopped": "ann: new rack"}, Refusal.STOPPED),
        ({"mass_failure": True}, Refusal.MASS_FAILURE),
        ({"silenced": True}, Refusal.SILENCED),
    ],
)
def test_what_keeps_remedies_back_is_said(world: dict[str, object], refusal: Refusal) -> None:
    assert ruled(60.0, **world).refusal is refusal
    # Nor is it given up then: nobody knows whether it would still fail.
    assert ruled(2_000.0, tried(60), tried(360), tried(660), **world).refusal is refusal


def test_what_somebody_takes_care_of_is_left_to_them() -> None:
    ruling = ruled(60.0, of=alert(acknowledged_by="ann"))
    assert (ruling.refusal, ruling.reason) == (Refusal.ACKNOWLEDGED, "ann takes care of it")


def test_a_host_that_is_away_is_waited_for() -> None:
    assert ruled(60.0, reachable=False).verdict is Verdict.WAIT


def test_a_cause_that_is_gone_is_waited_for_and_not_treated() -> None:
    assert ruled(60.0, of=alert(active=False)).verdict is Verdict.WAIT


def test_a_failed_command_is_answered_again_only_once_it_has_failed_again() -> None:
    remedy = msgspec.structs.replace(RESTART, kind=AlertKind.COMMAND_FAILED, about=("compose_up",))
    failed = alert(key="command_failed/a-1/compose_up", kind=AlertKind.COMMAND_FAILED, active=False)
    assert remedy.is_for(failed)
    assert ruled(60.0, remedy=remedy, of=failed).verdict is Verdict.ACTED
    assert ruled(900.0, tried(60), remedy=remedy, of=failed).verdict is Verdict.WAIT
    failed.since = 700.0
    assert ruled(900.0, tried(60), remedy=remedy, of=failed).verdict is Verdict.ACTED


def test_after_its_tries_a_remedy_gives_up_once_the_last_has_had_its_time() -> None:
    tries = [tried(60), tried(360), tried(660)]
    assert ruled(959.0, *tries).verdict is Verdict.WAIT
    ruling = ruled(960.0, *tries)
    assert ruling.verdict is Verdict.GAVE_UP
    assert "tried 3 times" in ruling.reason


def test_a_try_whose_command_is_under_way_is_waited_for() -> None:
    under_way = msgspec.structs.replace(tried(60), over=False)
    assert ruled(10_000.0, under_way).verdict is Verdict.WAIT


def test_remedies_are_for_the_alerts_that_they_name() -> None:
    named = msgspec.structs.replace(RESTART, about=("docker",), hosts=("web-*",))
    assert named.is_for(alert())
    assert not named.is_for(alert(key="circuit/a-1/agent"))
    assert not named.is_for(alert(host="db-1"))
    assert not named.is_for(alert(kind=AlertKind.DISK_LOW))
    assert not RESTART.is_for(alert(agent_id=""))


moments = st.lists(
    st.tuples(
        st.integers(1, 400),  # how much later
        st.sampled_from(["n-1", "n-2", "n-3", "n-4"]),
        st.sampled_from(["restart", "prune"]),
        st.sampled_from(["", "", "", "", "stopped", "mass", "silenced", "acknowledged", "calm", "away"]),
    ),
    max_size=120,
)


@given(moments, st.booleans(), st.integers(1, 4), st.integers(1, 900))
def test_no_order_of_events_exceeds_tries_cool_down_or_budget_or_acts_when_it_must_not(
    steps: list[tuple[int, str, str, str]], acts: bool, most: int, window: int
) -> None:
    budget = Budget(most, window)
    tries: list[Try] = []
    now = 0.0
    for later, alert_id, name, hindrance in steps:
        now += later
        remedy = msgspec.structs.replace(RESTART, name=name, acts=acts)
        world = World(
            hindrance != "away",
            "ann" * (hindrance == "stopped"),
            hindrance == "mass",
            hindrance == "silenced",
        )
        of = alert(
            alert_id,
            acknowledged_by="ann" * (hindrance == "acknowledged"),
            active=hindrance != "calm",
        )
        verdict = rule_on(remedy, of, tries, world, budget, now).verdict
        if hindrance:
            assert verdict in (Verdict.WAIT, Verdict.REFUSED)
        own = [each for each in tries if (each.remedy, each.alert_id) == (name, alert_id)]
        assert (verdict is Verdict.GAVE_UP) <= (len(own) == remedy.tries)
        if verdict in (Verdict.ACTED, Verdict.DRY_RUN):
            assert (verdict is Verdict.ACTED) is acts
            tries.append(Try(name, alert_id, "a-1", now, acts, over=True))
    for each in tries:
        same = [other for other in tries if other.remedy == each.remedy]
        assert sum(other.alert_id == each.alert_id for other in same) <= RESTART.tries
        assert not any(0 < other.at - each.at < RESTART.cool_down_seconds for other in same)
        assert sum(0 <= other.at - each.at < window for other in tries) <= most


def test_a_try_has_helped_if_its_command_succeeded_and_the_alert_was_over_in_time() -> None:
    done = CommandState.SUCCEEDED
    assert judge(tried(0), None, 10.0, 100.0, now=20.0) is None, "the command is under way"
    assert judge(tried(0), done, None, 100.0, now=99.0) is None, "it may still help"
    said = {
        judge(tried(0), done, 99.0, 100.0, now=500.0): True,
        judge(tried(0), done, 101.0, 100.0, now=500.0): False,
        judge(tried(0), done, None, 100.0, now=100.0): False,
        judge(tried(0), CommandState.REJECTED, 99.0, 100.0, now=500.0): False,
    }
    assert all(found is not None and found.helped is meant for found, meant in said.items())


def test_remedies_that_would_answer_each_others_failures_are_found() -> None:
    def after(failed: str, operation: str) -> Remedy:
        return Remedy(operation, AlertKind.COMMAND_FAILED, operation, about=(failed,))

    assert circles([after("a", "b"), after("b", "c"), after("x", "c")]) == ()
    assert circles([after("a", "a")]) == ("a", "a")
    assert circles([after("a", "b"), after("b", "c"), after("c", "b")]) == ("b", "c", "b")
    assert circles([Remedy("r", AlertKind.DISK_LOW, "a", about=("a",))]) == ()
