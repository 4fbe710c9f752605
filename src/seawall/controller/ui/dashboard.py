"""The dashboard put together: the door, the pages behind it, and what they share."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.controller.api.services import Services
from seawall.controller.ui.door import Door
from seawall.controller.ui.overview import FleetOverview
from seawall.controller.ui.pages import Pages
from seawall.controller.ui.visits import House, Visits


class Dashboard:
    """An ASGI app: the dashboard below /ui, and the API everywhere else."""

    def __init__(self, api: ASGIApp, services: Services, *, tls: bool) -> None:
        self._pages = Pages()
        self._overview = FleetOverview(services)
        house = House(services, self._overview, Visits())
        self._door = Door(api, house, self._pages, tls=tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._door(scope, receive, send)

    async def close(self) -> None:
        """End what runs for open pages."""
        await self._pages.close()
        await self._overview.close()
