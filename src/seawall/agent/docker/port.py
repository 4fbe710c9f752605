"""The Docker Engine as the agent sees it: all nouns together."""

from __future__ import annotations

from typing import Protocol

from seawall.agent.docker.archives import AioArchives, Archives
from seawall.agent.docker.attachments import AioAttachments, Attachments
from seawall.agent.docker.compose import AioCompose, Compose
from seawall.agent.docker.containers import AioContainers, Containers
from seawall.agent.docker.executions import AioExecutions, Executions
from seawall.agent.docker.images import AioImages, Images
from seawall.agent.docker.networks import AioNetworks, Networks
from seawall.agent.docker.streams import AioStreams, Streams
from seawall.agent.docker.system import AioSystem, System
from seawall.agent.docker.volumes import AioVolumes, Volumes


class Docker(
    Containers,
    Executions,
    Attachments,
    Images,
    Archives,
    Networks,
    Volumes,
    Compose,
    System,
    Streams,
    Protocol,
):
    """What the agent asks of a Docker Engine.

    Every method raises `DockerFailure` for whatever can be expected of an Engine, and nothing else. Every call ends
    after `timeout_seconds` at the latest; stop and restart are given the grace on top of that. A call that changes
    something goes on when its caller is cancelled: Engines have killed a container at once whose `stop` lost its
    client.
    """

    async def close(self) -> None:
        """Let go of the Engine. Changes that are under way are given a few seconds to end."""


class AioDocker(
    AioContainers,
    AioExecutions,
    AioAttachments,
    AioImages,
    AioArchives,
    AioNetworks,
    AioVolumes,
    AioCompose,
    AioSystem,
    AioStreams,
):
    """`Docker` over the Engine's HTTP API. Make it and use it on one event loop. Raises DockerAddressError."""
