"""One command's life, step by step, as a pure function of what happens."""

from __future__ import annotations

import pytest

from seawall.core.command import (
    Command,
    CommandResult,
    CommandState,
    CommandStatus,
    Outcome,
    SafetyClass,
    Source,
)
from seawall.core.dispatch import Dispatch, Finish, Park, Send, Step, Wait
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.retry import RetryPolicy

READ, IDEMPOTENT = SafetyClass.SAFE_READ, SafetyClass.IDEMPOTENT
VERIFIABLE, OPAQUE = SafetyClass.VERIFIABLE, SafetyClass.OPAQUE
PLAIN = RetryPolicy(max_attempts=3, initial_delay=1.0, jitter=False)
FAILED, UNKNOWN, REJECTED = CommandState.FAILED, CommandState.UNKNOWN, CommandState.REJECTED


def command(safety: SafetyClass = READ, **fields: object) -> Command:
    return Command("c-1", "container_list", "agent-1", {}, safety, **fields)  # type: ignore[arg-type]  # by name


def outcome(name: str, circumstance: str = "NONE", **fields: object) -> Outcome:
    return Outcome(
        CommandErrorCode[name], f"it was {name}", circumstance=Circumstance[circumstance], **fields
    )  # type: ignore[arg-type]  # by name


def no_dice() -> float:
    raise AssertionError("no jitter, no dice")


def finished(step: Step) -> CommandResult:
    assert isinstance(step, Finish), step
    return step.result


TABLE = [
    # code, circumstance, safety class, attempts of three, final state
    ("NETWORK_ERROR", "NOT_SENT", READ, 3, FAILED),
    ("NETWORK_ERROR", "NOT_SENT", OPAQUE, 3, FAILED),
    ("NETWORK_ERROR", "NONE", IDEMPOTENT, 3, UNKNOWN),
    ("NETWORK_ERROR", "NONE", OPAQUE, 1, UNKNOWN),
    ("TIMEOUT", "SILENT", READ, 3, FAILED),
    ("TIMEOUT", "SILENT", IDEMPOTENT, 3, UNKNOWN),
    ("TIMEOUT", "SILENT", VERIFIABLE, 1, UNKNOWN),
    ("TIMEOUT", "HEARD", READ, 3, FAILED),
    ("TIMEOUT", "HEARD", OPAQUE, 1, UNKNOWN),
    ("TIMEOUT", "NOT_SENT", OPAQUE, 3, FAILED),
    ("AGENT_DISCONNECTED", "NONE", READ, 3, FAILED),
    ("AGENT_DISCONNECTED", "NONE", VERIFIABLE, 1, UNKNOWN),
    ("PERMISSION_DENIED", "NONE", READ, 1, FAILED),
    ("AGENT_ERROR", "NONE", OPAQUE, 1, FAILED),
    ("DOCKER_ERROR", "DOCKER_REFUSED", VERIFIABLE, 1, FAILED),
    ("DOCKER_ERROR", "DOCKER_UNREACHABLE", OPAQUE, 3, FAILED),
    ("DOCKER_ERROR", "DOCKER_FAILED", READ, 3, FAILED),
    ("DOCKER_ERROR", "DOCKER_FAILED", VERIFIABLE, 1, UNKNOWN),
    ("INVALID_RESPONSE", "NONE", READ, 1, FAILED),
    ("INVALID_RESPONSE", "NONE", OPAQUE, 1, UNKNOWN),
    ("UNKNOWN_ERROR", "NONE", READ, 2, FAILED),
    ("UNKNOWN_ERROR", "NONE", OPAQUE, 1, UNKNOWN),
    ("UNSUPPORTED_OPERATION", "NONE", READ, 1, REJECTED),
    ("INVALID_ARGUMENT", "NONE", VERIFIABLE, 1, REJECTED),
    ("OUTCOME_UNKNOWN", "NONE", OPAQUE, 1, UNKNOWN),
]


@pytest.mark.parametrize(
    ("code", "circumstance", "safety", "attempts", "state"),
    TABLE,
    ids=[f"{row[0]}-{row[1]}-{row[2].value}".lower() for row in TABLE],
)
def test_what_lasts_is_tried_as_often_as_its_verdict_allows(
    code: str, circumstance: str, safety: SafetyClass, attempts: int, state: CommandState
) -> None:
    dispatch = Dispatch(command(safety), PLAIN)
    step, now, sent = dispatch.start(0.0), 0.0, 0
    while not isinstance(step, Finish):
        if isinstance(step, Send):
            sent += 1
            assert step.number == sent
            step = dispatch.on_outcome(outcome(code, circumstance), now, no_dice)
        else:
            assert isinstance(step, Wait)
            now = step.until
            step = dispatch.on_wake(now)
    result = step.result
    assert sent == result.total_attempts == result.attempt == attempts
    assert (result.error_code, result.state) == (CommandErrorCode[code], state)
    assert result.retried is (attempts > 1)


