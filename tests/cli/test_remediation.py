"""`seawall remediation`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ACCEPTED_AT, ControllerDouble

RULE = {
    "name": "make-room",
    "alert": "disk_low",
    "operation": "image_prune",
    "mode": "dry-run",
    "arguments": {"all": True},
    "tries": 3,
}
VIEW = {"rules": [RULE], "budget": 3, "budget_seconds": 600}
STOPPED = VIEW | {"stopped": {"reason": "new \x1b[31mrack", "by": "ada", "at": ACCEPTED_AT}}
DECISION = {
    "remediation_id": "r-1",
    "at": ACCEPTED_AT,
    "decision": "acted",
    "reason": "disk_low for 60 s: \x1b[31m1.0% of its disk is free",
    "rule": "make-room",
    "number": 1,
    "alert_id": "l-1",
    "alert": "disk_low",
    "agent_id": "id-web-1",
    "host": "web-1",
    "operation": "image_prune",
    "command_id": "c-1",
    "state": "SUCCEEDED",
    "helped": True,
    "outcome": "the alert was over after 30 s",
}


def test_the_rules_are_listed_with_who_has_stopped_them(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["GET", "remediation"] = STOPPED
    call = seawall("remediation", "list")
    assert call.code == 0
    assert "image_prune all=True" in call.out
    assert "a host is worth 3 tries within 600 s" in call.out
    assert "by ada: new" in call.out
    assert "\x1b" not in call.out
    assert isinstance(seawall("remediation", "list", "--json").json, dict)


def test_each_decision_is_listed_with_its_reason_and_whether_it_helped(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    refused = DECISION | {"decision": "refused", "refusal": "budget", "helped": None, "command_id": ""}
    controller.alert_answers["GET", "remediation/history"] = [DECISION, refused]
    call = seawall("remediation", "history")
    assert "acted (1)" in call.out
    assert "yes: the alert was over after 30 s" in call.out
    assert "refused" in call.out
    assert "\x1b" not in call.out
    controller.alert_answers["GET", "remediation/history"] = []
    assert "nothing was decided yet" in seawall("remediation", "history").both


def test_a_stop_tells_its_reason_and_is_ended_by_a_resumption(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["POST", "remediation/stop"] = STOPPED
    controller.alert_answers["POST", "remediation/resume"] = VIEW
    assert "is stopped" in seawall("remediation", "stop", "--reason", "new rack").out
    assert controller.bodies == [{"reason": "new rack"}]
    assert "goes on, with 1 rules" in seawall("remediation", "resume").out
    assert seawall("remediation", "stop").code == 2


def test_a_file_is_checked_without_a_controller(seawall: Seawall, tmp_path: Path) -> None:
    file = tmp_path / "remediation.toml"
    file.write_text(
        '[rule.r]\nalert = "disk_low"\noperation = "image_prune"\nmode = "act"\n', encoding="utf-8"
    )
    assert "is fine: 1 rules act, 0 only say" in seawall("remediation", "check", str(file)).out
    file.write_text('[rule.r]\nalert = "disk"\n', encoding="utf-8")
    call = seawall("remediation", "check", str(file))
    assert call.code == 1
    assert "line 2: rule.r.alert must be one of circuit" in call.both
    assert seawall("remediation", "check", str(tmp_path / "missing")).code == 1
