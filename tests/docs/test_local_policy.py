"""The page about the host's policy names every level and every rule that there is, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

from seawall.agent.local_policy import Level, Rules
from seawall.agent.local_policy_file import parse_policy

PAGE = (Path(__file__).parents[2] / "docs" / "explain" / "local-policy.md").read_text(encoding="utf-8")


def test_every_level_and_every_rule_is_described() -> None:
    described = re.findall(r"^\| `([a-z_-]+)` \|", PAGE, re.MULTILINE)
    assert described == [*(level.value for level in Level), *Rules.__struct_fields__]


def test_the_example_is_a_policy() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert parse_policy("the example", example[1]).level is Level.MANAGE
