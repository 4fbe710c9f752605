"""Letting one more host join."""

from __future__ import annotations

from seawall.controller.ui.elements import Button, Dialog, Tag, box
from seawall.controller.ui.frame import Page
from seawall.operations.operation import Role


class Joining:
    """Lets a host join in three steps; the token is made when it is opened, and the last step watches for the host."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._known: set[str] = set()
        self._dialog = Dialog("Join a host")
        with self._dialog.body:
            with box("steps", "ol"):
                with Tag("li"):
                    Tag("strong", "Install the agent on the host")
                    Tag("code", "pip install 'seawall[agent]'", "command")
                with Tag("li"):
                    Tag("strong", "Let it join, within ten minutes, once")
                    self._command = Tag("code", "", "command")
                with Tag("li"):
                    Tag("strong", "Start it")
                    Tag("code", "seawall agent run", "command")
            self._news = Tag("p", "", "muted", role="status")
            with box("actions"):
                Button("Close", self._close)

    async def open(self) -> None:
        """Make a token and show what to do with it."""
        services = self._page.services

        async def work() -> None:
            token, expires_at = await services.invite(self._page.principal.name, self._page.principal.caller)
            self._command.show(f"seawall agent join {services.agents_url} --token {token.encode()}")
            self._known = {agent.agent_id for agent in services.fleet.agents()}
            self._news.show(f"Waiting for the host. The token expires at {expires_at:%H:%M:%S} UTC.")
            self._dialog.reveal(True)

        await self._page.act(work, Role.ADMIN, "letting a host join")

    def watch(self) -> None:
        """See whether the host came."""
        if not self._dialog.shown:
            return
        for agent in self._page.services.fleet.agents():
            if agent.agent_id not in self._known:
                connected = self._page.services.fleet.is_connected(agent.agent_id)
                self._news.show(f"{agent.name} has joined{' and is connected' if connected else ''}.")

    async def _close(self) -> None:
        self._command.show("")
        self._dialog.reveal(False)
