"""Containers, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import aiodocker
from aiodocker.types import JSONValue

from seawall.agent.docker.engine import AioEngine, Work, a_list, an_id, an_object, understood
from seawall.agent.docker.logs import LogTail, read_log


class Containers(Protocol):
    """See `Docker`. Ends are told from inspect's record, logs are the newest part only."""

    async def container_list(
        self,
        *,
        stopped: bool,
        filters: Mapping[str, list[str]] | None = None,
        timeout_seconds: float,
    ) -> list[dict[str, object]]:
        """The containers, with `stopped` also those that don't run; `filters` are Docker's own (name, label, ...)."""

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

    async def container_create(
        self, *, name: str | None, spec: Mapping[str, object], timeout_seconds: float
    ) -> str:
        """Create a container of Docker's own body, HostConfig and NetworkingConfig included; its id."""

    async def container_configure(
        self, container: str, *, changes: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """Change its limits and its restart policy, in Docker's own words; what isn't named stays."""

    async def container_pause(self, container: str, *, timeout_seconds: float) -> None:
        """Freeze its processes; an error if it is paused already."""

    async def container_unpause(self, container: str, *, timeout_seconds: float) -> None:
        """Let its processes go on; an error if it isn't paused."""

    async def container_wait(self, container: str, *, condition: str, timeout_seconds: float) -> int:
        """Its exit code, when `condition` ("not-running", "next-exit" or "removed") has come about."""

    async def container_top(
        self, container: str, *, columns: str, timeout_seconds: float
    ) -> dict[str, object]:
        """Its processes: `Titles`, and `Processes` with a list of texts each; `columns` is for ps."""

    async def container_stats(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """One sample of what it uses, with the one before it."""

    async def container_changes(self, container: str, *, timeout_seconds: float) -> list[dict[str, object]]:
        """What differs from its image's files: `Path`, and `Kind` 0 (changed), 1 (added) or 2 (deleted)."""


class AioContainers(AioEngine):
    """`Containers` over the Engine's HTTP API."""

    async def container_list(
        self,
        *,
        stopped: bool,
        filters: Mapping[str, list[str]] | None = None,
        timeout_seconds: float,
    ) -> list[dict[str, object]]:
        """See `Containers.container_list`."""
        wanted: JSONValue = {key: list[JSONValue](values) for key, values in (filters or {}).items()}
        return await self.query(
            self.request("list the containers"),
            "containers/json",
            a_list,
            params={"all": stopped, "filters": wanted if filters else None},
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

    async def container_create(
        self, *, name: str | None, spec: Mapping[str, object], timeout_seconds: float
    ) -> str:
        """See `Containers.container_create`."""
        what = f"create container {name}" if name is not None else "create a container"
        request = self.request(what, changes=True)
        answer = await self.change(
            request,
            "POST",
            "containers/create",
            params={"name": name},
            body=spec,
            timeout_seconds=timeout_seconds,
        )
        return understood(request, answer, an_id)

    async def container_configure(
        self, container: str, *, changes: Mapping[str, object], timeout_seconds: float
    ) -> None:
        """See `Containers.container_configure`."""
        _ = await self.change(
            self.request(f"set the limits of container {container}", "container", container, changes=True),
            "POST",
            f"containers/{container}/update",
            body=changes,
            timeout_seconds=timeout_seconds,
        )

    async def container_pause(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_pause`."""
        await self._change(
            "pause", container, lambda client: client.containers.container(container).pause(), timeout_seconds
        )

    async def container_unpause(self, container: str, *, timeout_seconds: float) -> None:
        """See `Containers.container_unpause`."""
        await self._change(
            "unpause",
            container,
            lambda client: client.containers.container(container).unpause(),
            timeout_seconds,
        )

    async def container_wait(self, container: str, *, condition: str, timeout_seconds: float) -> int:
        """See `Containers.container_wait`."""

        async def work(client: aiodocker.Docker) -> int:
            path = f"containers/{container}/wait"
            async with client._query(path, "POST", params={"condition": condition}) as response:
                code = an_object(await response.json())["StatusCode"]
            if not isinstance(code, int):
                raise TypeError("the exit code is no number")
            return code

        request = self.request(f"wait for container {container}", "container", container)
        return await self.call(request, work, timeout_seconds)

    async def container_top(
        self, container: str, *, columns: str, timeout_seconds: float
    ) -> dict[str, object]:
        """See `Containers.container_top`."""
        return await self.query(
            self.request(f"list the processes of container {container}", "container", container),
            f"containers/{container}/top",
            an_object,
            params={"ps_args": columns},
            timeout_seconds=timeout_seconds,
        )

    async def container_stats(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Containers.container_stats`."""
        return await self.query(
            self.request(f"measure container {container}", "container", container),
            f"containers/{container}/stats",
            an_object,
            params={"stream": False},
            timeout_seconds=timeout_seconds,
        )

    async def container_changes(self, container: str, *, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Containers.container_changes`."""
        return await self.query(
            self.request(f"list what has changed in container {container}", "container", container),
            f"containers/{container}/changes",
            lambda answer: a_list(answer or []),
            timeout_seconds=timeout_seconds,
        )

    async def _change(self, verb: str, container: str, work: Work[None], timeout_seconds: float) -> None:
        request = self.request(f"{verb} container {container}", "container", container, changes=True)
        await self.shielded(request, work, timeout_seconds)
