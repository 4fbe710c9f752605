"""A data directory and a backup of it, for whoever needs one to spoil."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.controller.vault import KeyVault
from seawall.storage.directory import DataDirectory
from tests.storage.backups import TOKEN, back_up, fill


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("template") / "data"
    DataDirectory.open(data).close()
    CertificateAuthority.open(data / "authority", SystemClock().wall())
    asyncio.run(fill(data))
    (data / "admin.token").write_bytes(TOKEN)
    KeyVault.of(data)
    return data


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """The data directory of a controller that isn't running: two commands, one of them open, and a host."""
    shutil.copytree(template, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def whole(template: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("backup") / "b.tar"
    back_up(template, target)
    return target.read_bytes()


@pytest.fixture
def backup(whole: bytes, tmp_path: Path) -> Path:
    (tmp_path / "b.tar").write_bytes(whole)
    return tmp_path / "b.tar"
