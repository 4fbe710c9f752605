"""Bad histories between the ends: I4, I7, I8, I11, I12 and I13, each caught by that one."""

from __future__ import annotations

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import FaultKind, Place
from tests.simulation.tale import Tale, broken


def test_I4_a_result_that_is_committed_as_another_one() -> None:
    tale = Tale().accepted().effect().done().result(CommandErrorCode.DOCKER_ERROR)
    assert broken(tale.committed(CommandState.FAILED)) == ["I4"]


def test_I4_a_result_whose_response_was_changed_on_the_way() -> None:
    tale = Tale().accepted().effect().done(digest="d1").result(digest="d2")
    assert broken(tale.committed(CommandState.SUCCEEDED)) == ["I4"]


def test_I4_a_row_that_changes_its_mind() -> None:
    tale = Tale().accepted().effect().done().done(CommandErrorCode.OUTCOME_UNKNOWN, digest="d2")
    assert broken(tale) == ["I4"]


def test_I4_an_outbox_dropped_on_reconnect() -> None:
    tale = Tale().accepted().effect().done().fault(FaultKind.PARTITION, Place.LINK)
    tale.committed(CommandState.UNKNOWN).healed().ended(200.0)
    assert broken(tale) == ["I4"]


def test_I4_a_loss_of_the_ledger_doesnt_excuse_what_the_next_one_proved() -> None:
    tale = Tale().accepted().fault(FaultKind.LEDGER_LOST, Place.AGENT).effect()
    tale.result(CommandErrorCode.OUTCOME_UNKNOWN, agent="", digest="").committed(CommandState.UNKNOWN)
    assert broken(tale.done().acknowledged().healed().ended(300.0)) == ["I4"]


def test_I4_an_acknowledgement_before_the_commit() -> None:
    tale = Tale().accepted().effect().done().acknowledged().result().committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I4"]


def test_I4_an_acknowledgement_of_what_was_never_committed() -> None:
    assert broken(Tale().accepted().effect().done().acknowledged().crash(Place.CONTROLLER)) == ["I4"]


def test_I4_an_acknowledgement_of_what_a_restore_took_back() -> None:
    tale = Tale().accepted()
    backup = tale.order
    tale.effect().done().result().committed(CommandState.SUCCEEDED).restored(backup).acknowledged()
    assert broken(tale) == ["I4"]


def test_I7_a_frame_of_a_closed_session_is_acted_on() -> None:
    tale = Tale().opened(1).opened(2).frame(Place.AGENT, 1, current_epoch=2)
    assert broken(tale) == ["I7"]


def test_I7_a_controller_of_an_earlier_term_is_obeyed() -> None:
    tale = Tale().opened(1, term=2).frame(Place.AGENT, 1, term=1, current_term=2, sender="controller")
    assert broken(tale) == ["I7"]


def test_I7_a_controller_that_forgot_the_newer_session_takes_an_answer_of_the_old_one() -> None:
    tale = Tale().opened(1).opened(2).frame(Place.CONTROLLER, 1)
    assert broken(tale) == ["I7"]


def test_I7_an_answer_of_any_agent_is_taken() -> None:
    assert broken(Tale().opened(1).frame(Place.CONTROLLER, 1, sender="a2")) == ["I7"]


def test_I7_a_result_that_another_agent_delivered() -> None:
    tale = Tale().accepted().effect().result(agent="a2").committed(CommandState.SUCCEEDED)
    assert broken(tale) == ["I7"]


def test_I7_an_effect_on_another_host() -> None:
    assert broken(Tale().accepted().effect(agent="a2").committed(CommandState.SUCCEEDED)) == ["I7"]


def test_I7_a_stale_socket_that_tears_down_the_newer_session() -> None:
    assert broken(Tale().opened(1).opened(2).closed(2, socket_epoch=1)) == ["I7"]


def test_I7_an_epoch_given_twice() -> None:
    assert broken(Tale().opened(1).closed(1).opened(1)) == ["I7"]


def test_I7_a_restored_controller_that_does_not_ask_the_agent_for_its_epoch() -> None:
    tale = Tale().opened(5).frame(Place.AGENT, 5).fault(FaultKind.LEDGER_LOST, Place.AGENT, "a2").restored(0)
    assert broken(tale.opened(1, term=9)) == ["I7"]


def test_I7_a_stale_controller_that_opens_a_session() -> None:
    assert broken(Tale().opened(1, term=2).opened(2, term=1, controller="old")) == ["I7"]


