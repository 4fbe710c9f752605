"""The verdict table, row by row, as the design has it."""

from __future__ import annotations

import pytest

from seawall.core.errors import (
    ENDS_THE_LOOP,
    RETRYABLE_CODES,
    CircuitVerdict,
    Circumstance,
    CommandErrorCode,
    RetryRule,
    verdict,
)

GOOD, BAD, NEUTRAL = CircuitVerdict.SUCCESS, CircuitVerdict.FAILURE, CircuitVerdict.NEUTRAL
YES, ONCE, CONNECTED, NO = RetryRule.YES, RetryRule.ONCE, RetryRule.WHEN_CONNECTED, RetryRule.NO

# code, circumstance: agent's circuit, Docker's circuit, retry if safe to repeat, retry if not, may it have run
TABLE = [
    ("NETWORK_ERROR", "NOT_SENT", BAD, NEUTRAL, YES, YES, False),
    ("NETWORK_ERROR", "NONE", BAD, NEUTRAL, YES, NO, True),
    ("AGENT_NOT_CONNECTED", "NONE", NEUTRAL, NEUTRAL, CONNECTED, CONNECTED, False),
    ("AGENT_NOT_CONNECTED", "NOT_SENT", NEUTRAL, NEUTRAL, CONNECTED, CONNECTED, False),
    ("AGENT_DISCONNECTED", "NONE", BAD, NEUTRAL, CONNECTED, NO, True),
    ("AGENT_DISCONNECTED", "SAME_DISCONNECT", NEUTRAL, NEUTRAL, CONNECTED, NO, True),
    ("TIMEOUT", "NONE", BAD, NEUTRAL, YES, NO, True),
    ("TIMEOUT", "SILENT", BAD, NEUTRAL, YES, NO, True),
    ("TIMEOUT", "HEARD", NEUTRAL, NEUTRAL, YES, NO, True),
    ("TIMEOUT", "NOT_SENT", BAD, NEUTRAL, YES, YES, False),
    ("TIMEOUT", "DOCKER_SILENT", GOOD, BAD, YES, NO, True),
    ("PERMISSION_DENIED", "NONE", GOOD, NEUTRAL, NO, NO, False),
    ("AGENT_ERROR", "NONE", GOOD, NEUTRAL, NO, NO, False),
    ("AGENT_ERROR", "NOT_APPLIED", GOOD, NEUTRAL, YES, YES, False),
    ("DOCKER_ERROR", "NONE", GOOD, GOOD, NO, NO, False),
    ("DOCKER_ERROR", "DOCKER_REFUSED", GOOD, GOOD, NO, NO, False),
    ("DOCKER_ERROR", "DOCKER_ERRED", GOOD, GOOD, NO, NO, True),
    ("DOCKER_ERROR", "DOCKER_UNREACHABLE", GOOD, BAD, YES, YES, False),
    ("DOCKER_ERROR", "DOCKER_FAILED", GOOD, BAD, YES, NO, True),
    ("DOCKER_ERROR", "NOT_APPLIED", GOOD, BAD, YES, YES, False),
    ("INVALID_RESPONSE", "NONE", BAD, NEUTRAL, NO, NO, True),
    ("UNKNOWN_ERROR", "NONE", BAD, NEUTRAL, ONCE, NO, True),
    ("CIRCUIT_OPEN", "NONE", NEUTRAL, NEUTRAL, NO, NO, False),
    ("BULKHEAD_FULL", "NONE", NEUTRAL, NEUTRAL, NO, NO, False),
    ("DEADLINE_EXCEEDED", "NONE", NEUTRAL, NEUTRAL, NO, NO, False),
    ("CANCELLED", "NONE", NEUTRAL, NEUTRAL, NO, NO, False),
    ("CANCELLED", "HEARD", NEUTRAL, NEUTRAL, NO, NO, True),
    ("OUTCOME_UNKNOWN", "NONE", NEUTRAL, NEUTRAL, NO, NO, True),
    ("UNSUPPORTED_OPERATION", "NONE", GOOD, NEUTRAL, NO, NO, False),
    ("INVALID_ARGUMENT", "NONE", GOOD, NEUTRAL, NO, NO, False),
    ("UPLOAD_MISSING", "NONE", GOOD, NEUTRAL, NO, NO, False),
]


@pytest.mark.parametrize(
    ("code", "circumstance", "agent", "docker", "safe", "unsafe", "may_have_run"),
    TABLE,
    ids=[f"{row[0]}-{row[1]}".lower() for row in TABLE],
)
def test_the_verdict_is_the_designs(
    code: str,
    circumstance: str,
    agent: CircuitVerdict,
    docker: CircuitVerdict,
    safe: RetryRule,
    unsafe: RetryRule,
    may_have_run: bool,
) -> None:
    row = verdict(CommandErrorCode[code], Circumstance[circumstance])
    assert (row.agent, row.docker, row.safe, row.unsafe) == (agent, docker, safe, unsafe)
    assert row.may_have_run is may_have_run


def test_every_code_has_a_row_of_this_table() -> None:
    assert {row[0] for row in TABLE} == {code.name for code in CommandErrorCode}


@pytest.mark.parametrize("code", CommandErrorCode)
@pytest.mark.parametrize("circumstance", Circumstance)
def test_every_pair_has_a_verdict(code: CommandErrorCode, circumstance: Circumstance) -> None:
    assert verdict(code, circumstance) is not None


@pytest.mark.parametrize("code", CommandErrorCode)
@pytest.mark.parametrize("circumstance", Circumstance)
def test_what_may_have_run_is_never_repeated_when_that_does_harm(
    code: CommandErrorCode, circumstance: Circumstance
) -> None:
    row = verdict(code, circumstance)
    assert not (row.may_have_run and row.unsafe is not NO)


def test_a_success_speaks_for_both_circuits_and_is_not_repeated() -> None:
    row = verdict(None)
    assert (row.agent, row.docker, row.safe, row.unsafe) == (GOOD, GOOD, NO, NO)
    assert not row.may_have_run


def test_incident_34_there_is_one_list_of_retryable_codes() -> None:
    assert {
        CommandErrorCode.NETWORK_ERROR,
        CommandErrorCode.AGENT_DISCONNECTED,
        CommandErrorCode.AGENT_NOT_CONNECTED,
        CommandErrorCode.TIMEOUT,
        CommandErrorCode.UNKNOWN_ERROR,
    } == RETRYABLE_CODES


def test_a_code_that_ends_the_loop_is_neutral_and_never_retryable() -> None:
    for code in ENDS_THE_LOOP:
        assert code not in RETRYABLE_CODES
        assert verdict(code).agent is verdict(code).docker is NEUTRAL


def test_a_code_is_its_name_in_lower_case() -> None:
    assert all(code.value == code.name.lower() for code in CommandErrorCode)
