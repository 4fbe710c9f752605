"""All circuits that aren't closed, where they are, and overruling any."""

from __future__ import annotations

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.circuits import Overruling, effective_state
from seawall.controller.ui.circuit_list import Circuit, CircuitList, Timeline
from seawall.controller.ui.elements import Act, Button, Choice, Field, Pager, Tag, box, heading
from seawall.controller.ui.frame import Page
from seawall.controller.ui.host_map import HostMap
from seawall.controller.ui.overview import HostRow, Overview
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.operations.operation import Role

_PAGE_SIZE, _TRANSITIONS = 25, 15
_WORST = {CircuitState.OPEN: 0, CircuitState.HALF_OPEN: 1, CircuitState.CLOSED: 2}


@ui.page("/circuits")
async def circuits(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Circuits")
    with page.frame():
        await CircuitsPage(page).begin(page)


class CircuitsPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with box("headline"):
            heading("Circuits", 1)
            self._summary = Tag("p", "", "muted")
        self._map = HostMap("Map of circuits")
        self._overview: Overview | None = None
        with box("wide"):
            with box("card", "section", aria_label="Circuits that aren't closed"):
                heading("Not closed, or held by hand")
                self._list = CircuitList(page, with_hosts=True)
                self._fine = Tag("p", "All circuits are closed: everything is sent.", "muted")
                self._pager = Pager(_PAGE_SIZE, page.refresh)
            with box("stack"):
                if page.may(Role.OPERATOR):
                    self._overruling()
                with box("card", "section", aria_label="Latest changes"):
                    heading("Latest changes")
                    self._timeline = Timeline(_TRANSITIONS)

    def _overruling(self) -> None:
        with box("card", "section", aria_label="Overrule a circuit"):
            heading("Overrule a circuit")
            self._host = Field("Host")
            self._domain = Choice(
                "Circuit",
                {domain.value: domain.value for domain in Domain},
                Domain.AGENT.value,
                self._nothing,
            )
            with box("actions"):
                for action in Overruling:
                    Button(action.value.capitalize(), self._ask(action))

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show)

    async def show(self) -> None:
        """How things are now."""
        services, overview = self._page.services, await self._page.house.overview.look()
        shown = self._shown()
        self._list.fill(shown[self._pager.cut(len(shown))])
        self._fine.reveal(not shown)
        if overview is not self._overview:
            self._overview = overview
            self._map.fill(sorted(overview.hosts, key=_order), lambda host: host.circuit.value)
        self._summary.show(
            f"{overview.open_circuits:,} of {len(overview.hosts):,} hosts have one that isn't closed"
        )
        transitions = await services.store.transitions(limit=_TRANSITIONS)
        found = {each.agent_id: services.fleet.find(each.agent_id) for each in transitions}
        self._timeline.fill(
            transitions, {key: agent.name for key, agent in found.items() if agent is not None}
        )

    def _shown(self) -> list[Circuit]:
        """Where there is no guard, everything is closed."""
        services, now = self._page.services, self._page.services.clock.now()
        found: list[tuple[int, str, Circuit]] = []
        for guard in services.guards:
            agent = services.fleet.find(guard.agent_id)
            for domain, breaker in guard.breakers if agent is not None else ():
                state = effective_state(breaker, now)
                if agent is not None and (breaker.forced or state is not CircuitState.CLOSED):
                    found.append((_WORST[state], agent.name, (agent, domain)))
        return [circuit for *_, circuit in sorted(found, key=lambda each: each[:2])]

    def _ask(self, action: Overruling) -> Act:
        async def ask() -> None:
            agent = self._page.services.fleet.find(self._host.value.strip())
            if agent is None:
                self._page.say("Name a host that is in the fleet.", bad=True)
                return
            await self._list.ask((agent, Domain(self._domain.value)), action)

        return ask

    async def _nothing(self) -> None:
        """The choice is read when a button is pressed."""


def _order(host: HostRow) -> tuple[int, int, str]:
    return _WORST[host.circuit], host.score, host.name
