"""The hosts themselves and their Docker Engines.

Made from `operations/system.py` by `make generate`: change it there.
"""

from __future__ import annotations

from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.operations.group import Group
from seawall.client.results import Results
from seawall.client.streams import Stream


class System(Group):
    """The hosts themselves and their Docker Engines."""

    async def ping(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Cross the agent's worker and come back; Docker is not asked."""
        return await self._perform("ping", on, {}, delivery)

    async def info(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """What the host and its Docker Engine are."""
        return await self._perform("system_info", on, {}, delivery)

    async def version(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """The versions of the host's Docker Engine and of its parts."""
        return await self._perform("system_version", on, {}, delivery)

    async def df(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """What takes the host's disk space: images, containers, volumes and the build cache."""
        return await self._perform("system_df", on, {}, delivery)

    async def restart_agent(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """End the host's agent and start it anew; containers aren't touched."""
        return await self._perform("system_restart_agent", on, {}, delivery)

    def stream_events(self, *, on: str) -> Stream:
        """What happens in the Docker Engine from now on, after a list of how its containers are, as a stream of
        the one host `on`: see `Stream`."""
        return self._stream("system_events", on, {})
