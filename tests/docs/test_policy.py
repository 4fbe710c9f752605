"""The page of the policy file and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

from seawall.engine.policies import OPERATION_KEYS, PLANE_KEYS, Limit, read_policies
from tests.docs.tables import rows

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"


def values(limit: Limit) -> str:
    if limit.words:
        return limit.words
    if limit.kind is bool:
        return "true, false"
    return ", ".join(limit.choices) or f"{limit.low:.10g} to {limit.high:.10g}"


def test_every_key_of_an_operation_is_documented_with_its_values_and_no_other() -> None:
    documented = {row[0]: row[1] for row in rows("policy.md", "key of an operation")}
    assert documented == {name: values(limit) for name, limit in OPERATION_KEYS.items()}


def test_every_key_of_the_plane_is_documented_with_its_values_and_no_other() -> None:
    documented = {row[0]: row[1] for row in rows("policy.md", "key of the plane")}
    expected = {
        f"{table}.{name}": values(limit) for table, keys in PLANE_KEYS.items() for name, limit in keys.items()
    }
    assert documented == expected


def test_the_example_of_the_page_is_a_policy_file() -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert read_policies("example", found[1]).preset == "production"
