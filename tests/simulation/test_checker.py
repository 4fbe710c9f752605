"""Good histories: each a small story in which something goes wrong, and nothing that was promised is broken."""

from __future__ import annotations

import pytest

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.checker import Invariant, check
from tests.simulation.counters import counters
from tests.simulation.history import FaultKind, Place, Rare, Reached, read_lines, write_lines
from tests.simulation.tale import Tale, broken

UNKNOWN = CommandState.UNKNOWN


def test_a_quiet_day() -> None:
    tale = Tale().opened(1).accepted(key="k1").answered().frame(Place.AGENT, 1).succeeded()
    tale.frame(Place.CONTROLLER, 1).shown(CommandState.SUCCEEDED).read(1, 0).read(2, 1).queue(0)
    tale.answered("", key="", status=200).closed(1, socket_epoch=1)
    assert broken(tale.healed().ended(300.0)) == []


def test_every_state_on_the_way_may_be_seen_and_seen_again() -> None:
    tale = Tale().accepted().effect()
    for state in (
        CommandState.DISPATCHED,
        CommandState.RUNNING,
        CommandState.DISPATCHED,
        CommandState.SUCCEEDED,
    ):
        tale.committed(state).shown(state).committed(state).shown(state)
    assert broken(tale) == []


def test_a_lost_answer_and_the_same_key_again() -> None:
    tale = Tale().accepted(key="k1").crash(Place.CONTROLLER).answered().answered().succeeded()
    assert broken(tale.answered("", fingerprint="f2", status=409)) == []


def test_reconnects_and_a_change_of_the_controller() -> None:
    tale = Tale().opened(1).opened(1, agent="a2").opened(2).closed(1, socket_epoch=1).opened(3, term=2)
    assert broken(tale.opened(2, agent="a2")) == []


def test_a_restored_controller_and_a_wiped_agent_begin_with_a_new_epoch() -> None:
    tale = Tale().opened(5).restored(0).fault(FaultKind.LEDGER_LOST, Place.AGENT)
    assert broken(tale.opened(1, term=9)) == []


def test_a_void_execution_that_is_begun_again() -> None:
    assert broken(Tale().accepted().crash().tell(Reached, name=Rare.VOID).succeeded()) == []


def test_a_restart_that_is_resumed_after_its_stop() -> None:
    tale = Tale().accepted().effect(step="stop").crash().effect(step="resume").done().result()
    assert broken(tale.committed(CommandState.SUCCEEDED)) == []


def test_a_call_that_finds_nothing_left_to_do_is_a_success_and_may_be_made_twice() -> None:
    tale = Tale().accepted().effect(changed=False).crash().effect(changed=False)
    assert broken(tale.committed(CommandState.SUCCEEDED)) == []


def test_a_restart_policy_that_was_faster() -> None:
    tale = Tale().accepted().fault(FaultKind.DOCKER_DEAD, Place.DOCKER).effect(None)
    assert broken(tale.committed(CommandState.SUCCEEDED)) == []


def test_an_unknown_that_the_ledger_tells_later() -> None:
    tale = Tale().accepted().effect().fault(FaultKind.PARTITION, Place.LINK)
    tale.committed(UNKNOWN, settled=False).shown(UNKNOWN).done()
    tale.fault(FaultKind.PARTITION, Place.LINK, ended=True).result()
    tale.committed(CommandState.SUCCEEDED).shown(CommandState.SUCCEEDED).acknowledged()
    assert broken(tale.healed().ended(300.0)) == []


def test_a_result_whose_details_the_observer_did_not_see() -> None:
    tale = Tale().accepted().effect().done(digest="d1").result(digest="")
    assert broken(tale.committed(CommandState.SUCCEEDED)) == []


def test_an_unknown_that_turns_out_to_have_expired() -> None:
    tale = Tale().accepted().crash().committed(UNKNOWN, settled=False)
    tale.done(CommandErrorCode.DEADLINE_EXCEEDED).result(CommandErrorCode.DEADLINE_EXCEEDED)
    assert broken(tale.committed(CommandState.EXPIRED).healed().ended(300.0)) == []


