"""Scenarios are read strictly, and mistakes are found by their line."""

from __future__ import annotations

import pytest

from seawall.simulator.scenario import ScenarioInvalid, parse, shipped

GOOD = """\
summary = "Something"
seconds = 60

[traffic]
per_second = 2

[[fault]]
type = "slow"
begin = 1
end = 2
factor = 3

[[fault]]
type = "dead"
begin = 10
end = 20
"""


def test_a_scenario_is_read() -> None:
    scenario = parse(GOOD, "mine.toml")
    assert (scenario.name, scenario.seconds, len(scenario.fault)) == ("mine", 60.0, 2)
    assert scenario.healed_at == 20.0


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("seconds = 60", "seconds = 0", 2, "> 0"),
        ("seconds = 60", "secnds = 60", 2, "secnds"),
        ("per_second = 2", "per_second = 2\nper_minute = 3", 6, "per_minute"),
        ("per_second = 2", "per_second = 'x'", 5, "float"),
        ("factor = 3", "factor = -3", 11, "> 0"),
        ("factor = 3", "factr = 3", 11, "factr"),
        ("factor = 3", "", 7, "factor"),
        ('type = "dead"', 'type = "ded"', 14, "ded"),
        ("end = 20", "end = 5", 13, "must come after"),
        ("end = 20", "end = 20\nhosts = -1", 17, ">= 0"),
        ("seconds = 60", "seconds = = 60", 2, "Invalid value"),
    ],
)
def test_a_mistake_is_found_by_its_line(old: str, new: str, line: int, what: str) -> None:
    with pytest.raises(ScenarioInvalid) as problem:
        parse(GOOD.replace(old, new), "mine.toml")
    assert f"line {line}" in str(problem.value)
    assert what in str(problem.value)
    assert "mine.toml" in str(problem.value)


def test_those_that_are_shipped_can_be_read_and_bear_the_names_of_their_files() -> None:
    assert {"overload", "dead", "dead-quiet", "flaky", "very-flaky", "outage"} <= set(shipped())
