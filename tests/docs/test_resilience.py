"""The page about resilience shows the machine that runs, and every policy and scenario that there is."""

from __future__ import annotations

import re
from pathlib import Path

from seawall.core.policy import PRESETS
from seawall.simulator.scenario import parse, shipped
from tests.docs.diagrams import circuit_diagram, dispatch_diagram

FOLDER = Path(__file__).parents[2] / "docs" / "explain"
PAGE = (FOLDER / "resilience.md").read_text(encoding="utf-8")
MOST_BYTES = 150_000


def test_the_diagrams_are_those_of_the_core() -> None:
    drawn = re.findall(r"```mermaid\n(.*?)\n```", PAGE, re.DOTALL)
    assert drawn == [dispatch_diagram(), circuit_diagram()]


def test_every_preset_is_described_with_its_values() -> None:
    for name, policy in PRESETS.items():
        retry, breaker = policy.retry, policy.breaker
        row = (
            f"| `{name}` | {retry.max_attempts} | {retry.initial_delay:g} s | {retry.max_delay:g} s "
            f"| {breaker.open_seconds:g} s | {breaker.max_open_seconds:g} s | {breaker.failure_rate:.0%} |"
        )
        assert row in PAGE


def test_every_scenario_is_named() -> None:
    for name in shipped():
        assert f"`{name}`" in PAGE


def test_the_example_of_a_scenario_can_be_run() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert parse(example, "resilience.md").hosts == 10


def test_every_picture_is_shown_and_small() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
    there = sorted(FOLDER.glob("*.png"))
    assert sorted(shown) == [each.name for each in there]
    assert all(each.stat().st_size < MOST_BYTES for each in there)
