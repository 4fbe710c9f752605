"""The page of the alert file and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seawall.core.alert_rules import GROUP_SECONDS, MEANINGS, RULES
from seawall.engine.alert_settings import PLANE_KEYS, RULE_KEYS, SILENCE_KEYS, read_alert_settings
from seawall.engine.limits import Limit
from seawall.wire.webhook import MESSAGE_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from tests.docs.tables import rows

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "alerts.md"


def values(limit: Limit) -> str:
    if limit.words:
        return limit.words
    if limit.kind is bool:
        return "true, false"
    choices = ", ".join(limit.choices)
    if limit.kind is list:
        return f"of {choices}"
    return choices or f"{limit.low:.10g} to {limit.high:.10g}"


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("key of the file", PLANE_KEYS),
        ("key of a rule", RULE_KEYS),
        ("key of a silence", SILENCE_KEYS),
    ],
)
def test_every_key_is_documented_with_its_values_and_no_other(heading: str, keys: dict[str, Limit]) -> None:
    documented = {row[0]: row[1] for row in rows("alerts.md", heading)}
    assert documented == {name: values(limit) for name, limit in keys.items()}


def test_every_rule_is_documented_with_its_defaults_and_no_other() -> None:
    documented = {row[0]: row[1:6] for row in rows("alerts.md", "rule")}
    assert documented == {
        kind.value: [
            rule.severity.value,
            f"{rule.threshold:g}" if kind in MEANINGS else "-",
            *(f"{seconds:g}" for seconds in (rule.for_seconds, rule.calm_seconds, rule.cool_down_seconds)),
        ]
        for kind, rule in RULES.items()
    }
    assert f"{GROUP_SECONDS:g} unless set" in PAGE.read_text(encoding="utf-8")


def test_every_header_of_a_webhook_is_documented() -> None:
    documented = [row[0] for row in rows("alerts.md", "header")]
    assert documented == [MESSAGE_ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER]


def test_the_example_of_the_page_is_an_alert_file() -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    settings = read_alert_settings("example", found[1])
    assert (settings.channels, len(settings.silences)) == (("ops",), 1)
