"""The hosts themselves and their Docker Engines.

Made from `operations/system.py` by `make generate`: change it there.
"""

from __future__ import annotations

from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.operations.group import Group
from seawall.client.results import Results


class System(Group):
    """The hosts themselves and their Docker Engines."""

    async def ping(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Cross the agent's worker and come back; Docker is not asked."""
        return await self._perform("ping", on, {}, delivery)

    async def info(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """What the host and its Docker Engine are."""
        return await self._perform("system_info", on, {}, delivery)
