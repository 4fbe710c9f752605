"""What an agent's reply in dict form means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import CommandErrorCode
from seawall.engine.responses import read_response

AGENT_ERROR, INVALID = CommandErrorCode.AGENT_ERROR, CommandErrorCode.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("reply", "response"),
    [
        ({"success": True, "data": 1}, 1),
        ({"success": True, "data": None}, None),
        ({"payload": {"a": 1}}, {"a": 1}),
        ({"payload": None}, None),
        ({"success": True, "payload": 1, "data": 2}, 1),
        ({"success": True}, {"success": True}),
        ({"success": True, "error": None, "data": 3}, 3),
        ({"success": True, "error": "", "data": 3}, 3),
    ],
)
def test_a_success_is_unwrapped(reply: dict[str, object], response: object) -> None:
    outcome = read_response(reply)
    assert outcome.code is None
    assert outcome.response == response


@pytest.mark.parametrize(
    ("reply", "code", "error"),
    [
        ({"success": False, "error": "full"}, AGENT_ERROR, "full"),
        ({"success": True, "error": "full"}, AGENT_ERROR, "full"),
        ({"payload": 1, "error": "full"}, AGENT_ERROR, "full"),
        ({"success": None, "data": 1}, AGENT_ERROR, "The agent reported a failure and gave no reason"),
        ({"success": 0}, AGENT_ERROR, "The agent reported a failure and gave no reason"),
        (
            {"success": False, "error": "no", "error_type": "permission_denied"},
            CommandErrorCode.PERMISSION_DENIED,
            "no",
        ),
        (
            {"success": False, "error": "no", "error_type": "docker_error"},
            CommandErrorCode.DOCKER_ERROR,
            "no",
        ),
        ({"success": False, "error": "no", "error_type": ["odd"]}, AGENT_ERROR, "no"),
        ({}, INVALID, "Invalid response: it has neither 'success' nor 'payload'"),
        ({"data": 1}, INVALID, "Invalid response: it has neither 'success' nor 'payload'"),
        ({"error": "what?"}, INVALID, "what?"),
    ],
)
def test_a_failure_is_named_and_keeps_the_raw_reply(
    reply: dict[str, object], code: CommandErrorCode, error: str
) -> None:
    outcome = read_response(reply)
    assert (outcome.code, outcome.error, outcome.response) == (code, error, reply)


def test_incident_06_a_failure_without_a_text_is_a_failure() -> None:
    assert read_response({"success": False}).code is AGENT_ERROR


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2)
)
names = st.sampled_from(["success", "payload", "data", "error", "error_type"])


@given(st.dictionaries(names, junk))
def test_any_reply_is_a_success_or_a_failure_with_a_text(reply: dict[str, object]) -> None:
    outcome = read_response(reply)
    assert (outcome.code is None) == (outcome.error is None)
