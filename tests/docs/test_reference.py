"""The reference names everything that the code has, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from seawall.controller.api.problems import ProblemCode
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.telemetry.prometheus import METRICS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def test_every_error_code_is_documented_once_and_no_other() -> None:
    section = (REFERENCE / "errors.md").read_text(encoding="utf-8").partition("## States")[0]
    assert sorted(first_cells(section)) == sorted(code.value for code in CommandErrorCode)


def test_every_circumstance_is_documented_and_no_other() -> None:
    section = (REFERENCE / "errors.md").read_text(encoding="utf-8").partition("## Circumstances")[2]
    documented = first_cells(section.partition("## Problems of the API")[0])
    assert sorted(documented) == sorted(circumstance.value for circumstance in Circumstance)


def test_every_metric_is_documented_once_and_no_other() -> None:
    documented = first_cells((REFERENCE / "metrics.md").read_text(encoding="utf-8"))
    assert sorted(documented) == sorted(metric.name for metric in METRICS)


def test_every_code_of_a_problem_is_documented() -> None:
    section = (REFERENCE / "errors.md").read_text(encoding="utf-8").partition("## Problems of the API")[2]
    assert sorted(first_cells(section)) == sorted(code.value for code in ProblemCode)
