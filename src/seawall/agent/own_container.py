"""Which container this process runs in, if it runs in one: an agent must not replace the container that it lives in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

_OWN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_ID = re.compile(r"[0-9a-f]{64}")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_CONTAINER_FOLDER = re.compile(r"/containers/([0-9a-f]{64})/")
_UPPER = re.compile(r"upperdir=([^,\s]+)")


class Traces(Struct, frozen=True):
    """What a container leaves to see in a process that runs in it.

    `ids` are ids of containers, `upper` is the writable layer of the process's root. `hostname` is the beginning of an
    id that Docker gave as a name, or None.
    """

    ids: frozenset[str] = frozenset()
    upper: str | None = None
    hostname: str | None = None

    def fit(self, record: Mapping[str, object]) -> bool:
        """Whether the container that Docker's inspect shows so is the one."""
        container_id = record.get("Id")
        if not isinstance(container_id, str) or not container_id:
            return False
        driver = record.get("GraphDriver")
        data = driver.get("Data") if isinstance(driver, Mapping) else None
        upper = data.get("UpperDir") if isinstance(data, Mapping) else None
        by_root = self.upper is not None and upper == self.upper
        by_name = self.hostname is not None and container_id.startswith(self.hostname)
        return container_id in self.ids or by_root or by_name


def traces_in(mountinfo: str, cgroup: str, hostname: str) -> Traces:
    """What the kernel's texts about a process, and its host's name, say.

    Docker mounts files of the container's own folder over three names in /etc; the cgroup's path ends with the id
    unless it is hidden; the root is an overlay whose upper layer is told. A container in another one's network has that
    one's files in /etc, and then both count as its own: to stop the other would cut the agent off just as well.
    """
    ids = set(_ID.findall(cgroup))
    upper: str | None = None
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) < 5:
            continue
        root, mount_point = fields[3], fields[4]
        if mount_point in _OWN_FILES:
            ids.update(_CONTAINER_FOLDER.findall(root))
        elif mount_point == "/" and (found := _UPPER.search(line)):
            upper = found.group(1)
    return Traces(frozenset(ids), upper, hostname if _SHORT_ID.fullmatch(hostname) else None)


def own_traces(process: Path = Path("/proc/self")) -> Traces:
    """Those of this process."""
    return traces_in(_read(process / "mountinfo"), _read(process / "cgroup"), os.uname().nodename)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
