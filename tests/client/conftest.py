"""A controller to talk to, and an environment where nothing of this machine's user is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.controller_double import TOKEN, ControllerDouble, served


@pytest.fixture
def fleet_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControllerDouble]:
    monkeypatch.delenv("SEAWALL_CA", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with served(ControllerDouble()) as double:
        monkeypatch.setenv("SEAWALL_URL", double.url)
        monkeypatch.setenv("SEAWALL_TOKEN", TOKEN)
        yield double
