"""The page of settings and the model say the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import annotated_types
import pytest
import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from seawall.cli.main import app
from seawall.controller.settings import (
    ENVIRONMENT_PREFIX,
    ControllerSettings,
    default_data_directory,
    load_settings,
)
from tests.docs.tables import rows

# One value for each setting that isn't its default.
SAMPLES = {
    "data": "elsewhere",
    "api": "127.0.0.1:1",
    "agents": "127.0.0.1:2",
    "log_format": "json",
    "log_level": "ERROR",
}
ANOTHER_NUMBER = "77"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without settings, and an environment without them."""
    for name in [each for each in os.environ if each.startswith(ENVIRONMENT_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def settings(model: type[BaseModel] = ControllerSettings, table: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{name}.")
        else:
            yield f"{table}{name}", field


def value(of: BaseModel, name: str) -> object:
    found: object = of
    for part in name.split("."):
        found = getattr(found, part)
    return found


def shown(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def values(field: FieldInfo) -> str | None:
    choices = getattr(field.annotation, "__args__", ())
    if choices:
        return ", ".join(choices)
    limits: dict[str, float] = {}
    for mark in field.metadata:
        for name in ("gt", "ge", "le"):
            if isinstance(mark, annotated_types.BaseMetadata) and hasattr(mark, name):
                limits[name] = getattr(mark, name)
    if not limits:
        return None
    low = f"above {limits['gt']:.12g}," if "gt" in limits else f"{limits['ge']:.12g}"
    return f"{low} to {limits['le']:.12g}"


def test_every_setting_is_documented_once_and_no_other() -> None:
    documented = [row[0] for row in rows("settings.md", "setting")]
    assert sorted(documented) == sorted(name for name, _ in settings())


def test_every_default_of_a_setting_is_the_documented_one(home: Path) -> None:
    defaults = {name: shown(value(ControllerSettings(), name)) for name, _ in settings()}
    defaults["data"] = str(default_data_directory()).replace(str(home), "~")
    assert {row[0]: row[3] for row in rows("settings.md", "setting")} == defaults


def test_the_limits_of_every_setting_are_the_documented_ones() -> None:
    documented = {row[0]: row[4] for row in rows("settings.md", "setting")}
    limits = {name: found for name, field in settings() if (found := values(field)) is not None}
    assert {name: documented[name] for name in limits} == limits
    assert {name for name in documented if name not in limits} == {"data", "api", "agents"}


def test_every_documented_variable_sets_its_setting_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load_settings()
    for row in rows("settings.md", "setting"):
        with monkeypatch.context() as environment:
            environment.setenv(row[1], SAMPLES.get(row[0], ANOTHER_NUMBER))
            after = load_settings()
        changed = [name for name, _ in settings() if value(after, name) != value(before, name)]
        assert changed == [row[0]], row[1]


def test_every_documented_flag_of_a_setting_is_one_of_the_controller_and_the_other_way_round() -> None:
    documented = {row[0].replace("_", "-"): row[2] for row in rows("settings.md", "setting")}
    controller = getattr(typer.main.get_command(app), "commands")["controller"]  # noqa: B009 - typer's own click
    flags = {opt for parameter in controller.params if not parameter.hidden for opt in parameter.opts}
    assert {flag for flag in documented.values() if flag != "-"} == flags - {"--config"}
    assert all(flag in ("-", f"--{name}") for name, flag in documented.items())
