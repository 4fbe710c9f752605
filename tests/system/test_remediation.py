"""A real controller answers a real failure, and does nothing twice though it is killed before its command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.system.plane import Plane, plane_in, until

ALERTS = "group_seconds = 0\n[rule.command_failed]\ncalm_seconds = {calm}\n"
RULES = """
mode = "act"
budget = 10
[rule.restart-web]
alert = "command_failed"
about = ["container_list"]
hosts = ["sim-*"]
operation = "container_restart"
arguments = { container = "web" }
after_seconds = 0
helped_within_seconds = 60

[rule.make-room]
alert = "command_failed"
about = ["image_list"]
operation = "image_prune"
arguments = { all = true }
after_seconds = 0
"""


def fetched(plane: Plane, path: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(plane.request("GET", path)[2])
    return found


def history(plane: Plane, rule: str) -> list[dict[str, object]]:
    return [each for each in fetched(plane, "/api/v1/remediation/history") if each["rule"] == rule]


def commands(plane: Plane, operation: str) -> list[dict[str, object]]:
    return fetched(plane, f"/api/v1/commands?operation={operation}")


def fail(plane: Plane, operation: str) -> None:
    """Stop the host, so that nothing answers; it stands still then."""
    os.kill(plane.others["sim-1"].pid, signal.SIGSTOP)
    limits = {"timeout_seconds": 0.2, "max_attempts": 1, "deadline_seconds": 30}
    body = {"operation": operation, "agent": "sim-1", **limits}
    status, _, answer = plane.request("POST", "/api/v1/commands", body)
    assert status == 202, answer
    until("the command has failed", lambda: commands(plane, operation)[0]["state"] == "FAILED")


def go_on(plane: Plane) -> None:
    os.kill(plane.others["sim-1"].pid, signal.SIGCONT)


def done(plane: Plane, operation: str, arguments: dict[str, object]) -> str:
    """Have it done, and what comes of it."""
    body = {"operation": operation, "agent": "sim-1", "arguments": arguments}
    asked = json.loads(plane.request("POST", "/api/v1/commands", body)[2])
    answer = plane.request("GET", f"/api/v1/commands/{asked['command_id']}?wait=30")[2].decode()
    assert json.loads(answer)["state"] == "SUCCEEDED", answer
    return answer


def test_a_rule_acts_and_helps_and_a_kill_between_decision_and_command_lets_nothing_be_done_twice(
    tmp_path: Path,
) -> None:
    with plane_in(tmp_path) as plane:
        plane.data.mkdir(mode=0o700)
        (plane.data / "alerts.toml").write_text(ALERTS.format(calm=3), encoding="utf-8")
        (plane.data / "remediation.toml").write_text(RULES, encoding="utf-8")
        plane.start_controller()
        plane.start_simulated("sim-1")

        fail(plane, "container_list")
        go_on(plane)
        (decision,) = until(
            "it is said whether it helped",
            lambda: [each for each in history(plane, "restart-web") if each["helped"] is not None],
        )
        assert (decision["decision"], decision["helped"], decision["state"]) == ("acted", True, "SUCCEEDED")
        (restart,) = commands(plane, "container_restart")
        assert restart["command_id"] == decision["command_id"]
        explained = plane.request("GET", f"/api/v1/commands/{restart['command_id']}/explain")[2].decode()
        assert "the rule restart-web asked for it, try 1: command_failed for" in explained
        assert "container_list failed after 1 attempt: timeout" in explained
        until("the alert is over", lambda: not fetched(plane, "/api/v1/alerts"))

        # The host stands still, so what could go isn't known yet when the controller is killed.
        (plane.data / "alerts.toml").write_text(ALERTS.format(calm=600), encoding="utf-8")
        done(plane, "image_pull", {"reference": "alpine:3"})
        fail(plane, "image_list")
        until("the plan is asked for", lambda: commands(plane, "image_prune_plan"))
        plane.kill("controller")
        go_on(plane)
        plane.start_controller()
        until(
            "the prune is over",
            lambda: [each for each in commands(plane, "image_prune") if each["finished_at"]],
        )
        (prune,), (decision,) = commands(plane, "image_prune"), history(plane, "make-room")
        assert (prune["state"], prune["command_id"]) == ("SUCCEEDED", decision["command_id"])
        assert len(commands(plane, "image_prune_plan")) == 1
        assert "alpine" not in done(plane, "image_list", {})
        assert json.loads(plane.request("POST", "/api/v1/audit/verify", {})[2])["fault"] is None
