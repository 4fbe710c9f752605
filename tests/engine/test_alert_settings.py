"""The alert file is read strictly, and every complaint says which line is meant and what would be right."""

from __future__ import annotations

import pytest

from seawall.core.alert_rules import RULES, AlertKind, Severity
from seawall.engine.alert_settings import AlertSettings, read_alert_settings
from seawall.toml_document import InvalidToml

GOOD = """
channels = ["ops"]
group_seconds = 10
allow = ["10.0.0.0/8", "hooks.lan", "::1"]

[rule.circuit]
severity = "critical"
escalate_after_seconds = 60
escalate_to = ["phone"]

[silence.night]
from = "22:00"
to = "06:00"
zone = "Europe/Berlin"
days = ["fri", "sat"]
rules = ["circuit"]
hosts = ["web-*"]
"""


def test_what_is_written_holds_and_the_rest_stays_as_it_is() -> None:
    settings = read_alert_settings("a.toml", GOOD)
    rule = settings.rules[AlertKind.CIRCUIT]
    assert (rule.severity, rule.escalate_to) == (Severity.CRITICAL, ("phone",))
    assert rule.calm_seconds == RULES[AlertKind.CIRCUIT].calm_seconds
    assert settings.rules[AlertKind.DISK_LOW] == RULES[AlertKind.DISK_LOW]
    assert (settings.channels, settings.group_seconds) == (("ops",), 10.0)
    assert settings.sources["circuit.severity"] == "a.toml, line 7"
    (silence,) = settings.silences
    assert (silence.days, silence.kinds) == (frozenset({4, 5}), frozenset({AlertKind.CIRCUIT}))


def test_an_empty_file_says_nothing_new() -> None:
    assert read_alert_settings("a.toml", "") == AlertSettings()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\nchanels = []", r"line 2: chanels isn't known; did you mean 'channels'\?"),
        ("channels = 'ops'", r"line 1: channels must be a list of names of channels, not 'ops'"),
        ("channels = ['Ops!']", r"line 1: channels must be a list of names of channels"),
        ("allow = ['10.0.0.1/8']", r"line 1: allow has what is no host, address or network: .*host bits set"),
        ("group_seconds = -1", r"line 1: group_seconds must be a number from 0 to 3600, not -1"),
        ("[rule]\ncircuit = 1", r"line 2: rule\.circuit must be a table: write \[rule\.circuit\]"),
        ("rule = 1", r"line 1: rule must hold tables: write \[rule\.NAME\]"),
        ("\n[rule.circiut]\n", r"line 2: rule\.circiut isn't known; did you mean 'circuit'\?"),
        (
            "[rule.circuit]\n\nfor_second = 3",
            r"line 3: rule\.circuit\.for_second isn't known; did you mean 'for_seconds'\?",
        ),
        ("[rule.circuit]\nenabled = 'no'", r"line 2: rule\.circuit\.enabled must be true or false"),
        ("[rule.circuit]\nseverity = 'bad'", r"line 2: rule\.circuit\.severity must be one of info, warning"),
        ("[rule.circuit]\nthreshold = 3", r"line 2: rule\.circuit\.threshold means nothing for this rule"),
        (
            "[rule.command_failed]\nfor_seconds = 3",
            r"line 2: rule\.command_failed\.for_seconds means nothing",
        ),
        ("[silence.x]\nfrom = '22:00'", r"line 1: silence\.x needs a time of day as 'to'"),
        ("[silence.x]\nfrom = '24:00'\nto = '06:00'", r"line 2: silence\.x\.from must be a time of day"),
        (
            "[silence.x]\nfrom = '22:00'\nto = '06:00'\nzone = 'Mars/Base'",
            r"line 4: silence\.x\.zone isn't a time zone",
        ),
        (
            "[silence.x]\nfrom = '22:00'\nto = '06:00'\nzone = '../../etc/passwd'",
            r"line 4: silence\.x\.zone must be",
        ),
        (
            "[silence.x]\nfrom = '22:00'\nto = '06:00'\ndays = ['friday']",
            r"line 4: silence\.x\.days must be a list of mon",
        ),
        ("[silence.x\n", r"line 1: this isn't TOML"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_with_what_would_be_right(text: str, complaint: str) -> None:
    with pytest.raises(InvalidToml, match=rf"^a\.toml, {complaint}"):
        read_alert_settings("a.toml", text)
