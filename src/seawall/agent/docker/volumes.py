"""Volumes, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

from typing import Protocol

from seawall.agent.docker.engine import AioEngine


class Volumes(Protocol):
    """See `Docker`."""


class AioVolumes(AioEngine):
    """`Volumes` over the Engine's HTTP API."""
