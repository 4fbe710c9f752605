"""Bad histories of effects: I1, I2, I9 and I10, each caught by that one."""

from __future__ import annotations

from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import FaultKind, Place
from tests.simulation.tale import Tale, broken


def test_I1_a_second_delivery_that_runs_again_is_a_second_effect() -> None:
    assert broken(Tale().accepted().effect().effect().committed(CommandState.SUCCEEDED)) == ["I1"]


def test_I1_a_blind_repetition_after_a_crash_is_a_second_effect() -> None:
    tale = Tale().accepted().effect().crash().effect().committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I1"]


def test_I1_a_repeated_step_of_a_saga_is_a_second_effect() -> None:
    tale = Tale().accepted().effect(step="stop").effect(step="start").crash().effect(step="start")
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I1"]


def test_I1_two_resumptions_of_one_command_are_one_too_many() -> None:
    tale = Tale().accepted().effect().crash().effect(step="resume").crash().effect(step="resume")
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I1"]


def test_I1_a_wiped_ledger_excuses_no_repetition() -> None:
    tale = Tale().accepted().effect().fault(FaultKind.LEDGER_LOST, Place.AGENT).effect()
    assert broken(tale.committed(CommandState.UNKNOWN)) == ["I1"]


def test_I1_an_effect_after_the_result_is_on_record() -> None:
    tale = Tale().accepted().succeeded().opened(2).effect()
    assert broken(tale) == ["I1"]


def test_I2_an_effect_of_a_command_that_nobody_accepted() -> None:
    assert broken(Tale().accepted("c1").succeeded("c1").effect("c1-retry")) == ["I2"]


def test_I2_an_effect_before_the_accept_is_durable() -> None:
    assert broken(Tale().effect().accepted().committed(CommandState.SUCCEEDED)) == ["I2"]


def test_I2_an_effect_that_began_before_the_accept_was_durable() -> None:
    tale = Tale().accepted(at=5.0).effect(began_at=4.5, at=6.0).committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I2"]


def test_I2_an_effect_at_the_very_moment_after_the_cancel() -> None:
    tale = Tale().accepted().committed(CommandState.CANCELLED, at=5.0).effect(began_at=5.0, at=5.0)
    assert broken(tale) == ["I2"]


def test_I2_an_effect_between_a_cancel_and_the_restore_that_forgets_it() -> None:
    tale = Tale().accepted()
    assert broken(tale.committed(CommandState.CANCELLED).effect().restored(1)) == ["I2"]


def test_I2_an_effect_after_the_command_was_cancelled() -> None:
    assert broken(Tale().accepted().committed(CommandState.CANCELLED).effect()) == ["I2"]


def test_I2_an_effect_after_the_command_expired() -> None:
    assert broken(Tale().accepted().committed(CommandState.EXPIRED).crash().effect()) == ["I2"]


def test_I2_an_effect_after_the_ledger_itself_refused_the_command() -> None:
    tale = Tale().accepted().done(CommandErrorCode.DEADLINE_EXCEEDED).effect()
    assert broken(tale) == ["I2"]


def test_I2_a_read_that_changes_something() -> None:
    tale = Tale().accepted(sequence=0, safety=SafetyClass.SAFE_READ).effect()
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I2"]


def test_I9_two_changes_of_one_container_at_the_same_time() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2)
    tale.effect("c1", began_at=3.0, at=9.0).effect("c2", began_at=8.0, at=10.0)
    assert broken(tale) == ["I9"]


def test_I9_a_short_change_inside_a_long_one_and_another_after_it() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2).accepted("c3", sequence=3)
    tale.effect("c2", began_at=5.0, at=6.0).effect("c3", began_at=8.0, at=9.0).effect(
        "c1", began_at=4.0, at=10.0
    )
    assert broken(tale) == ["I9"]


def test_I9_a_stop_that_overtakes_the_start_before_it() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2).effect("c2").effect("c1")
    assert broken(tale) == ["I9"]


def test_I9_an_older_command_delivered_late_after_a_partition() -> None:
    tale = Tale().accepted("c1").fault(FaultKind.PARTITION, Place.LINK).accepted("c2", sequence=2)
    tale.effect("c2").fault(FaultKind.PARTITION, Place.LINK, ended=True).effect("c1")
    assert broken(tale) == ["I9"]


def test_I9_one_sequence_given_to_two_commands() -> None:
    assert broken(Tale().accepted("c1").accepted("c2")) == ["I9"]


def test_I9_a_changing_command_without_a_sequence() -> None:
    assert broken(Tale().accepted(sequence=0)) == ["I9"]


def test_I9_a_read_with_a_sequence() -> None:
    assert broken(Tale().accepted(sequence=1, safety=SafetyClass.SAFE_READ)) == ["I9"]


def test_I10_an_effect_long_after_the_deadline() -> None:
    tale = Tale().accepted(deadline_at=10.0).effect(at=20.0).committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I10"]


def test_I10_an_effect_on_the_healing_of_a_partition_that_outlasted_the_deadline() -> None:
    tale = Tale().accepted(deadline_at=10.0).fault(FaultKind.PARTITION, Place.LINK)
    tale.fault(FaultKind.PARTITION, Place.LINK, ended=True, at=60.0).effect()
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I10"]


def test_I10_an_agent_with_a_slow_clock_starts_past_the_deadline_and_the_skew() -> None:
    tale = Tale().accepted(deadline_at=10.0).effect(began_at=11.1, at=12.0)
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I10"]


def test_I10_an_import_does_not_give_a_command_more_time() -> None:
    tale = Tale().accepted(deadline_at=10.0)
    tale.restored(0).accepted(imported=True, deadline_at=90.0).effect(at=50.0)
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I10"]
