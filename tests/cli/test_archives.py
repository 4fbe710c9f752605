"""What takes or makes an archive is refused before anything is sent if it can't be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.cli import copying
from seawall.cli.container import _cp
from seawall.cli.copying import check_output
from seawall.cli.exits import UsageProblem


class Terminal:
    def isatty(self) -> bool:
        return True


def test_an_archive_is_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(copying.sys, "stdout", Terminal())
    with pytest.raises(UsageProblem, match="--output"):
        check_output(None)
    assert check_output(tmp_path / "images.tar") == tmp_path / "images.tar"
    with pytest.raises(UsageProblem, match="is a directory"):
        check_output(tmp_path)


def test_a_copy_goes_into_a_container_or_out_of_one() -> None:
    into = _cp("./site", "web:/srv")
    assert (into.operation, into.source) == ("container_copy_in", "./site")
    assert into.arguments == {"container": "web", "path": "/srv"}
    out = _cp("web:/etc", "here")
    assert (out.operation, out.into) == ("container_copy_out", Path("here"))
    for source, target in (("a", "b"), ("web:/a", "app:/b"), ("./odd:name", "./b")):
        with pytest.raises(UsageProblem, match="CONTAINER:PATH"):
            _cp(source, target)
    with pytest.raises(UsageProblem, match="'path'"):
        _cp("./site", "web:srv")
