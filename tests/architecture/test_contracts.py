"""The import contracts hold, and each of them turns red when the tree breaks it."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT_PREFIX = "importlinter:contract:"


@dataclass(frozen=True)
class Breakage:
    """An import that must not be: `module` (a new one, or one that is there) gets `line`, which breaks `contract`."""

    contract: str
    module: str
    line: str

    def __str__(self) -> str:
        return f"{self.contract}: {self.module}: {self.line}"


BREAKAGES = [
    Breakage("layers", "core/offending.py", "import seawall.clock"),
    Breakage("layers", "core/offending.py", "import seawall"),
    Breakage("layers", "clock.py", "import seawall.engine.ports"),
    Breakage("layers", "operations/offending.py", "import seawall.wire.codec"),
    Breakage("layers", "wire/offending.py", "import seawall.operations.registry"),
    Breakage("layers", "wire/offending.py", "import seawall.clock"),
    Breakage("layers", "engine/offending.py", "import seawall.storage"),
    Breakage("layers", "telemetry/offending.py", "import seawall.storage"),
    Breakage("layers", "client/offending.py", "import seawall.telemetry.log"),
    Breakage("layers", "storage/offending.py", "import seawall.controller"),
    Breakage("layers", "controller/offending.py", "import seawall.agent.identity"),
    Breakage("layers", "agent/offending.py", "import seawall.testing"),
    Breakage("layers", "testing/offending.py", "import seawall.cli"),
    Breakage("layers", "a_room_without_a_place/__init__.py", ""),
    Breakage("core-stands-alone", "core/offending.py", "import seawall.wire.codec"),
    Breakage("agent-rooms", "agent/offending.py", "import seawall.engine.ports"),
    Breakage("agent-rooms", "agent/offending.py", "import seawall.storage"),
    Breakage("agent-rooms", "agent/offending.py", "import seawall.client"),
    Breakage("agent-rooms", "agent/offending.py", "import seawall.controller"),
    Breakage("agent-rooms", "agent/__init__.py", "import seawall"),
    Breakage("agent-installs-thin", "agent/offending.py", "import sqlalchemy"),
    Breakage("agent-installs-thin", "wire/join.py", "import fastapi"),
    Breakage("engine-waits-only", "engine/offending.py", "import aiohttp"),
    Breakage("engine-waits-only", "core/command.py", "import sqlite3"),
    Breakage("no-cycles", "core/errors.py", "import seawall.core.dispatch"),
    Breakage("no-cycles", "engine/ports.py", "import seawall.engine.executor"),
]


def test_every_contract_is_broken_here_once() -> None:
    assert {breakage.contract for breakage in BREAKAGES} == set(contract_names())


def test_the_tree_keeps_every_contract() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name in contract_names().values():
        assert f"{name} KEPT" in checked.stdout


@pytest.mark.parametrize("breakage", BREAKAGES, ids=str)
def test_a_forbidden_import_breaks_its_contract(breakage: Breakage, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    shutil.copy(ROOT / ".importlinter", tree)
    module = tree / "src" / "seawall" / breakage.module
    module.parent.mkdir(exist_ok=True)
    with module.open("a", encoding="utf-8") as file:
        file.write(f"\n{breakage.line}\n")
    checked = lint(tree)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert f"{contract_names()[breakage.contract]} BROKEN" in checked.stdout


def contract_names() -> dict[str, str]:
    """The name of each contract by its identifier."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return {
        section.removeprefix(CONTRACT_PREFIX): parser[section]["name"]
        for section in parser.sections()
        if section.startswith(CONTRACT_PREFIX)
    }


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of one tree, whatever `seawall` is installed."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=tree,
        # A narrow terminal would cut the names.
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
