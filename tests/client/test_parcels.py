"""What is sent is made of what is there, the same every time, and of nothing else."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from seawall.client.parcels import SourceRefused, packed
from seawall.operations.operation import Upload


def names(kind: Upload, source: str, dockerfile: str = "Dockerfile") -> list[str]:
    with packed(kind, source, dockerfile=dockerfile) as parcel, tarfile.open(parcel.path) as archive:
        return archive.getnames()


def tree(directory: Path, *paths: str) -> Path:
    for path in paths:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(path)
    return directory


def context(directory: Path, ignored: str, *paths: str) -> set[str]:
    tree(directory, "Dockerfile", *paths)
    (directory / ".dockerignore").write_text(ignored)
    found = names(Upload.CONTEXT, str(directory))
    return {name for name in found if (directory / name).is_file()} - {"Dockerfile", ".dockerignore"}


def test_a_directory_is_sent_under_its_name_and_its_content_alone_if_it_is_named_so(tmp_path: Path) -> None:
    source = tree(tmp_path / "web", "b", "a/c")
    assert names(Upload.FILES, str(source)) == ["web", "web/a", "web/a/c", "web/b"]
    assert names(Upload.FILES, f"{source}/.") == ["a", "a/c", "b"]
    assert names(Upload.FILES, str(source / "b")) == ["b"]


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    source = tree(tmp_path / "web", "b", "a/c")
    with packed(Upload.FILES, str(source)) as first, packed(Upload.FILES, str(source)) as second:
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.arguments == second.arguments


@pytest.mark.parametrize(
    ("ignored", "sent"),
    [
        ("", {"a.md", "sub/a.md", "sub/deep/b.txt", "temp"}),
        ("# a.md\n\n", {"a.md", "sub/a.md", "sub/deep/b.txt", "temp"}),
        ("*.md", {"sub/a.md", "sub/deep/b.txt", "temp"}),
        ("**/*.md\ntem?", {"sub/deep/b.txt"}),
        ("sub/", {"a.md", "temp"}),
        ("/sub/deep", {"a.md", "sub/a.md", "temp"}),
        ("deep", {"a.md", "sub/a.md", "sub/deep/b.txt", "temp"}),
        ("sub\n!sub/deep", {"a.md", "sub/deep/b.txt", "temp"}),
        ("*\n!temp", {"temp"}),
        ("!temp\n*", set()),
        ("./sub/../temp", {"a.md", "sub/a.md", "sub/deep/b.txt"}),
    ],
)
def test_a_context_is_without_what_its_ignore_file_names(
    ignored: str, sent: set[str], tmp_path: Path
) -> None:
    assert context(tmp_path, ignored, "a.md", "sub/a.md", "sub/deep/b.txt", "temp") == sent


def test_what_docker_itself_has_to_read_is_always_sent(tmp_path: Path) -> None:
    tree(tmp_path, "build/Dockerfile", "build/other")
    (tmp_path / ".dockerignore").write_text("*\n")
    assert names(Upload.CONTEXT, str(tmp_path), "build/Dockerfile") == [".dockerignore", "build/Dockerfile"]


def test_a_link_that_leads_out_and_a_pipe_are_refused_by_their_names(tmp_path: Path) -> None:
    source = tree(tmp_path / "web", "a")
    (source / "link").symlink_to("/etc/passwd")
    with pytest.raises(SourceRefused, match="'web/link' is a link to '/etc/passwd'"):
        names(Upload.FILES, str(source))
    (source / "link").unlink()
    os.mkfifo(source / "pipe")
    with pytest.raises(SourceRefused, match="'web/pipe'"):
        names(Upload.FILES, str(source))


def test_what_is_not_there_or_no_context_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="nobody"):
        names(Upload.FILES, str(tmp_path / "nobody"))
    with pytest.raises(SourceRefused, match="--file"):
        names(Upload.CONTEXT, str(tmp_path))
    with pytest.raises(SourceRefused, match="no directory"):
        names(Upload.CONTEXT, str(tree(tmp_path, "file") / "file"))
    with pytest.raises(SourceRefused, match="no whole tar archive"):
        names(Upload.IMAGES, str(tmp_path / "file"))
