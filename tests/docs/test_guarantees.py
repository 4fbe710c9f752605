"""The page of guarantees has all of them, and every proof that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| G\d", line)
]


def test_every_guarantee_is_listed_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == [f"G{number}" for number in range(1, 26)]


def test_every_guarantee_says_how_far_it_is_proved_and_by_what() -> None:
    for number, _, proved, by, *times in ROWS:
        assert proved.startswith("proved") or (proved, by, *times) == ("not yet", "", "", ""), number
        assert (proved == "not yet") == (not re.search(r"`tests/\S+`", by)), number
        assert len(times) == 2, number


def test_every_proof_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_rate_is_three_by_the_number_of_trials() -> None:
    for trials, rate in re.findall(r"([\d,]+) (?:[a-z ]+ )?\(([\d.]+) %\)", PAGE):
        bound = 300 / int(trials.replace(",", ""))
        assert abs(bound - float(rate)) <= bound / 10, (trials, rate)
