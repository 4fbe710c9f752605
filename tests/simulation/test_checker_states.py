"""Bad histories of what was said about commands: I3, I5 and I6, each caught by that one."""

from __future__ import annotations

import pytest

from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import FaultKind, Place
from tests.simulation.tale import Tale, broken


def test_I3_a_202_before_the_commit() -> None:
    assert broken(Tale().answered().accepted()) == ["I3"]


def test_I3_a_202_whose_command_was_never_durable() -> None:
    assert broken(Tale().answered().crash(Place.CONTROLLER)) == ["I3"]


def test_I3_an_accepted_command_that_is_gone_after_a_power_loss() -> None:
    tale = Tale().accepted().answered().fault(FaultKind.POWER_LOSS, Place.CONTROLLER).not_found()
    assert broken(tale) == ["I3"]


def test_I3_a_command_gone_by_a_restore_whose_backup_holds_it() -> None:
    tale = Tale().accepted()
    assert broken(tale.restored(tale.order).not_found()) == ["I3"]


def test_I3_a_command_that_is_never_taken_up_again() -> None:
    tale = Tale().accepted().crash(Place.CONTROLLER).healed().ended(200.0)
    assert broken(tale) == ["I3"]


def test_I3_a_command_that_stays_running_after_its_controller_died() -> None:
    tale = Tale().accepted().committed(CommandState.RUNNING).crash(Place.CONTROLLER).healed().ended(200.0)
    assert broken(tale) == ["I3"]


def test_I3_a_command_that_becomes_final_too_late() -> None:
    tale = Tale().accepted(deadline_at=900.0).healed().committed(CommandState.FAILED, at=300.0).ended(301.0)
    assert broken(tale) == ["I3"]


def test_I3_a_command_accepted_long_after_the_healing_has_its_own_time() -> None:
    tale = Tale().healed().accepted(at=500.0, deadline_at=560.0)
    assert broken(tale.ended(700.0)) == ["I3"]


def test_I5_a_success_without_an_effect() -> None:
    assert broken(Tale().accepted().committed(CommandState.SUCCEEDED)) == ["I5"]


def test_I5_a_success_before_the_effect() -> None:
    tale = Tale().accepted().committed(CommandState.SUCCEEDED).effect()
    assert broken(tale) == ["I5"]


def test_I5_a_success_for_what_an_outsider_had_done_before_the_accept() -> None:
    assert broken(Tale().effect(None).accepted().committed(CommandState.SUCCEEDED)) == ["I5"]


@pytest.mark.parametrize("state", [CommandState.REJECTED, CommandState.EXPIRED, CommandState.CANCELLED])
def test_I5_a_command_that_ran_and_is_said_never_to_have_started(state: CommandState) -> None:
    assert broken(Tale().accepted().effect().committed(state)) == ["I5"]


def test_I5_expired_while_dockerd_is_at_it() -> None:
    tale = Tale().accepted().committed(CommandState.EXPIRED, at=10.0).effect(began_at=5.0, at=20.0)
    assert broken(tale) == ["I5"]


def test_I5_a_ledger_that_says_expired_while_dockerd_is_at_it() -> None:
    tale = Tale().accepted().done(CommandErrorCode.DEADLINE_EXCEEDED).effect(began_at=1.5, at=9.0)
    tale.result(CommandErrorCode.DEADLINE_EXCEEDED).committed(CommandState.EXPIRED)
    assert broken(tale) == ["I5"]


def test_I5_unknown_without_any_fault() -> None:
    assert broken(Tale().accepted().effect().committed(CommandState.UNKNOWN)) == ["I5"]


def test_I5_unknown_by_a_fault_that_was_over_before_the_accept() -> None:
    assert broken(Tale().crash().accepted().effect().committed(CommandState.UNKNOWN)) == ["I5"]


def test_I5_unknown_by_the_fault_of_another_agent() -> None:
    tale = Tale().accepted().crash(agent="a2").effect().committed(CommandState.UNKNOWN)
    assert broken(tale) == ["I5"]


def test_I5_unknown_by_a_fault_that_came_later() -> None:
    tale = Tale().accepted().effect().committed(CommandState.UNKNOWN).crash()
    assert broken(tale) == ["I5"]


def test_I5_a_read_that_is_unknown() -> None:
    tale = Tale().accepted(sequence=0, safety=SafetyClass.SAFE_READ).crash().committed(CommandState.UNKNOWN)
    assert broken(tale) == ["I5"]


def test_I6_a_failure_that_becomes_a_success() -> None:
    tale = Tale().accepted().effect().committed(CommandState.FAILED).committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I6"]


def test_I6_a_success_that_is_taken_up_again() -> None:
    tale = Tale().accepted().effect().committed(CommandState.SUCCEEDED).crash(Place.CONTROLLER)
    assert broken(tale.committed(CommandState.DISPATCHED)) == ["I6"]


def test_I6_an_unknown_that_is_retried() -> None:
    tale = Tale().accepted().crash().committed(CommandState.UNKNOWN, settled=False)
    assert broken(tale.committed(CommandState.DISPATCHED)) == ["I6"]


def test_I6_an_unknown_that_is_told_twice() -> None:
    tale = Tale().accepted().effect().crash().committed(CommandState.UNKNOWN, settled=False)
    tale.committed(CommandState.SUCCEEDED).committed(CommandState.FAILED)
    assert broken(tale) == ["I6"]


def test_I6_a_settled_unknown_that_changes_by_itself() -> None:
    tale = Tale().accepted().crash().committed(CommandState.UNKNOWN).committed(CommandState.FAILED)
    assert broken(tale) == ["I6"]


def test_I6_an_unknown_that_becomes_something_else_than_the_operator_said() -> None:
    tale = Tale().accepted().effect().crash().committed(CommandState.UNKNOWN).resolved(CommandState.FAILED)
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I6"]


def test_I6_a_final_state_shown_before_it_is_durable() -> None:
    tale = Tale().accepted().effect().shown(CommandState.SUCCEEDED).committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I6"]


def test_I6_a_reader_who_sees_a_finished_command_running() -> None:
    tale = Tale().accepted().effect().committed(CommandState.SUCCEEDED).shown(CommandState.SUCCEEDED)
    assert broken(tale.shown(CommandState.RUNNING)) == ["I6"]


def test_I6_a_reader_who_sees_a_told_unknown_again() -> None:
    tale = Tale().accepted().effect().crash().committed(CommandState.UNKNOWN, settled=False)
    tale.committed(CommandState.SUCCEEDED).shown(CommandState.SUCCEEDED).shown(CommandState.UNKNOWN)
    assert broken(tale) == ["I6"]


def test_I6_a_restored_controller_that_contradicts_the_ledger() -> None:
    tale = Tale().accepted()
    backup = tale.order
    tale.succeeded().restored(backup).committed(CommandState.FAILED)
    assert "I6" in broken(tale)
