"""`seawall alert`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ACCEPTED_AT, TOKEN, ControllerDouble

ALERT = {
    "alert_id": "l-1",
    "kind": "circuit",
    "severity": "warning",
    "state": "open",
    "text": "the circuit of its docker is \x1b[31mopen",
    "opened_at": ACCEPTED_AT,
    "host": "web-1",
    "active": True,
    "flapping": True,
    "openings": 7,
    "told_at": ACCEPTED_AT,
}
DELIVERY = {
    "message_id": "m-1",
    "at": ACCEPTED_AT,
    "said": "opened",
    "title": "circuit open on web-1",
    "channel": "ops",
    "attempts": 3,
    "error": "the receiver answered 500",
}
SILENCE = {
    "silence_id": "s-1",
    "until": "2030-01-01T02:00:00Z",
    "kinds": ["circuit"],
    "hosts": ["web-*"],
    "created_by": "ada",
}
RULE = {"severity": "warning", "for_seconds": 60, "threshold": 0.05, "threshold_means": "share free"}
CHANNEL = {"name": "ops", "kind": "webhook", "address": "https://…", "created_at": ACCEPTED_AT}


def test_open_alerts_are_listed_and_no_control_sequence_gets_through(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["GET", "alerts"] = [ALERT, {**ALERT, "told_at": None, "acknowledged_by": "ada"}]
    call = seawall("alert", "list")
    assert call.code == 0
    assert "flapping" in call.out
    assert "acknowledged, not told" in call.out
    assert "\x1b" not in call.out
    assert isinstance(seawall("alert", "list", "--all", "--json").json, list)


def test_without_an_alert_it_says_that_nothing_is_wrong(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["GET", "alerts"] = []
    assert "nothing is wrong" in seawall("alert", "list").err


def test_an_alert_is_shown_with_what_became_of_its_messages(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["GET", "alerts/l-1"] = {**ALERT, "deliveries": [DELIVERY]}
    call = seawall("alert", "show", "l-1")
    assert "its cause came 7 times" in call.out
    assert "waits, attempt 3 failed: the receiver answered 500" in call.out
    assert seawall("alert", "show", "l-2").code == 2


def test_taking_care_of_an_alert_sends_the_reason(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.alert_answers["POST", "alerts/l-1/acknowledge"] = ALERT
    assert seawall("alert", "acknowledge", "l-1", "--reason", "I look").code == 0
    assert controller.bodies == [{"reason": "I look"}]


def test_a_silence_has_a_length_and_may_name_rules_and_hosts(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["POST", "alert-silences"] = SILENCE
    call = seawall(
        "alert", "silence", "--for", "2h", "--rule", "circuit", "--on", "web-*", "--reason", "work"
    )
    assert "quiet until 2030-01-01 02:00 UTC: circuit on web-* (s-1)" in call.out
    assert controller.bodies == [
        {"seconds": 7200.0, "rules": ["circuit"], "hosts": ["web-*"], "reason": "work"}
    ]
    for words in ([], ["--for", "soon"], ["--for", "2h", "--end", "s-1"], ["--for", "2h", "--rule", "nope"]):
        assert seawall("alert", "silence", *words).code == 2


def test_a_silence_is_ended_by_its_id(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.alert_answers["DELETE", "alert-silences/s-1"] = ""
    assert seawall("alert", "silence", "--end", "s-1").code == 0
    assert seawall("alert", "silence", "--end", "s-2").code == 2


def test_the_rules_are_shown_with_what_the_file_changes_and_with_all_silences(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    window = {"name": "night", "from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}
    controller.alert_answers["GET", "alert-rules"] = {
        "rules": {"disk_low": {**RULE, "sources": {"threshold": "alerts.toml, line 2"}}},
        "silences": [window],
        "channels": None,
    }
    controller.alert_answers["GET", "alert-silences"] = [SILENCE]
    call = seawall("alert", "rules")
    for text in ("disk_low", "0.05", "all channels", "threshold", "22:00 to 06:00 Europe/Berlin", "s-1"):
        assert text in call.out


def test_a_file_is_checked_without_a_controller(seawall: Seawall, tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text("[rule.circuit]\nenabled = false\n", encoding="utf-8")
    assert "9 rules on, 1 off" in seawall("alert", "check", str(file)).out
    file.write_text("[rule.circuit]\ncalm = 3\n", encoding="utf-8")
    call = seawall("alert", "check", str(file))
    assert call.code == 1
    assert f"{file}, line 2: rule.circuit.calm isn't known" in call.err
    assert seawall("alert", "check", str(tmp_path / "none.toml")).code == 1


def test_a_channels_secret_is_printed_once_and_its_address_never(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["POST", "alert-channels"] = {**CHANNEL, "secret": "signing"}
    call = seawall("alert", "channel", "add", "ops", "https://hooks.example.com/t0kent0ken")
    assert call.out == "signing\n"
    assert "t0kent0ken" not in call.both
    controller.alert_answers["GET", "alert-channels"] = [CHANNEL]
    assert "https://…" in seawall("alert", "channel", "list").out
    controller.alert_answers["DELETE", "alert-channels/ops"] = ""
    assert seawall("alert", "channel", "remove", "ops").code == 0


def test_an_address_that_is_not_an_argument_is_read_from_standard_input(
    seawall: Seawall, controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.alert_answers["POST", "alert-channels"] = CHANNEL
    monkeypatch.setattr("sys.stdin", io.StringIO("slack://a/b/c\n"))
    assert seawall("alert", "channel", "add", "ops").code == 0
    assert controller.bodies == [{"name": "ops", "url": "slack://a/b/c"}]


def test_all_channels_are_tried_and_one_that_fails_is_the_exit_code(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.alert_answers["GET", "alert-channels"] = [CHANNEL, {**CHANNEL, "name": "phone"}]
    controller.alert_answers["POST", "alert-channels/ops/test"] = {"channel": "ops", "delivered": True}
    failed = {"channel": "phone", "delivered": False, "error": "the receiver answered 500"}
    controller.alert_answers["POST", "alert-channels/phone/test"] = failed
    call = seawall("alert", "test")
    assert call.code == 1
    assert "phone" in call.out
    assert "the receiver answered 500" in call.out
    assert seawall("alert", "test", "ops").code == 0


def test_the_token_is_never_printed(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.alert_answers["GET", "alerts"] = [ALERT]
    assert TOKEN not in seawall("alert", "list").both