def test_an_unknown_that_an_operator_resolves() -> None:
    tale = Tale().accepted().crash().done(CommandErrorCode.OUTCOME_UNKNOWN)
    tale.result(CommandErrorCode.OUTCOME_UNKNOWN).committed(UNKNOWN).resolved(CommandState.SUCCEEDED)
    assert broken(tale.committed(CommandState.SUCCEEDED).healed().ended(300.0)) == []


def test_a_wiped_agent() -> None:
    tale = Tale().accepted().effect().done().fault(FaultKind.LEDGER_LOST, Place.AGENT)
    assert broken(tale.committed(UNKNOWN).healed().ended(300.0)) == []


def test_a_copy_of_a_lost_ledger_that_comes_back_too_late() -> None:
    tale = Tale().accepted().effect().fault(FaultKind.LEDGER_LOST, Place.AGENT)
    tale.result(CommandErrorCode.OUTCOME_UNKNOWN, agent="", digest="").committed(UNKNOWN)
    tale.fault(FaultKind.LEDGER_LOST, Place.AGENT).done().acknowledged()
    assert broken(tale.healed().ended(300.0)) == []


@pytest.mark.parametrize("late", [True, False])
def test_a_copy_of_a_lost_ledger_that_finds_out_what_became_of_a_command(late: bool) -> None:
    tale = Tale().accepted().frame(Place.AGENT, 1).effect().fault(FaultKind.LEDGER_LOST, Place.AGENT)
    tale = tale if late else tale.done()
    tale.result(CommandErrorCode.OUTCOME_UNKNOWN, agent="", digest="").committed(UNKNOWN)
    tale = tale.done() if late else tale
    assert broken(tale.acknowledged().healed().ended(300.0)) == []


@pytest.mark.parametrize("lost", [True, False])
def test_a_copy_of_a_lost_ledger_that_does_not_know_that_there_was_no_effect(lost: bool) -> None:
    tale = Tale().accepted().tell(Reached, name=Rare.VOID, agent="a1", command_id="c1")
    tale.result(CommandErrorCode.DOCKER_ERROR, agent="", digest="").committed(CommandState.FAILED)
    if lost:
        tale.fault(FaultKind.LEDGER_LOST, Place.AGENT)
    tale.done(CommandErrorCode.OUTCOME_UNKNOWN).acknowledged()
    assert bool(broken(tale.healed().ended(300.0))) is not lost


def test_a_restored_controller_that_imports_what_it_forgot() -> None:
    tale = Tale().opened(1).accepted(key="k1").effect().done().restored(0).not_found().opened(2, term=9)
    tale.accepted(imported=True, sequence=1).result().committed(CommandState.SUCCEEDED).acknowledged()
    assert broken(tale.healed().ended(300.0)) == []


def test_a_restored_controller_that_never_hears_of_a_command_nobody_had_got() -> None:
    tale = Tale().accepted(key="k1").answered().restored(0).not_found()
    tale.accepted("c2", key="k1").answered("c2").succeeded("c2").read(1, 0, "c2")
    assert broken(tale.healed().ended(300.0)) == []


def test_a_restored_controller_for_which_a_forgotten_success_is_unknown() -> None:
    tale = Tale().accepted()
    backup = tale.order
    tale.succeeded().shown(CommandState.SUCCEEDED).restored(backup).committed(UNKNOWN).shown(UNKNOWN)
    assert broken(tale.healed().ended(300.0)) == []


def test_a_restored_controller_that_no_longer_knows_of_a_cancel() -> None:
    tale = Tale().accepted()
    backup = tale.order
    assert broken(tale.committed(CommandState.CANCELLED).restored(backup).succeeded()) == []


