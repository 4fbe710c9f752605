"""The data directory is private, and one controller's at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from seawall.storage.directory import DataDirectory, DataDirectoryError, DataDirectoryInUse
from seawall.storage.mounts import NETWORK_FILE_SYSTEMS, file_system, file_system_of

MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:7 - ext4 /dev/vda rw
40 27 0:40 / /net rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
41 40 254:0 /srv/local /net/disk rw,relatime - ext4 /dev/vda rw
42 27 0:40 /team /home/me/data rw,relatime - nfs4 server:/export rw
43 27 0:43 / /with\\040blank\\134\\011 rw - fuse.sshfs me@server: rw
44 27 0:44 / /twice rw - autofs systemd-1 rw
45 44 0:45 / /twice rw - cifs //server/share rw
a line that nobody wrote
46 27 0:46 / /cut rw,relatime -
"""

TAKE_IT = """
import os, sys
from pathlib import Path
from seawall.storage.directory import DataDirectory, DataDirectoryError
if os.geteuid() == 0 and len(sys.argv) > 2:
    os.setgid(65534)
    os.setuid(65534)
try:
    directory = DataDirectory.open(Path(sys.argv[1]))
except DataDirectoryError as error:
    print(type(error).__name__, error, flush=True)
else:
    print("taken", flush=True)
    sys.stdin.read()
"""


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TAKE_IT, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_data_directory_is_private(tmp_path: Path) -> None:
    with DataDirectory.open(tmp_path / "some" / "where") as directory:
        assert directory.path == tmp_path / "some" / "where"
        assert directory.database == directory.path / "seawall.db"
        assert mode(directory.path) == 0o700
        assert [mode(file) for file in directory.path.iterdir()] == [0o600]


def test_an_empty_directory_or_one_used_before_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o755)
    for _ in range(2):
        path.chmod(0o755)
        DataDirectory.open(path).close()
        assert mode(path) == 0o700


def test_a_directory_that_holds_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "home"
    path.mkdir(mode=0o755)
    (path / "letter.txt").touch()
    with pytest.raises(DataDirectoryError, match=r"home \(mode 0755\).*choose.*--data.*chmod 700"):
        DataDirectory.open(path)
    assert mode(path) == 0o755
    assert [file.name for file in path.iterdir()] == ["letter.txt"]


def test_a_private_directory_may_hold_other_things(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    (path / "notes.txt").touch()
    DataDirectory.open(path).close()


def test_a_second_controller_is_refused_at_once_and_told_who_was_first(tmp_path: Path) -> None:
    with (
        DataDirectory.open(tmp_path / "data"),
        pytest.raises(
            DataDirectoryInUse, match=rf"\(process {os.getpid()}\).*{tmp_path}/data.*stop it first"
        ),
    ):
        DataDirectory.open(tmp_path / "data")


def test_a_closed_directory_is_free_again(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "data")
    directory.close()
    directory.close()
    DataDirectory.open(tmp_path / "data").close()


def test_a_controller_that_is_killed_leaves_the_directory_free(tmp_path: Path) -> None:
    with start(tmp_path / "data") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        with pytest.raises(DataDirectoryInUse, match=f"process {process.pid}"):
            DataDirectory.open(tmp_path / "data")
        process.kill()
    DataDirectory.open(tmp_path / "data").close()


@pytest.mark.parametrize("name", ["file", "file/data"])
def test_a_file_in_the_way_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match=r"can't be made, because .*/file"):
        DataDirectory.open(tmp_path / name)


def test_a_directory_without_permission_is_a_clear_error(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    path = locked / "data"
    # Root may do anything, so the attempt is then made by nobody.
    with start(path, "as nobody") as process:
        said, _ = process.communicate()
    assert said.startswith(f"DataDirectoryError the data directory {path} can't be used: ")
    assert "--data" in said


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/seawall", "ext4"),
        ("/proc/self", "proc"),
        ("/net", "nfs4"),
        ("/net/data", "nfs4"),
        ("/network/data", "ext4"),
        ("/net/disk/data", "ext4"),
        ("/home/me/data/seawall", "nfs4"),
        ("/home/me", "ext4"),
        ("/with blank\\\t/data", "fuse.sshfs"),
        ("/twice/data", "cifs"),
        ("/cut/data", "ext4"),
    ],
)
def test_the_longest_mount_point_and_then_the_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert file_system_of(MOUNTS, PurePosixPath(path)) == kind


def test_without_a_readable_mount_table_the_file_system_is_unknown(tmp_path: Path) -> None:
    assert file_system_of("", PurePosixPath("/")) is None
    assert file_system(tmp_path, tmp_path / "missing") is None
    assert file_system(tmp_path, tmp_path) is None


def mounted(tmp_path: Path, kind: str) -> Path:
    """A mount table where `tmp_path / "mount"` is of this kind."""
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / %s/mount rw - %s x rw\n" % (bytes(tmp_path), kind.encode())
    )
    return table


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_a_network_file_system_is_refused_and_nothing_is_made_there(tmp_path: Path, kind: str) -> None:
    table = mounted(tmp_path, kind)
    (tmp_path / "mount").mkdir()
    with pytest.raises(DataDirectoryError, match=rf"\({kind}\).*locks and fsync.*local disk with --data"):
        DataDirectory.open(tmp_path / "mount" / "data", table)
    assert not (tmp_path / "mount" / "data").exists()


def test_a_link_to_a_network_file_system_is_refused_too(tmp_path: Path) -> None:
    table = mounted(tmp_path, "nfs")
    (tmp_path / "mount").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "mount")
    with pytest.raises(DataDirectoryError, match=r"network file system \(nfs\)"):
        DataDirectory.open(tmp_path / "data", table)


@pytest.mark.parametrize("kind", ["xfs", "overlay", "never-heard-of"])
def test_another_or_an_unknown_file_system_is_allowed(tmp_path: Path, kind: str) -> None:
    DataDirectory.open(tmp_path / "mount" / "data", mounted(tmp_path, kind)).close()
    DataDirectory.open(tmp_path / "mount" / "data", tmp_path / "missing").close()
