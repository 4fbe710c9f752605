"""`seawall policy` and `seawall command explain`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble

GOOD = "[operation.container_stop]\ntimeout_seconds = 90\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_what_holds_is_shown_for_every_operation(seawall: Seawall, controller: ControllerDouble) -> None:
    call = seawall("policy", "show")
    assert call.code == 0
    assert "preset production" in call.out
    assert "container_stop" in call.out
    assert "breaker.failure_threshold" in call.out


def test_of_one_operation_the_source_of_each_value_is_shown(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.policy_text = GOOD
    call = seawall("policy", "show", "container_stop")
    assert "policy.toml, line 2" in call.out
    assert "preset production" in call.out


def test_an_operation_that_nobody_knows_is_a_mistake_of_the_caller(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    call = seawall("policy", "show", "container_teleport")
    assert call.code == 2
    assert "container_stop" in call.err


def test_a_file_is_checked_without_a_controller(seawall: Seawall, file: Path) -> None:
    assert seawall("policy", "check", str(file)).code == 0
    file.write_text("[default]\nmax_attempts = 0\n", encoding="utf-8")
    call = seawall("policy", "check", str(file))
    assert call.code == 1
    assert f"{file}, line 2: default.max_attempts must be a whole number from 1 to 20, not 0" in call.err


def test_a_file_that_is_not_there_is_named(seawall: Seawall, tmp_path: Path) -> None:
    call = seawall("policy", "check", str(tmp_path / "none.toml"))
    assert call.code == 1
    assert "none.toml can't be read" in call.err


def test_a_file_is_put_in_place_and_what_holds_then_is_said(
    seawall: Seawall, controller: ControllerDouble, file: Path
) -> None:
    assert seawall("policy", "set", str(file)).code == 0
    assert controller.policy_text == GOOD


def test_a_file_with_a_mistake_is_not_even_sent(
    seawall: Seawall, controller: ControllerDouble, file: Path
) -> None:
    file.write_text("nope = 1\n", encoding="utf-8")
    assert seawall("policy", "set", str(file)).code == 1
    assert controller.policy_text == ""


def test_a_preset_alone_is_a_policy(seawall: Seawall, controller: ControllerDouble) -> None:
    call = seawall("policy", "set", "--preset", "development")
    assert (call.code, controller.policy_text) == (0, 'preset = "development"\n')
    assert "development" in call.out


@pytest.mark.parametrize("words", [[], ["--preset", "fast"], ["x.toml", "--preset", "production"]])
def test_it_is_either_a_file_or_a_preset_that_there_is(
    seawall: Seawall, controller: ControllerDouble, words: list[str]
) -> None:
    assert seawall("policy", "set", *words).code == 2


def test_a_commands_life_is_told_step_by_step_and_no_control_sequence_gets_through(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local")
    seawall("container", "restart", "web", "--on", "local")
    command_id = next(iter(controller.commands))
    call = seawall("command", "explain", command_id)
    assert call.code == 0
    assert "+0.000 s  it was accepted" in call.out
    assert "\x1b" not in call.out
    assert isinstance(seawall("command", "explain", command_id, "--json").json, dict)