def test_streams_and_audit_log_go_on_from_the_backup() -> None:
    tale = Tale().audit(1, content="one").read(1, 0, "one")
    backup, digest = tale.order, tale.last_digest
    tale.audit(2, digest, content="two").read(2, 1, "two").restored(backup)
    assert broken(tale.audit(2, digest, content="zwei").read(2, 1, "zwei")) == []


def test_a_read_is_repeated_freely_and_has_no_place_in_the_order() -> None:
    tale = Tale().accepted("c1", sequence=0, safety=SafetyClass.SAFE_READ).crash()
    tale.accepted("c2", sequence=0, safety=SafetyClass.SAFE_READ)
    tale.committed(CommandState.SUCCEEDED, "c1").committed(CommandState.FAILED, "c2")
    assert broken(tale.healed().ended(300.0)) == []


def test_containers_do_not_wait_for_each_other() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2, container="db").accepted("c3", agent="a2")
    tale.effect("c2", container="db", began_at=4.0, at=8.0).effect("c3", agent="a2", began_at=4.0, at=8.0)
    assert broken(tale.effect("c1", began_at=4.0, at=8.0)) == []


def test_outsiders_and_calls_that_change_nothing_keep_to_no_order() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2).effect("c1", began_at=3.0, at=9.0)
    assert (
        broken(tale.effect(None, began_at=4.0, at=5.0).effect("c2", changed=False, began_at=4.0, at=5.0))
        == []
    )


def test_one_change_after_the_other_without_a_pause() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2)
    assert broken(tale.effect("c1", began_at=3.0, at=5.0).effect("c2", began_at=5.0, at=6.0)) == []


def test_a_start_within_the_skew() -> None:
    assert broken(Tale().accepted(deadline_at=10.0).effect(began_at=10.9, at=15.0)) == []


def test_a_quarantined_agent_is_not_waited_for() -> None:
    tale = Tale().accepted(deadline_at=900.0).accepted("c2", sequence=2, deadline_at=900.0)
    tale.fault(FaultKind.CLONE, Place.AGENT).quarantined().committed(UNKNOWN, "c2", settled=False)
    assert broken(tale.healed().ended(300.0)) == []


def test_a_history_that_ends_early_is_not_judged_for_what_was_still_to_come() -> None:
    tale = Tale().accepted().effect().done().circuit(Circuit.OPEN).queue(3)
    assert broken(tale.healed().ended(60.0)) == []


def test_a_violation_names_the_command_and_says_what_is_wrong_with_which_events() -> None:
    (violation,) = check(Tale().accepted().effect().effect().committed(CommandState.SUCCEEDED).events)
    assert violation.invariant is Invariant.I1
    assert violation.subject == "c1"
    assert violation.sentence == "dockerd performed it a second time at 2.5, after 1.5"
    assert [event.order for event in violation.proof] == [2, 3]


def test_a_history_survives_being_written_to_a_file() -> None:
    tale = Tale().opened(1).accepted().succeeded().crash().tell(Reached, name=Rare.AMNESIA)
    assert read_lines(write_lines(tale.events)) == tale.events


def test_rare_states_are_counted_and_those_never_reached_stand_at_zero() -> None:
    tale = Tale().accepted(key="k1").answered().answered().answered("", fingerprint="f2", status=409)
    tale.crash().committed(UNKNOWN, settled=False).committed(UNKNOWN).done(CommandErrorCode.CANCELLED)
    tale.committed(CommandState.CANCELLED).tell(Reached, name=Rare.JOINED).tell(Reached, name="own name")
    count = counters(tale.events)
    assert {name: number for name, number in count.items() if number} == {
        Rare.UNKNOWN: 1,
        Rare.UNKNOWN_SETTLED: 1,
        Rare.CANCELLED: 1,
        Rare.CANCELLED_BY_AGENT: 1,
        Rare.KEY_REPEATED: 1,
        Rare.KEY_CONFLICT: 1,
        Rare.JOINED: 1,
        "own name": 1,
        "fault: crash": 1,
    }
    assert set(Rare) <= count.keys()
    assert count[Rare.AMNESIA] == 0
