"""Commands that may have happened, and hosts in quarantine: what is known, and what an operator can do."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ACCEPTED_AT, ControllerDouble, Script

EVIDENCE: dict[str, object] = {
    "started_at": "2020-01-01T00:00:00Z",
    "last_frame_at": "2020-01-01T00:00:30Z",
    "pre_image": {"status": "running", "started_at": "2019-12-31T00:00:00Z"},
    "now": {"status": "exited\x1b[31m"},
    "reason": "the container was stopped by someone, and it can't be told by whom",
    "exec_id": 17,
}


@pytest.fixture
def doubtful(seawall: Seawall, controller: ControllerDouble) -> Script:
    """The script of host local, where command-1 is UNKNOWN."""
    script = controller.add("local")
    script.state, script.error_code, script.evidence = "UNKNOWN", "agent_disconnected", EVIDENCE
    assert seawall("container", "restart", "web").code == 4
    return script


@pytest.mark.usefixtures("doubtful")
def test_an_unknown_command_shows_its_evidence_and_each_safe_action_as_it_is_typed(seawall: Seawall) -> None:
    shown = seawall("command", "show", "command-1").out
    for words in (
        "the container was stopped by someone",
        "ago, at 2020-01-01T00:00:30Z",
        "exec_id",
        '{"status":"running","started_at":"2019-12-31T00:00:00Z"}',
        "seawall command verify command-1 ",
        "seawall command resolve command-1 --state succeeded|failed --reason TEXT ",
        "seawall command force-retry command-1 ",
        "its host may still find out",
    ):
        assert words in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("moment", ["soon", "2020-01-01T00:00:00", 7, ["x"], None])
def test_evidence_of_an_agent_that_tells_it_oddly_is_shown_as_it_is(
    seawall: Seawall, controller: ControllerDouble, moment: object
) -> None:
    script = controller.add("local")
    script.state, script.evidence = "UNKNOWN", {"started_at": moment}
    seawall("container", "restart", "web")
    call = seawall("command", "show", "command-1")
    assert call.code == 0
    assert ("began" in call.out) == (moment is not None)


@pytest.mark.usefixtures("doubtful")
def test_whatever_the_controller_does_not_call_safe_is_not_offered(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.commands["command-1"]["safe_actions"] = ["resolve", "one of a later version"]
    shown = seawall("command", "show", "command-1").out
    assert "command resolve" in shown
    assert "force-retry" not in shown
    assert "command verify" not in shown


def test_a_command_that_is_known_has_no_evidence_and_nothing_to_do(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local")
    seawall("container", "restart", "web")
    shown = seawall("command", "show", "command-1").out
    assert "what can be done" not in shown
    assert "why" not in shown


@pytest.mark.parametrize(("found", "code"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_a_verification_that_finds_out_ends_as_what_it_found(
    seawall: Seawall, doubtful: Script, controller: ControllerDouble, found: str, code: int
) -> None:
    doubtful.found = found
    call = seawall("command", "verify", "command-1", "--wait", "2.5")
    assert call.code == code
    assert call.out.startswith(found)
    assert controller.bodies[-1] == {"wait": "2.5"}


@pytest.mark.usefixtures("doubtful")
def test_a_verification_that_finds_nothing_out_is_unknown_and_says_what_happens_next(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    call = seawall("command", "verify", "command-1")
    assert (call.code, "it is asked again until it has" in call.out) == (4, True)
    controller.agents[0]["state"] = "disconnected"
    call = seawall("command", "verify", "command-1")
    assert (call.code, "it is asked as soon as it is back" in call.out) == (4, True)
    controller.commands["command-1"]["settled"] = True
    call = seawall("command", "verify", "command-1")
    assert (call.code, "look yourself, then resolve it" in call.out) == (4, True)


@pytest.mark.usefixtures("doubtful")
def test_resolving_records_the_state_and_how_it_is_known(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    call = seawall("command", "resolve", "command-1", "--state", "failed", "--reason", "it runs since May")
    assert call.code == 0
    assert controller.bodies[-1] == {"state": "FAILED", "reason": "it runs since May"}
    shown = seawall("command", "show", "command-1").out
    assert shown.startswith("FAILED")
    assert "resolved by admin: it runs since May" in shown
    assert "Try again" not in shown


@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize(
    "words", [("--state", "failed"), ("--reason", "x"), ("--state", "expired", "--reason", "x")]
)
def test_resolving_needs_a_state_that_a_person_can_find_out_and_a_reason(
    seawall: Seawall, controller: ControllerDouble, words: tuple[str, ...]
) -> None:
    assert seawall("command", "resolve", "command-1", *words).code == 2
    assert controller.commands["command-1"]["state"] == "UNKNOWN"


@pytest.mark.usefixtures("doubtful")
def test_a_blank_reason_is_none(seawall: Seawall, controller: ControllerDouble) -> None:
    call = seawall("command", "resolve", "command-1", "--state", "failed", "--reason", "  ")
    assert call.code == 2
    assert controller.commands["command-1"]["state"] == "UNKNOWN"


def test_a_forced_retry_warns_and_is_followed_like_any_command(seawall: Seawall, doubtful: Script) -> None:
    doubtful.state, doubtful.error_code = "SUCCEEDED", None
    call = seawall("command", "force-retry", "command-1")
    assert call.code == 0
    assert "command command-1 may have happened already" in call.err
    assert call.out.splitlines() == [
        "container_restart web on local, command command-2",
        "attempt 1 of 3",
        "attempt 1 done after 0.25 s",
        "SUCCEEDED (1.75 s): container_restart web on local",
    ]


@pytest.mark.usefixtures("doubtful")
def test_a_forced_retry_may_itself_end_unknown(seawall: Seawall) -> None:
    assert seawall("command", "force-retry", "command-1").code == 4


def test_a_forced_retry_leaves_stdout_to_json(seawall: Seawall, doubtful: Script) -> None:
    doubtful.state, doubtful.error_code = "SUCCEEDED", None
    record = seawall("command", "force-retry", "command-1", "--json").json
    assert isinstance(record, dict)
    assert (record["command_id"], record["state"]) == ("command-2", "SUCCEEDED")
    accepted = seawall("command", "force-retry", "command-1", "--no-wait")
    assert isinstance(accepted.json, dict)
    assert accepted.json["state"] == "ACCEPTED"


@pytest.mark.usefixtures("doubtful")
def test_the_same_key_never_makes_two_forced_retries(seawall: Seawall, controller: ControllerDouble) -> None:
    for _ in range(2):
        seawall("command", "force-retry", "command-1", "--idempotency-key", "once")
    assert list(controller.commands) == ["command-1", "command-2"]


@pytest.mark.parametrize(
    "words", [("verify",), ("resolve", "--state", "failed", "--reason", "x"), ("force-retry",)]
)
def test_a_command_that_is_known_is_neither_verified_nor_resolved_nor_repeated(
    seawall: Seawall, controller: ControllerDouble, words: tuple[str, ...]
) -> None:
    controller.add("local")
    seawall("container", "restart", "web")
    call = seawall("command", *words, "command-1")
    assert call.code == 3
    assert "not UNKNOWN" in call.both
    assert "may have happened" not in call.both


def test_a_host_in_quarantine_says_why_and_is_released(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local")
    controller.agents[0].update(state="quarantined", quarantined_at=ACCEPTED_AT)
    assert "quarantined" in seawall("agent", "list").out
    shown = seawall("agent", "show", "local").out
    assert "two agents used its identity" in shown
    assert "seawall agent release local" in shown
    call = seawall("agent", "release", "local")
    assert call.code == 0
    assert ("POST", "/api/v1/agents/local/release") in controller.requests
    assert "quarantine" not in seawall("agent", "show", "local").out
