"""Archives at the command line, in real processes, to and from a real Docker Engine."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.engine import IMAGE, Engine
from tests.system.plane import Plane, plane_in

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240, func_only=True)]


@pytest.fixture
def plane(docker_engine: Engine, tmp_path: Path) -> Iterator[Plane]:
    with plane_in(tmp_path) as plane:
        plane.up("--docker", docker_engine.host)
        yield plane


def test_images_are_saved_whole_or_not_at_all(plane: Plane, tmp_path: Path) -> None:
    target = tmp_path / "busybox.tar"
    saved = plane.cli("image", "save", IMAGE, "--output", str(target), "--on", "local")
    assert saved.returncode == 0, saved.stderr
    assert f"are in {target}" in saved.stderr
    with tarfile.open(target) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == [IMAGE]
    nobody = plane.cli("image", "save", IMAGE, "nobody:1", "-o", str(tmp_path / "no.tar"), "--on", "local")
    assert nobody.returncode == 1
    assert "seawall image list" in nobody.stderr
    assert [each.name for each in tmp_path.glob("*.tar*")] == ["busybox.tar"]
