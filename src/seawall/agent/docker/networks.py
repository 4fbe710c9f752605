"""Networks, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from typing import Protocol

from seawall.agent.docker.engine import AioEngine


class Networks(Protocol):
    """See `Docker`."""


class AioNetworks(AioEngine):
    """`Networks` over the Engine's HTTP API."""
