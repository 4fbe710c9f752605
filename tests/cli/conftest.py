"""A controller to talk to, and a home where nothing of this machine's user is."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from seawall.cli.main import main
from tests.cli.controller_double import TOKEN, ControllerDouble, served


@dataclass
class Call:
    """What one call of the CLI did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)

    @property
    def both(self) -> str:
        return self.out + self.err


Seawall = Callable[..., Call]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in (
        "SEAWALL_URL",
        "SEAWALL_TOKEN",
        "SEAWALL_CA",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "DOCKER_HOST",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def seawall(home: Path, capsys: pytest.CaptureFixture[str]) -> Seawall:
    def call(*words: str) -> Call:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Call(code, captured.out, captured.err)

    return call


@pytest.fixture
def controller(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControllerDouble]:
    with served(ControllerDouble()) as double:
        monkeypatch.setenv("SEAWALL_URL", double.url)
        monkeypatch.setenv("SEAWALL_TOKEN", TOKEN)
        yield double


@pytest.fixture
def _ctrl_c_works() -> Iterator[None]:
    """A run in the background is started deaf to Ctrl-C, and a call of the CLI would be as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
