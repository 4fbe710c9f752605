"""Containers, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from typing import Protocol

import aiodocker

from seawall.agent.docker.engine import AioEngine, Work, a_list, an_object
from seawall.agent.docker.logs import LogTail, read_log


class Containers(Protocol):
    """See `Docker`. Ends are told from inspect's record, logs are the newest part only."""

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """The containers, with `stopped` also those that don't run."""

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about the container of this name, id, or unambiguous beginning of an id."""

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """The last `tail` entries of its log, at most LOG_LIMIT_BYTES; `terminal` says whether it has one."""

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """Start it; fine if it runs already."""

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """Ask it to end, and kill it after the grace; fine if it has ended already."""

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """Stop it and start it again."""

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """Send a signal to its main process."""

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """Give it another name."""

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """Remove it; with `force` even if it runs, with `volumes` its anonymous volumes too."""


class AioContainers(AioEngine):
    """`Containers` over the Engine's HTTP API."""

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Containers.container_list`."""
        return await self.query(
            self.request("list the containers"),
            "containers/json",
            a_list,
            params={"all": stopped},
            timeout_seconds=timeout_seconds,
        )

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Containers.container_inspect`."""
        return await self.query(
            self.request(f"inspect container {container}", "container", container),
            f"containers/{container}/json",
            an_object,
            timeout_seconds=timeout_seconds,
        )

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """See `Containers.container_logs`."""

        async def work(client: aiodocker.Docker) -> LogTail:
            # aiodocker's own `log` doesn't tell the two streams apart.
            async with client._query(
                f"containers/{container}/logs",
                params={"stdout": True, "stderr": True, "tail": tail, "timestamps": timestamps},
            ) as response:
                try:
                    return await read_log(response.content, terminal)
                finally:
                    response.close()

        request = self.request(f"read the log of container {container}", "container", container)
        return await self.call(request, work, timeout_seconds)

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_start`."""
        await self._change(
            "start", container, lambda client: client.containers.container(container).start(), timeout_seconds
        )

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Containers.container_stop`."""
        await self._change(
            "stop",
            container,
            lambda client: client.containers.container(container).stop(t=grace_seconds),
            max(grace_seconds, 0) + timeout_seconds,
        )

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Containers.container_restart`."""
        await self._change(
            "restart",
            container,
            lambda client: client.containers.container(container).restart(t=grace_seconds),
            max(grace_seconds, 0) + timeout_seconds,
        )

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """See `Containers.container_kill`."""
        await self._change(
            f"send {signal} to",
            container,
            lambda client: client.containers.container(container).kill(signal=signal),
            timeout_seconds,
        )

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """See `Containers.container_rename`."""
        await self._change(
            "rename",
            container,
            lambda client: client.containers.container(container).rename(name),
            timeout_seconds,
        )

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """See `Containers.container_remove`."""
        await self._change(
            "remove",
            container,
            lambda client: client.containers.container(container).delete(force=force, v=volumes),
            timeout_seconds,
        )

    async def _change(self, verb: str, container: str, work: Work[None], timeout_seconds: float) -> None:
        request = self.request(f"{verb} container {container}", "container", container, changes=True)
        await self.shielded(request, work, timeout_seconds)