def test_a_success_finishes_with_its_response() -> None:
    dispatch = Dispatch(command(), PLAIN)
    assert dispatch.start(5.0) == Send(1, 30.0)
    result = finished(dispatch.on_outcome(Outcome(response=[1]), 7.5, no_dice))
    assert (result.status, result.success, result.response) == (CommandStatus.SUCCESS, True, [1])
    assert (result.state, result.duration_seconds, result.command_id) == (CommandState.SUCCEEDED, 2.5, "c-1")


def test_a_success_after_a_doubtful_attempt_is_a_success() -> None:
    dispatch = Dispatch(command(IDEMPOTENT), PLAIN)
    dispatch.start(0.0)
    dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice)
    dispatch.on_wake(2.0)
    result = finished(dispatch.on_outcome(Outcome(), 3.0, no_dice))
    assert (result.state, result.attempt, result.retried) == (CommandState.SUCCEEDED, 2, True)


def test_doubt_about_an_earlier_attempt_outlives_a_clear_failure_of_a_later_one() -> None:
    dispatch = Dispatch(command(IDEMPOTENT), PLAIN)
    dispatch.start(0.0)
    dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice)
    dispatch.on_wake(2.0)
    result = finished(dispatch.on_outcome(outcome("AGENT_ERROR"), 3.0, no_dice))
    assert (result.error_code, result.state) == (CommandErrorCode.AGENT_ERROR, UNKNOWN)


def test_the_delays_follow_the_policy() -> None:
    dispatch = Dispatch(command(), PLAIN)
    dispatch.start(0.0)
    step = dispatch.on_outcome(outcome("TIMEOUT"), 10.0, no_dice)
    assert isinstance(step, Wait)
    assert step.until == 11.0
    assert dispatch.on_wake(11.0) == Send(2, 30.0)
    step = dispatch.on_outcome(outcome("TIMEOUT"), 20.0, no_dice)
    assert isinstance(step, Wait)
    assert step.until == 22.0


def test_the_servers_retry_after_wins_over_the_policys_delay() -> None:
    dispatch = Dispatch(command(), PLAIN)
    dispatch.start(0.0)
    step = dispatch.on_outcome(outcome("NETWORK_ERROR", "NOT_SENT", retry_after_seconds=7.0), 1.0, no_dice)
    assert isinstance(step, Wait)
    assert step.until == 8.0


def test_without_a_policy_there_is_one_attempt() -> None:
    dispatch = Dispatch(command(), None)
    dispatch.start(0.0)
    assert finished(dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice)).total_attempts == 1


def test_attempts_of_an_earlier_process_count() -> None:
    dispatch = Dispatch(command(), PLAIN, attempts=2)
    assert dispatch.start(0.0) == Send(3, 30.0)
    assert finished(dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice)).total_attempts == 3


def test_an_attempt_gets_what_is_left_until_the_deadline() -> None:
    dispatch = Dispatch(command(deadline=100.0, timeout_seconds=30.0), PLAIN)
    assert dispatch.start(80.0) == Send(1, 20.0)


def test_no_wait_begins_that_ends_at_or_after_the_deadline() -> None:
    dispatch = Dispatch(command(deadline=100.0), PLAIN)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome("TIMEOUT"), 99.0, no_dice))
    assert result.error_code is CommandErrorCode.TIMEOUT


def test_a_deadline_that_has_passed_before_the_first_attempt_expires_the_command() -> None:
    result = finished(Dispatch(command(OPAQUE, deadline=10.0), PLAIN).start(10.0))
    assert (result.error_code, result.state) == (CommandErrorCode.DEADLINE_EXCEEDED, CommandState.EXPIRED)


def test_an_absent_agent_parks_the_command_until_its_deadline() -> None:
    dispatch = Dispatch(command(OPAQUE, deadline=50.0, waits_for_agent=True), PLAIN)
    dispatch.start(0.0)
    assert dispatch.on_outcome(outcome("AGENT_NOT_CONNECTED", "NOT_SENT"), 1.0, no_dice) == Park(50.0)
    assert dispatch.on_wake(20.0) == Send(1, 30.0)
    assert dispatch.attempts == 0


