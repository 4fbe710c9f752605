"""`seawall agent run` on a Docker Engine in memory that fails as badly as one can: it quotes what it was given.

python -m tests.system.canary_agent DIRECTORY
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from seawall.agent.app import run_agent
from seawall.agent.docker import DockerFailure
from seawall.agent.docker.images import OnEvent, RegistryCredentials
from seawall.agent.identity import AgentIdentity
from seawall.agent.local_policy_file import load_policy
from seawall.clock import SystemClock
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.telemetry.setup import configure
from seawall.telemetry.tracing import open_spans
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker


class Tattler(FakeDocker):
    """Everything about it is a fake Docker Engine's, but for what it says."""

    async def container_create(
        self, *, name: str | None, spec: Mapping[str, object], timeout_seconds: float
    ) -> str:
        if name == "defect":
            raise RuntimeError(f"this is a defect: {spec['Env']}")
        if name == "refused":
            text = f"Docker doesn't take {spec['Env']}"
            raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, text, 400)
        return await super().container_create(name=name, spec=spec, timeout_seconds=timeout_seconds)

    async def exec_create(self, container: str, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        if spec["Cmd"] == ["defect"]:
            raise RuntimeError(f"this is another defect: {spec['Env']}")
        return await super().exec_create(container, spec=spec, timeout_seconds=timeout_seconds)

    async def image_pull(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None,
        progress: OnEvent,
        timeout_seconds: float,
    ) -> None:
        if credentials is not None:
            text = f"the registry doesn't know {credentials.username} with {credentials.password}"
            raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, text, 401)
        await super().image_pull(
            reference, credentials=credentials, progress=progress, timeout_seconds=timeout_seconds
        )


async def _main(directory: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    identity, clock = AgentIdentity.load(directory), SystemClock()
    docker = Tattler(clock, [FakeContainer("web")])
    spans = open_spans("seawall-agent", os.environ)
    await run_agent(identity, directory, docker, clock, stop=stop, policy=load_policy(directory), spans=spans)
    if spans is not None:
        await spans.close()


if __name__ == "__main__":
    configure("json", "DEBUG")
    asyncio.run(_main(Path(sys.argv[1])))
