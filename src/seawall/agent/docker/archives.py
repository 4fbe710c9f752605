"""Archives that go into the Docker Engine, as the agent sends them and as the real Engine takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

from msgspec import Struct

from seawall.agent.docker.engine import TAR
from seawall.agent.docker.transfers import AioTransfers, OnEvent


class BuildOptions(Struct, frozen=True):
    """How an image is built; `args` may be secret."""

    dockerfile: str
    tags: Sequence[str]
    labels: Mapping[str, str]
    args: Mapping[str, str]
    target: str | None
    no_cache: bool
    pull: bool
    network: str


class Archives(Protocol):
    """See `Docker`. The archive is a file that stays as it is until the call is over."""

    async def container_unpack(
        self, container: str, *, path: str, archive: Path, timeout_seconds: float
    ) -> None:
        """Unpack an archive in a directory of a container; no file takes the place of a directory, or the reverse."""

    async def image_load(self, archive: Path, *, progress: OnEvent, timeout_seconds: float) -> None:
        """Take the images of an archive. `timeout_seconds` is how long Docker may say nothing."""

    async def image_build(
        self, archive: Path, *, options: BuildOptions, progress: OnEvent, timeout_seconds: float
    ) -> None:
        """Build an image of an archive. `timeout_seconds` as for a load."""


class AioArchives(AioTransfers):
    """`Archives` over the Engine's HTTP API."""

    async def container_unpack(
        self, container: str, *, path: str, archive: Path, timeout_seconds: float
    ) -> None:
        """See `Archives.container_unpack`."""
        purpose = f"copy files to {path} in container {container}"
        await self.change(
            self.request(purpose, "container", container, changes=True),
            "PUT",
            f"containers/{container}/archive",
            params={"path": path, "noOverwriteDirNonDir": True},
            archive=archive,
            timeout_seconds=timeout_seconds,
        )

    async def image_load(self, archive: Path, *, progress: OnEvent, timeout_seconds: float) -> None:
        """See `Archives.image_load`."""
        request = self.request("load images", changes=True)
        await self.transfer(request, "images/load", {"quiet": False}, TAR, progress, timeout_seconds, archive)

    async def image_build(
        self, archive: Path, *, options: BuildOptions, progress: OnEvent, timeout_seconds: float
    ) -> None:
        """See `Archives.image_build`."""
        request = self.request(f"build {' '.join(options.tags) or 'an image'}", changes=True)
        await self.transfer(request, f"build?{_query(options)}", {}, TAR, progress, timeout_seconds, archive)


def _query(options: BuildOptions) -> str:
    """As a text: no table can have the same parameter several times. Docker wants its own tables as JSON."""
    given = [
        ("version", "1"),  # the classic builder
        ("dockerfile", options.dockerfile),
        *(("t", tag) for tag in options.tags),
        ("labels", json.dumps(dict(options.labels))),
        ("buildargs", json.dumps(dict(options.args))),
        ("networkmode", options.network),
        ("nocache", str(options.no_cache).lower()),
        ("rm", "true"),
        ("forcerm", "true"),
    ]
    if options.pull:
        given.append(("pull", "true"))
    if options.target is not None:
        given.append(("target", options.target))
    return urlencode(given)
