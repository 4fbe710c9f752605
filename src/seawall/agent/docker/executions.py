"""Processes that are run in a container beside its own, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import aiodocker
from msgspec import Struct

from seawall.agent.docker.engine import AioEngine, an_id, an_object, understood
from seawall.agent.docker.logs import frames

OUTPUT_LIMIT_BYTES = 1024 * 1024
"""What is kept of each of a process's two streams: the oldest part."""


class Output(Struct, frozen=True):
    """What a process has written. `truncated` says that more came than was kept."""

    stdout: bytes
    stderr: bytes
    truncated: bool


class Executions(Protocol):
    """See `Docker`."""

    async def exec_create(self, container: str, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """Prepare a process in a running container, by Docker's own body (Cmd, Env, ...); its id."""

    async def exec_start(self, exec_id: str, *, timeout_seconds: float) -> Output:
        """Run it to its end; what it wrote. It has no terminal and no input."""

    async def exec_inspect(self, exec_id: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about it: `Running`, `ExitCode` (None until it has ended), `Pid` (0 if it never began)."""


class AioExecutions(AioEngine):
    """`Executions` over the Engine's HTTP API."""

    async def exec_create(self, container: str, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """See `Executions.exec_create`."""
        request = self.request(
            f"prepare a process in container {container}", "container", container, changes=True
        )
        answer = await self.change(
            request,
            "POST",
            f"containers/{container}/exec",
            body=spec,
            timeout_seconds=timeout_seconds,
        )
        return understood(request, answer, an_id)

    async def exec_start(self, exec_id: str, *, timeout_seconds: float) -> Output:
        """See `Executions.exec_start`."""

        async def work(client: aiodocker.Docker) -> Output:
            async with client._query(
                f"exec/{exec_id}/start",
                "POST",
                data='{"Detach": false, "Tty": false}',
                headers={"Content-Type": "application/json"},
            ) as response:
                try:
                    return await collected(frames(response.content))
                finally:
                    response.close()

        request = self.request(f"run the process {exec_id[:12]}", changes=True)
        return await self.shielded(request, work, timeout_seconds)

    async def exec_inspect(self, exec_id: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Executions.exec_inspect`."""
        return await self.query(
            self.request(f"inspect the process {exec_id[:12]}"),
            f"exec/{exec_id}/json",
            an_object,
            timeout_seconds=timeout_seconds,
        )


async def collected(chunks: AsyncIterator[tuple[str, bytes]]) -> Output:
    """Read both streams to their end, and keep the oldest OUTPUT_LIMIT_BYTES of each."""
    kept = {"stdout": bytearray(), "stderr": bytearray()}
    truncated = False
    async for stream, data in chunks:
        room = OUTPUT_LIMIT_BYTES - len(kept[stream])
        truncated = truncated or len(data) > room
        kept[stream] += data[:room]
    return Output(bytes(kept["stdout"]), bytes(kept["stderr"]), truncated)
