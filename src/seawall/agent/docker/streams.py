"""What the Docker Engine sends for as long as it is asked: logs, figures, events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from urllib.parse import urlencode

from seawall.agent.docker.engine import AioEngine


class Streams(Protocol):
    """See `Docker`. Each is bytes as the Engine sends them; it reads on only as fast as they are taken."""

    def container_log(
        self,
        container: str,
        *,
        follow: bool,
        tail: int | None,
        timestamps: bool,
        since: float | None,
        until: float | None,
        timeout_seconds: float,
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """A log in Docker's frames of two streams, or raw where the container has a terminal.

        `tail` is how many lines of the past, None for all of them; `since` and `until` are seconds since 1970.
        """

    def container_figures(
        self, container: str, *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """A line of JSON a second on what the container uses."""

    def container_archive(
        self, container: str, *, path: str, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """A file or directory of the container as a tar archive, named by the path's last part."""

    def image_archive(
        self, images: Sequence[str], *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """Images, each with the name it is asked for by, as one tar archive in Docker's layout."""

    def system_events(self, *, timeout_seconds: float) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """A line of JSON for each thing that happens in the Engine from now on."""


class AioStreams(AioEngine):
    """`Streams` over the Engine's HTTP API."""

    def container_log(
        self,
        container: str,
        *,
        follow: bool,
        tail: int | None,
        timestamps: bool,
        since: float | None,
        until: float | None,
        timeout_seconds: float,
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """See `Streams.container_log`."""
        return self.stream(
            self.request(f"read the log of container {container}", "container", container),
            f"containers/{container}/logs",
            params={
                "stdout": True,
                "stderr": True,
                "follow": follow,
                "timestamps": timestamps,
                "tail": "all" if tail is None else tail,
                "since": None if since is None else f"{since:.9f}",
                "until": None if until is None else f"{until:.9f}",
            },
            timeout_seconds=timeout_seconds,
        )

    def container_figures(
        self, container: str, *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """See `Streams.container_figures`."""
        return self.stream(
            self.request(f"tell what container {container} uses", "container", container),
            f"containers/{container}/stats",
            params={"stream": True},
            timeout_seconds=timeout_seconds,
        )

    def container_archive(
        self, container: str, *, path: str, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """See `Streams.container_archive`."""
        return self.stream(
            self.request(f"copy {path} out of container {container}", "container", container),
            f"containers/{container}/archive",
            params={"path": path},
            timeout_seconds=timeout_seconds,
        )

    def image_archive(
        self, images: Sequence[str], *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """See `Streams.image_archive`."""
        # The same parameter several times is what no table can say.
        names = urlencode([("names", image) for image in images])
        return self.stream(
            self.request(f"save {', '.join(images)}", "image"),
            f"images/get?{names}",
            timeout_seconds=timeout_seconds,
        )

    def system_events(self, *, timeout_seconds: float) -> AbstractAsyncContextManager[AsyncGenerator[bytes]]:
        """See `Streams.system_events`."""
        return self.stream(self.request("tell what happens"), "events", timeout_seconds=timeout_seconds)