def test_an_agent_that_stays_away_until_the_deadline_expires_the_command() -> None:
    dispatch = Dispatch(command(OPAQUE, deadline=50.0, waits_for_agent=True), PLAIN)
    dispatch.start(0.0)
    dispatch.on_outcome(outcome("AGENT_NOT_CONNECTED", "NOT_SENT"), 1.0, no_dice)
    result = finished(dispatch.on_wake(50.0))
    assert result.state is CommandState.EXPIRED
    assert result.error_code is CommandErrorCode.AGENT_NOT_CONNECTED


def test_a_command_that_does_not_wait_is_rejected_when_the_agent_is_absent() -> None:
    dispatch = Dispatch(command(OPAQUE), PLAIN)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome("AGENT_NOT_CONNECTED", "NOT_SENT"), 1.0, no_dice))
    assert (result.state, result.error_code) == (REJECTED, CommandErrorCode.AGENT_NOT_CONNECTED)


@pytest.mark.parametrize("code", ["CIRCUIT_OPEN", "BULKHEAD_FULL", "DEADLINE_EXCEEDED"])
def test_a_refusal_of_the_first_attempt_is_the_result(code: str) -> None:
    dispatch = Dispatch(command(), PLAIN)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome(code, retry_after_seconds=9.0), 1.0, no_dice))
    assert (result.error_code, result.retry_after_seconds) == (CommandErrorCode[code], 9.0)
    assert dispatch.attempts == 0


@pytest.mark.parametrize("code", ["CIRCUIT_OPEN", "BULKHEAD_FULL"])
def test_incident_26_a_refusal_in_mid_loop_ends_it_and_keeps_the_real_code(code: str) -> None:
    dispatch = Dispatch(command(), PLAIN)
    dispatch.start(0.0)
    dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice)
    dispatch.on_wake(2.0)
    result = finished(dispatch.on_outcome(outcome(code), 2.0, no_dice))
    assert (result.error_code, result.status) == (CommandErrorCode.TIMEOUT, CommandStatus.TIMEOUT)
    assert result.total_attempts == 1


def test_incident_33_a_cancellation_is_never_retried() -> None:
    policy = RetryPolicy(initial_delay=1.0, retryable_error_codes=list(CommandErrorCode))
    dispatch = Dispatch(command(), policy, explicit=True)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome("CANCELLED"), 1.0, no_dice))
    assert (result.error_code, result.state) == (CommandErrorCode.CANCELLED, CommandState.CANCELLED)


def test_a_cancellation_of_what_was_under_way_is_unknown_for_a_change() -> None:
    dispatch = Dispatch(command(OPAQUE), PLAIN)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome("CANCELLED", "HEARD"), 1.0, no_dice))
    assert (result.state, result.total_attempts) == (UNKNOWN, 1)


def test_an_explicit_policys_own_codes_decide() -> None:
    policy = RetryPolicy(
        initial_delay=1.0, jitter=False, retryable_error_codes=[CommandErrorCode.AGENT_ERROR]
    )
    dispatch = Dispatch(command(OPAQUE), policy, explicit=True)
    dispatch.start(0.0)
    assert isinstance(dispatch.on_outcome(outcome("AGENT_ERROR"), 0.0, no_dice), Wait)
    dispatch.on_wake(1.0)
    assert isinstance(dispatch.on_outcome(outcome("TIMEOUT"), 1.0, no_dice), Finish)


def test_an_explicit_policy_parks_nothing() -> None:
    dispatch = Dispatch(command(waits_for_agent=True), PLAIN, explicit=True)
    dispatch.start(0.0)
    result = finished(dispatch.on_outcome(outcome("AGENT_NOT_CONNECTED", "NOT_SENT"), 0.0, no_dice))
    assert result.total_attempts == 1


# What the agent's ledger makes of it


def sequenced(safety: SafetyClass = OPAQUE, **fields: object) -> Command:
    """A change that its agent's ledger knows."""
    return command(safety, sequence=4, **fields)


def in_doubt(**fields: object) -> Dispatch:
    """A change whose first attempt timed out, at 1.0; the second one is under way since 2.0."""
    dispatch = Dispatch(sequenced(**fields), PLAIN)
    dispatch.start(0.0)
    dispatch.on_outcome(outcome("TIMEOUT", "HEARD"), 1.0, no_dice)
    dispatch.on_wake(2.0)
    assert dispatch.in_doubt
    return dispatch


@pytest.mark.parametrize("safety", SafetyClass)
def test_what_the_ledger_knows_may_be_sent_again_and_what_it_does_not_only_if_it_is_repeatable(
    safety: SafetyClass,
) -> None:
    assert sequenced(safety).redeliverable
    assert command(safety).redeliverable is safety.repeatable


