"""`seawall compose up`: which files are the project, and what is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble

FILE = "services: {web: {image: app}}\n"


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def arguments(controller: ControllerDouble) -> dict[str, object]:
    (body,) = controller.bodies
    sent = body["arguments"]
    assert isinstance(sent, dict)
    return sent


def test_the_usual_file_of_the_folder_is_the_project(
    seawall: Seawall, controller: ControllerDouble, folder: Path
) -> None:
    controller.add("local")
    (folder / "compose.yaml").write_text(FILE, encoding="utf-8")
    assert seawall("compose", "up", "shop", "--on", "local").code == 0
    sent = arguments(controller)
    assert (sent["project"], sent["files"], sent["use"]) == ("shop", {"compose.yaml": FILE}, ["compose.yaml"])


def test_files_refine_each_other_in_their_order_and_others_go_with_them(
    seawall: Seawall, controller: ControllerDouble, folder: Path
) -> None:
    controller.add("local")
    for name in ("base.yaml", "prod.yaml", "web.conf"):
        (folder / name).write_text(FILE, encoding="utf-8")
    (folder / "values").write_text("KEY=a=b\nOTHER=\n", encoding="utf-8")
    words = ("-f", "base.yaml", "-f", "prod.yaml", "--with", "web.conf", "--environment-file", "values")
    assert seawall("compose", "up", "shop", *words, "--services", "web").code == 0
    sent = arguments(controller)
    assert sent["use"] == ["base.yaml", "prod.yaml"]
    assert set(sent["files"]) == {"base.yaml", "prod.yaml", "web.conf"}  # type: ignore[call-overload]  # JSON
    assert sent["environment"] == {"KEY": "a=b", "OTHER": ""}
    assert sent["services"] == ["web"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is no compose.yaml here"),
        (("-f", "none.yaml"), "none.yaml can't be read"),
        (("-f", "a/x.yaml", "-f", "b/x.yaml"), "two of the files are named x.yaml"),
    ],
)
def test_files_that_cannot_be_sent_are_told_before_anything_is(
    seawall: Seawall, controller: ControllerDouble, folder: Path, words: tuple[str, ...], told: str
) -> None:
    controller.add("local")
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "x.yaml").write_text(FILE, encoding="utf-8")
    call = seawall("compose", "up", "shop", *words)
    assert call.code == 2
    assert told in call.err
    assert controller.bodies == []
