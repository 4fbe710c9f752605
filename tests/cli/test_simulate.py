"""`seawall simulate` compares, draws, replays, and says what can't be meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Seawall
from tests.simulator.test_recording import command

SMALL = """\
summary = "Small"
seconds = 120
[traffic]
per_second = 1
[[fault]]
type = "slow"
begin = 10
end = 20
factor = 2
"""


@pytest.fixture
def scenario(home: Path) -> str:
    file = home / "small.toml"
    file.write_text(SMALL)
    return str(file)


def test_policies_stand_side_by_side(seawall: Seawall, scenario: str) -> None:
    call = seawall("simulate", scenario, "--against", "naive", "--seeds", "2")
    assert call.code == 0
    assert "0 of 2" in call.out
    assert [line.split()[0] for line in call.out.splitlines()[:3]] == ["POLICY", "production", "naive"]


def test_a_policy_file_is_simulated_beside_the_preset_that_it_changes(seawall: Seawall, home: Path) -> None:
    file = home / "mine.toml"
    file.write_text('preset = "production"\n[default]\nmax_attempts = 1\n[breaker]\nshadow = true\n')
    call = seawall(
        "simulate", "flaky", "--policy", str(file), "--against", "production", "--seeds", "1", "--json"
    )
    assert isinstance(call.json, dict)
    mine, preset = call.json["policies"]
    assert (mine["contender"], preset["contender"]) == (str(file), "production")
    assert mine["most_amplification"] == 1.0 < preset["most_amplification"]
    assert "simulated" not in call.err


def test_tables_for_some_operations_are_not_simulated_and_that_is_said(
    seawall: Seawall, home: Path, scenario: str
) -> None:
    file = home / "mine.toml"
    file.write_text("[operation.container_stop]\nmax_attempts = 1\n[class.safe_read]\nmax_attempts = 1\n")
    call = seawall("simulate", scenario, "--policy", str(file), "--seeds", "1")
    assert call.code == 0
    assert "none is simulated: operation.container_stop, class.safe_read" in call.err


def test_a_policy_file_with_a_mistake_is_refused_with_its_line(seawall: Seawall, home: Path) -> None:
    file = home / "mine.toml"
    file.write_text("[default]\nmax_attempts = 0\n")
    call = seawall("simulate", "overload", "--against", str(file))
    assert call.code == 2
    assert "line 2" in call.err


def test_the_figures_are_there_as_json(seawall: Seawall, scenario: str) -> None:
    figures = seawall("simulate", scenario, "--seeds", "1", "--json").json
    assert isinstance(figures, dict)
    assert figures["policies"][0]["contender"] == "production"
    assert figures["policies"][0]["amplification"] >= 1.0


def test_the_scenarios_are_listed(seawall: Seawall) -> None:
    assert "overload" in seawall("simulate", "list").out
    assert "S1" in str(seawall("simulate", "list", "--json").json)


def test_a_picture_is_drawn(seawall: Seawall, scenario: str, tmp_path: Path) -> None:
    file = tmp_path / "out.png"
    assert seawall("simulate", scenario, "--seeds", "1", "--plot", str(file)).code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_a_picture_nothing_loads_matplotlib(scenario: str) -> None:
    program = (
        "import sys; from seawall.cli.main import main; "
        f"code = main(['simulate', {scenario!r}, '--seeds', '1']); "
        "sys.exit(code or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_a_history_is_replayed(seawall: Seawall, home: Path) -> None:
    file = home / "history.json"
    file.write_bytes(msgspec.json.encode([command(float(second)) for second in range(30)]))
    call = seawall("simulate", "--replay", str(file), "--seeds", "1", "--json")
    assert call.code == 0
    assert isinstance(call.json, dict)
    assert call.json["policies"][0]["success"] == 1.0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "give a scenario"),
        (("overload", "--replay", "x"), "not both"),
        (("nonsense",), "no scenario 'nonsense'"),
        (("overload", "--policy", "best"), "no policy 'best'"),
        (("overload", "--against", "worst"), "no policy 'worst'"),
        (("--replay", "/no/such/file"), "can't be read"),
    ],
)
def test_what_can_not_be_meant_is_said(seawall: Seawall, words: tuple[str, ...], problem: str) -> None:
    call = seawall("simulate", *words)
    assert call.code == 2
    assert problem in call.err


def test_a_mistake_in_a_scenario_is_named_with_its_line(seawall: Seawall, home: Path) -> None:
    file = home / "bad.toml"
    file.write_text(SMALL.replace("factor = 2", "factr = 2"))
    call = seawall("simulate", str(file))
    assert call.code == 2
    assert "line 9" in call.err


def test_a_picture_of_an_unknown_format_is_refused(seawall: Seawall, scenario: str, tmp_path: Path) -> None:
    call = seawall("simulate", scenario, "--seeds", "1", "--plot", str(tmp_path / "out.xyz"))
    assert call.code == 2
    assert "can't be drawn" in call.err
