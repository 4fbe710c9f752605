"""What a run says about its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import figures


def test_figures_of_one_name_are_added_up_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "figures"
    monkeypatch.setenv(figures.FILE, str(file))
    figures.record("power losses", 1_000, unit="images")
    figures.record("power losses", 2_000, unit="images")
    figures.record("kills", 10, 1)
    assert figures.summary(file) == [
        "kills: 10 runs, 1 failures",
        "power losses: 3,000 images, 0 failures (a rate below 0.001 at 95 %)",
    ]


def test_a_run_that_counted_nothing_says_nothing(tmp_path: Path) -> None:
    assert figures.summary(tmp_path / "figures") == []
