"""One host: how it is and why, its circuits, its containers, and what was asked of it lately."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.agents import health_of
from seawall.controller.api.circuits import states_of
from seawall.controller.ui import words
from seawall.controller.ui.circuit_list import CircuitList, Timeline
from seawall.controller.ui.command_list import CommandTable
from seawall.controller.ui.containers import Containers
from seawall.controller.ui.dialogs import Question
from seawall.controller.ui.elements import Button, Tag, box, heading, link
from seawall.controller.ui.frame import Page, say_missing
from seawall.controller.ui.history import HostHistory
from seawall.controller.ui.outputs import Outputs
from seawall.controller.ui.terminal import Terminals
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.engine.records import AgentRecord
from seawall.operations.operation import Role
from seawall.operations.system import SYSTEM_RESTART_AGENT

_COMMANDS, _TRANSITIONS, _REASONS = 8, 10, 8


@ui.page("/hosts/{name}")
async def host(request: Request, client: Client, name: str) -> None:
    """See the module's text."""
    page = Page(request, client, name[:64])
    agent = page.services.fleet.find(name)
    with page.frame():
        if agent is None:
            say_missing(client, "No such host", "It may have been revoked.", "/ui/", "Back to the fleet")
            return
        await HostPage(page, agent).begin(page)


class HostPage:
    """What the page shows."""

    def __init__(self, page: Page, agent: AgentRecord) -> None:
        self._page = page
        self._agent = agent
        with box("crumbs"):
            link("Fleet", "/ui/")
            Tag("span", f" / {agent.name}")
        with box("headline"):
            heading(agent.name, 1)
            self._state = Tag("span", "", "state")
            self._summary = Tag("span", "", "muted")
            with box("actions"):
                self._ping = Button("Ping", self._ping_it)
                self._restart = Button("Restart the agent", self._ask_to_restart)
                self._release = Button("Release", self._release_it)
        self._question = Question()
        with box("wide"):
            with box("stack"):
                outputs = self._outputs = Outputs(page, agent)
                self._containers = Containers(page, agent, outputs, Terminals(page, agent))
                self._history = HostHistory(page, agent)
                with box("card", "section", aria_label="Recent commands"):
                    with box("headline"):
                        heading("Recent commands")
                        link("All of them", f"/ui/commands?host={agent.name}", "muted small")
                    self._commands = CommandTable(page, with_host=False)
            with box("stack"):
                with box("card", "section", aria_label="Health"):
                    heading("Health")
                    self._reasons = [Tag("li") for _ in ()]
                    with Tag("ul", "", "reasons") as self._reason_list:
                        self._reasons = [Tag("li") for _ in range(_REASONS)]
                    self._fine = Tag("p", "Nothing is wrong with it.", "muted")
                    self._facts = Facts(
                        (
                            "Hostname",
                            "Docker",
                            "Agent",
                            "Latency",
                            "Free disk",
                            "Clock",
                            "Under way",
                            "Heard",
                            "Labels",
                        )
                    )
                with box("card", "section", aria_label="Circuits"):
                    heading("Circuits")
                    self._circuits = CircuitList(page, with_hosts=False)
                with box("card", "section", aria_label="How the circuits changed"):
                    heading("How the circuits changed")
                    self._timeline = Timeline(_TRANSITIONS)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=0.5)

    async def show(self) -> None:
        """How things are now."""
        agent, services = self._agent, self._page.services
        self._show_health()
        self._circuits.fill([(agent, domain) for domain in Domain])
        transitions = await services.transitions(agent.agent_id)
        self._timeline.fill(transitions)
        guard = services.guards.get(agent.agent_id)
        states = dict.fromkeys(Domain, CircuitState.CLOSED)
        if guard is not None:
            states |= {domain: breaker.state for domain, breaker in guard.breakers}
        self._history.show(transitions, states)
        self._commands.fill(await services.store.commands(agent_id=agent.agent_id, limit=_COMMANDS))
        self._containers.show()
        self._outputs.show()

    def _show_health(self) -> None:
        agent, services = self._agent, self._page.services
        health = health_of(services, agent.agent_id, states_of(services, agent.agent_id))
        session = services.fleet.session(agent.agent_id)
        quarantined = agent.quarantined_at is not None
        self._state.show(*words.state("quarantined" if quarantined else health.state.value))
        self._summary.show(f"{health.score} of 100" if session is not None else "")
        for line, text in zip(self._reasons, [*health.reasons, *[""] * _REASONS], strict=False):
            line.show(words.plain(text))
            line.reveal(bool(text))
        self._reason_list.reveal(bool(health.reasons))
        self._fine.reveal(not health.reasons)
        self._release.reveal(quarantined and self._page.may(Role.ADMIN))
        self._ping.reveal(session is not None)
        offered = session is not None and SYSTEM_RESTART_AGENT.name in agent.operations
        self._restart.reveal(offered and self._page.may(SYSTEM_RESTART_AGENT.role))
        guard = services.guards.get(agent.agent_id)
        signs = None if session is None else session.signs
        disk, offset = "", ""
        if signs is not None and signs.total_bytes:
            share = signs.free_bytes / signs.total_bytes
            disk = f"{words.size(signs.free_bytes)} of {words.size(signs.total_bytes)} ({share:.0%})"
        if signs is not None and signs.clock_offset_seconds is not None:
            offset = f"{signs.clock_offset_seconds:+.2f} s"
        now = services.clock.now()
        heard = (
            words.span(now - session.heard_at) + " ago"
            if session
            else words.ago(agent.last_seen_at, services.clock.wall())
        )
        self._facts.fill(
            (
                agent.hostname,
                agent.docker_version,
                f"{agent.version}{' (simulated)' if agent.simulated else ''}",
                words.latency(session.latency_seconds if session is not None else None),
                disk,
                offset,
                str(guard.bulkhead.in_flight if guard is not None else 0),
                heard,
                ", ".join(f"{key}={value}" for key, value in agent.labels.items()),
            )
        )

    async def _ping_it(self) -> None:
        await self._page.give("ping", self._agent.agent_id, {})

    async def _ask_to_restart(self) -> None:
        self._question.ask(
            "Restart the agent",
            f"The agent of {self._agent.name} ends, and starts anew as it is installed there now. Containers aren't "
            "touched; what is under way on the host has five seconds to end.",
            "Restart it",
            partial(self._page.give, SYSTEM_RESTART_AGENT.name, self._agent.agent_id, {}),
        )

    async def _release_it(self) -> None:
        services, agent = self._page.services, self._agent

        async def work() -> None:
            now, caller = services.clock.wall(), self._page.principal.caller
            if await services.store.release(agent.agent_id, now, caller):
                agent.quarantined_at = None

        await self._page.act(work, Role.ADMIN, "releasing a host")


class Facts:
    """Names with their values; those without a value aren't shown."""

    def __init__(self, names: tuple[str, ...]) -> None:
        with Tag("dl", "", "facts"):
            self._pairs = [(Tag("dt", name), Tag("dd")) for name in names]

    def fill(self, values: tuple[str, ...]) -> None:
        """Show these values, in the order of the names."""
        for (name, shown), value in zip(self._pairs, values, strict=True):
            shown.show(words.plain(value))
            name.reveal(bool(value))
            shown.reveal(bool(value))
