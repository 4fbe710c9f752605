"""All commands, the newest first, while they run and after."""

from __future__ import annotations

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.ui.backwards import Backwards
from seawall.controller.ui.command_list import CommandTable
from seawall.controller.ui.elements import Choice, Field, Tag, box, heading
from seawall.controller.ui.frame import Page
from seawall.core.command import CommandState
from seawall.engine.records import CommandRecord

_ALL = "all"
_KINDS: dict[str, tuple[CommandState, ...]] = {
    _ALL: (),
    "under way": (CommandState.ACCEPTED, CommandState.DISPATCHED, CommandState.RUNNING),
    "succeeded": (CommandState.SUCCEEDED,),
    "failed": (CommandState.FAILED,),
    "unknown": (CommandState.UNKNOWN,),
    "never ran": (CommandState.REJECTED, CommandState.EXPIRED, CommandState.CANCELLED),
}


@ui.page("/commands")
async def commands(request: Request, client: Client, host: str = "") -> None:
    """See the module's text."""
    page = Page(request, client, "Commands")
    with page.frame():
        await CommandsPage(page, host[:64]).begin(page)


class CommandsPage:
    """What the page shows."""

    def __init__(self, page: Page, host: str) -> None:
        self._page = page
        with box("headline"):
            heading("Commands", 1)
            self._summary = Tag("p", "", "muted")
        with box("bar"):
            self._kind = Choice("State", {kind: kind.capitalize() for kind in _KINDS}, _ALL, self._changed)
            self._host = Field("Host", host, self._changed)
            self._operation = Field("Operation", "", self._changed)
        with box("card", "section", aria_label="Commands"):
            self._table = CommandTable(page, with_host=True)
            self._pager = Backwards[CommandRecord, str](lambda record: record.command_id, page.refresh)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show)

    async def show(self) -> None:
        """How things are now."""
        records, empty = await self._find()
        self._table.fill(self._pager.page(records), empty)
        overview = await self._page.house.overview.look()
        self._summary.show(f"{overview.running:,} under way on hosts now")

    async def _find(self) -> tuple[list[CommandRecord], str]:
        services, name = self._page.services, self._host.value.strip()
        agent_id = None
        if name:
            agent = services.fleet.find(name)
            if agent is None:
                return [], f"No host is named {name!r}."
            agent_id = agent.agent_id
        found = await services.store.commands(
            agent_id=agent_id,
            states=_KINDS[self._kind.value],
            operation=self._operation.value.strip() or None,
            limit=self._pager.most,
            before=self._pager.before,
        )
        return found, "No command fits this filter."

    async def _changed(self) -> None:
        await self._pager.restart()