def test_I8_a_key_that_makes_two_commands() -> None:
    assert broken(Tale().accepted("c1", key="k1").accepted("c2", sequence=2, key="k1")) == ["I8"]


def test_I8_a_key_forgotten_by_a_crash() -> None:
    tale = Tale().accepted("c1", key="k1").crash(Place.CONTROLLER).accepted("c2", sequence=2, key="k1")
    assert broken(tale) == ["I8"]


def test_I8_a_key_answered_with_two_commands() -> None:
    tale = Tale().accepted("c1").accepted("c2", sequence=2).answered("c1").answered("c2")
    assert broken(tale) == ["I8"]


def test_I8_a_key_that_stands_for_two_bodies() -> None:
    tale = Tale().accepted().answered(fingerprint="f1").answered(fingerprint="f2")
    assert broken(tale) == ["I8"]


def test_I8_the_same_body_refused_as_another_one() -> None:
    assert broken(Tale().accepted().answered().answered(status=409, command="")) == ["I8"]


def test_I8_a_command_that_is_accepted_twice() -> None:
    assert broken(Tale().accepted().accepted()) == ["I8"]


def test_I11_a_number_that_a_reader_never_gets() -> None:
    assert broken(Tale().read(1, 0).read(3, 1)) == ["I11"]


def test_I11_a_reconnecting_reader_who_is_sent_on_from_elsewhere() -> None:
    assert broken(Tale().read(1, 0).read(2, 1).read(5, 4)) == ["I11"]


def test_I11_a_number_that_comes_twice() -> None:
    assert broken(Tale().read(1, 0).read(2, 1).read(2, 1)) == ["I11"]


def test_I11_one_number_with_two_contents() -> None:
    tale = Tale().read(1, 0, "c1 RUNNING").read(1, 0, "c2 RUNNING", reader="other")
    assert broken(tale) == ["I11"]


def test_I11_a_gap_at_the_very_beginning() -> None:
    assert broken(Tale().read(7, 5)) == ["I11"]


def test_I12_a_circuit_that_stays_open() -> None:
    assert broken(Tale().circuit(Circuit.OPEN).healed().ended(200.0)) == ["I12"]


def test_I12_a_probe_that_never_returns_keeps_the_circuit_half_open() -> None:
    tale = Tale().circuit(Circuit.OPEN).healed().circuit(Circuit.HALF_OPEN).ended(200.0)
    assert broken(tale) == ["I12"]


def test_I12_a_circuit_that_closes_too_late() -> None:
    tale = Tale().circuit(Circuit.OPEN).healed().circuit(Circuit.CLOSED, at=150.0).ended(200.0)
    assert broken(tale) == ["I12"]


def test_I12_a_queue_that_nobody_empties() -> None:
    assert broken(Tale().queue(0).queue(3).healed().ended(200.0)) == ["I12"]


def test_I12_a_queue_that_fills_again_after_everything_was_calm() -> None:
    tale = Tale().queue(3).healed().queue(0).queue(3, at=180.0).ended(200.0)
    assert broken(tale) == ["I12"]


def test_I12_an_unknown_that_nobody_asks_the_agent_about() -> None:
    tale = Tale().accepted().effect().crash().committed(CommandState.UNKNOWN, settled=False)
    assert broken(tale.healed().ended(200.0)) == ["I12"]


def chain(*contents: str) -> Tale:
    """A good audit log with these entries."""
    tale = Tale()
    previous = ""
    for number, content in enumerate(contents, start=1):
        tale.audit(number, previous, content=content)
        previous = tale.last_digest
    return tale


def test_I13_an_entry_that_is_missing() -> None:
    tale = chain("one", "two", "three")
    del tale.events[1]
    assert broken(tale) == ["I13"]


def test_I13_an_entry_that_was_written_over() -> None:
    tale = chain("one")
    digest = tale.last_digest
    assert broken(tale.audit(2, digest, content="forged", digest="0" * 64)) == ["I13"]


def test_I13_an_entry_that_was_replaced_together_with_its_digest() -> None:
    other, tale = chain("other"), chain("one")
    assert broken(tale.audit(2, other.last_digest, content="two")) == ["I13"]


def test_I13_a_log_whose_beginning_was_cut_off() -> None:
    tale = chain("one", "two")
    del tale.events[0]
    assert broken(tale) == ["I13"]


def test_I13_an_entry_that_was_put_in_twice() -> None:
    tale = chain("one")
    assert broken(tale.audit(1, content="one")) == ["I13"]