@pytest.mark.parametrize(
    ("code", "circumstance"),
    [("TIMEOUT", "HEARD"), ("AGENT_DISCONNECTED", "NONE"), ("NETWORK_ERROR", "NONE")],
)
def test_incident_2_a_change_in_the_ledger_is_asked_about_under_its_own_id_and_never_made_anew(
    code: str, circumstance: str
) -> None:
    dispatch = Dispatch(sequenced(), PLAIN)
    dispatch.start(0.0)
    assert isinstance(dispatch.on_outcome(outcome(code, circumstance), 1.0, no_dice), Wait)
    assert dispatch.on_wake(2.0) == Send(2, 30.0)
    result = finished(dispatch.on_outcome(Outcome(source=Source.LEDGER), 3.0, no_dice))
    assert (result.state, result.command_id, result.recorded) == (CommandState.SUCCEEDED, "c-1", True)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("AGENT_ERROR", FAILED),
        ("DOCKER_ERROR", FAILED),
        ("TIMEOUT", UNKNOWN),
        ("OUTCOME_UNKNOWN", UNKNOWN),
        ("CANCELLED", CommandState.CANCELLED),
        ("DEADLINE_EXCEEDED", CommandState.EXPIRED),
        ("UNSUPPORTED_OPERATION", REJECTED),
    ],
)
def test_the_word_of_the_ledger_ends_it_at_once_and_clears_the_doubt(code: str, state: CommandState) -> None:
    for dispatch, number in ((Dispatch(sequenced(), PLAIN), 1), (in_doubt(), 2)):
        dispatch.start(2.0)
        result = finished(dispatch.on_outcome(outcome(code, source=Source.LEDGER), 3.0, no_dice))
        assert (result.state, result.error_code) == (state, CommandErrorCode[code])
        assert (result.attempt, result.recorded, result.settled) == (number, True, True)


def test_an_agent_that_says_that_nothing_was_done_speaks_for_the_earlier_attempts_too() -> None:
    result = finished(in_doubt().on_outcome(outcome("AGENT_ERROR", source=Source.AGENT), 3.0, no_dice))
    assert (result.state, result.settled, result.recorded) == (FAILED, True, False)
    dispatch = in_doubt()
    again = outcome("DOCKER_ERROR", "NOT_APPLIED", source=Source.AGENT)
    assert isinstance(dispatch.on_outcome(again, 3.0, no_dice), Wait)
    assert not dispatch.in_doubt


def test_an_agent_that_does_not_know_leaves_it_in_doubt_and_unsettled() -> None:
    dispatch = in_doubt()
    for number in (2, 3):
        step = dispatch.on_outcome(outcome("TIMEOUT", "DOCKER_SILENT", source=Source.AGENT), 3.0, no_dice)
        if number == 2:
            assert isinstance(step, Wait)
            dispatch.on_wake(4.0)
    result = finished(step)
    assert (result.state, result.settled, result.total_attempts) == (UNKNOWN, False, 3)


def test_what_the_link_says_of_a_later_attempt_is_no_proof_about_an_earlier_one() -> None:
    dispatch = in_doubt()
    dispatch.on_outcome(outcome("NETWORK_ERROR", "NOT_SENT"), 3.0, no_dice)
    dispatch.on_wake(10.0)
    result = finished(dispatch.on_outcome(outcome("NETWORK_ERROR", "NOT_SENT"), 11.0, no_dice))
    assert (result.state, result.settled) == (UNKNOWN, False)


@pytest.mark.parametrize("attempts", [0, 1])
def test_what_may_have_been_sent_is_never_declared_expired_by_the_controller(attempts: int) -> None:
    dispatch = Dispatch(sequenced(deadline=10.0), PLAIN, attempts=attempts, in_doubt=True)
    result = finished(dispatch.start(10.0))
    assert (result.state, result.error_code) == (UNKNOWN, CommandErrorCode.OUTCOME_UNKNOWN)
    assert not result.settled
    parked = in_doubt(deadline=50.0, waits_for_agent=True)
    parked.on_outcome(outcome("AGENT_NOT_CONNECTED", "NOT_SENT"), 3.0, no_dice)
    assert finished(parked.on_wake(50.0)).state is UNKNOWN


def test_a_cancellation_before_anything_was_sent_again_does_not_clear_the_doubt() -> None:
    result = finished(in_doubt().on_outcome(outcome("CANCELLED"), 3.0, no_dice))
    assert (result.state, result.settled) == (UNKNOWN, False)


def test_an_unknown_outcome_keeps_the_evidence_that_came_with_it() -> None:
    dispatch = Dispatch(sequenced(), PLAIN)
    dispatch.start(0.0)
    told = outcome("OUTCOME_UNKNOWN", source=Source.LEDGER, evidence={"before": "up"})
    assert finished(dispatch.on_outcome(told, 1.0, no_dice)).evidence == {"before": "up"}
