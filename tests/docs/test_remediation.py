"""The page of the remediation file and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seawall.core.remediation import Refusal, Verdict
from seawall.engine.limits import Limit
from seawall.engine.remediation_settings import REMEDIATION_KEYS, REMEDY_KEYS, read_remediation_settings
from tests.docs.tables import rows
from tests.docs.test_alerts import values

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("heading", "keys"), [("key of the file", REMEDIATION_KEYS), ("key of a rule", REMEDY_KEYS)]
)
def test_every_key_is_documented_with_its_values_and_no_other(heading: str, keys: dict[str, Limit]) -> None:
    documented = {row[0]: row[1] for row in rows("remediation.md", heading)}
    assert documented == {
        name: "a table" if limit.kind is dict else values(limit) for name, limit in keys.items()
    }


def test_every_decision_and_refusal_is_documented_and_no_other() -> None:
    decisions = {row[0] for row in rows("remediation.md", "decision")}
    assert decisions == {verdict.value for verdict in Verdict if verdict is not Verdict.WAIT}
    assert {row[0] for row in rows("remediation.md", "refusal")} == {each.value for each in Refusal}


@pytest.mark.parametrize("page", ["reference", "how-to"])
def test_the_examples_of_the_pages_are_remediation_files(page: str) -> None:
    text = (DOCS / page / "remediation.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        assert read_remediation_settings("example", example).remedies
