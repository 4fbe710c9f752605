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


def test_images_are_loaded_and_built_and_files_copied_into_a_container(
    docker_engine: Engine, plane: Plane, tmp_path: Path
) -> None:
    target = tmp_path / "busybox.tar"
    assert plane.cli("image", "save", IMAGE, "-o", str(target), "--on", "local").returncode == 0
    loaded = plane.record("image", "load", "--input", str(target), "--on", "local")
    assert loaded["state"] == "SUCCEEDED"
    assert loaded["response"]["images"][0]["tags"] == [IMAGE]
    assert loaded["response"]["images"][0]["held_before"] is True

    context = tmp_path / "context"
    (context / "secret").mkdir(parents=True)
    (context / "secret" / "key").write_text("hidden")
    (context / "kept").write_text("kept\n")
    (context / ".dockerignore").write_text("secret\n")
    steps = (f"FROM {IMAGE}", "ARG WORD", "COPY . /context", "RUN ls /context && echo $WORD > /word")
    (context / "Dockerfile").write_text("\n".join(steps))
    words = ("image", "build", str(context), "--tag", "app:1", "--network", "none", "--on", "local")
    built = plane.cli(*words, "--build-arg", "WORD=correct-horse", timeout_seconds=120)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "Step 1/" in built.stdout
    assert "correct-horse" not in built.stdout + built.stderr
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo before; false")
    failed = plane.cli(*words, timeout_seconds=120)
    assert failed.returncode == 1
    assert "before" in failed.stdout + failed.stderr

    run = plane.cli("container", "run", "app:1", "sleep", "600", "--name", "web", "--on", "local")
    assert run.returncode == 0, run.stderr
    copied = plane.cli("container", "cp", str(context), "web:/tmp", "--on", "local")
    assert copied.returncode == 0, copied.stderr
    shown = plane.cli(
        *("container", "exec", "web", "--on", "local", "--"),
        *("sh", "-c", "cat /word /tmp/context/kept; ls -a /context"),
    )
    assert shown.stdout == "correct-horse\nkept\n.\n..\n.dockerignore\nDockerfile\nkept\n"
    nowhere = plane.cli("container", "copy-in", "web", "/nowhere", str(context), "--on", "local")
    assert nowhere.returncode == 1
    assert "/nowhere" in nowhere.stderr + nowhere.stdout
    (spool,) = plane.data.glob("**/uploads")
    assert (spool.stat().st_mode & 0o777, list(spool.iterdir())) == (0o700, [])
