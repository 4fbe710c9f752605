"""The quickstart is true: its commands are run one by one against a real Docker Engine, and say what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in, until

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"

pytestmark = pytest.mark.timeout(240, func_only=True)


@dataclass(frozen=True)
class Step:
    """One command of the page, and what it shows below it."""

    words: list[str]
    shown: str

    def fits(self, printed: str) -> bool:
        """Whether that is what was printed: `...` stands for anything, and blanks are as wide as they are."""
        pattern = "".join(
            ".*" if part == "..." else r"\s+" if part.isspace() else re.escape(part)
            for part in re.split(r"(\.\.\.|\s+)", self.shown.strip())
        )
        return re.search(pattern, printed, re.DOTALL) is not None


def steps() -> Iterator[Step]:
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        command, _, shown = block.partition("\n")
        yield Step(shlex.split(command.removeprefix("$ ")), shown)


def test_the_quickstart_has_ten_commands() -> None:
    assert len(list(steps())) == 10
    assert all(step.words[0] == "seawall" for step in steps())


@pytest.mark.docker
def test_every_command_of_the_quickstart_does_what_it_shows(tmp_path: Path, docker_engine: Engine) -> None:
    first, *others = steps()
    with plane_in(tmp_path) as plane:
        assert first.words == ["seawall", "up"]
        plane.up("--docker", docker_engine.host)
        assert first.fits(plane.printed()), plane.printed()
        for step in others:
            until(shlex.join(step.words), partial(done, plane, step))


@pytest.mark.docker
def test_the_program_of_the_quickstart_runs(tmp_path: Path, docker_engine: Engine) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    docker_engine.run_container("hello")
    with plane_in(tmp_path) as plane:
        plane.up("--docker", docker_engine.host)
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=plane.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith("local [")
        assert "container_restart" in plane.cli("command", "list").stdout


def done(plane: Plane, step: Step) -> bool:
    """Whether a command has shown what it should; a read may be early, and is asked again."""
    call = plane.cli(*step.words[1:])
    printed = call.stdout + call.stderr
    assert call.returncode == 0, printed
    fits = step.fits(printed)
    assert fits or "logs" in step.words, f"{shlex.join(step.words)} shows\n{printed}\nand not\n{step.shown}"
    return fits
