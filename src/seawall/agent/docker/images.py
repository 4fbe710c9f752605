"""Images, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from typing import Protocol

from seawall.agent.docker.engine import AioEngine


class Images(Protocol):
    """See `Docker`."""


class AioImages(AioEngine):
    """`Images` over the Engine's HTTP API."""
