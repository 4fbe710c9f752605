"""What keeps trouble from spreading: retries and what they cost, and which policy holds for what, and why."""

from __future__ import annotations

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.policies import replace_policies
from seawall.controller.ui import words
from seawall.controller.ui.drawing import cell
from seawall.controller.ui.elements import Choice, Field, Table, Tag, box, heading
from seawall.controller.ui.frame import Page
from seawall.controller.ui.host import Facts
from seawall.core.policy import PRESETS
from seawall.engine.explain import STOPPED
from seawall.engine.policies import DEFAULT_PRESET, Policies, with_preset
from seawall.operations.operation import Role
from seawall.operations.registry import OPERATIONS

_BUSIEST = 15
_KEYS = ("timeout_seconds", "max_attempts", "initial_delay", "max_delay", "lane", "fallback")
_COLUMNS = ("Operation", "Timeout", "Attempts", "First delay", "Longest delay", "Lane", "Fallback")


@ui.page("/resilience")
async def resilience(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Resilience")
    with page.frame():
        await ResiliencePage(page).begin(page)


class ResiliencePage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with box("headline"):
            heading("Resilience", 1)
            self._summary = Tag("p", "", "muted")
            self._preset = None
            if page.may(Role.ADMIN):
                names = {name: name for name in PRESETS}
                self._preset = Choice("Preset", names, DEFAULT_PRESET, self._choose_preset)
        with box("grid"):
            with box("card", "section", aria_label="Retries"):
                heading("Retries since the start")
                self._retries = Facts(
                    (
                        "Commands",
                        "Attempts",
                        "Retried",
                        "Saved by a retry",
                        "Attempts per command",
                        "Plane's budget",
                    )
                )
            with box("card", "section", aria_label="Retries that were not made"):
                heading("Retries that were not made")
                self._stopped = Table((("", "Count"), ("", "Why")), label="Retries that were not made")
            with box("card", "section", aria_label="Busiest hosts"):
                heading("Busiest hosts")
                self._busy = Table(
                    (("", "Host"), ("", "Under way"), ("", "At most"), ("", "Waiting"), ("", "Retry budget")),
                    label="Busiest hosts",
                )
        with box("card", "section", aria_label="Policies"):
            with box("headline"):
                heading("Policies")
                self._source = Tag("span", "", "muted small")
                self._filter = Field("Filter by operation", changed=page.refresh)
            self._policies = Table([("", name) for name in _COLUMNS], label="Policies")
        with box("card", "section", aria_label="Policies of the plane"):
            heading("Circuits, slots and budgets")
            self._plane = Table((("", "Value"), ("", "Is"), ("", "From")), label="Policies of the plane")

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=2.0)

    async def show(self) -> None:
        """How things are now."""
        services = self._page.services
        policies = services.policies.current
        self._show_retries()
        self._show_hosts()
        self._show_policies(policies)
        self._summary.show(f"preset {policies.preset}")
        if self._preset is not None:
            self._preset.put(policies.preset)

    async def _choose_preset(self) -> None:
        if self._preset is None:
            return
        services, preset, caller = self._page.services, self._preset.value, self._page.principal.caller

        async def work() -> None:
            await replace_policies(services, with_preset(services.policies.text, preset), caller)

        await self._page.act(work, Role.ADMIN, "choosing a preset")
        self._preset.put(services.policies.current.preset)

    def _show_retries(self) -> None:
        services = self._page.services
        figures, gate = services.retries, services.gate
        self._retries.fill(
            (
                f"{figures.commands:,}",
                f"{figures.attempts:,}",
                f"{figures.retries:,}",
                f"{figures.saved:,}",
                f"{figures.amplification:.2f}",
                f"{gate.plane_tokens(services.clock.now()):.1f} of {gate.settings.plane.capacity:g}",
            )
        )
        rows = [
            [cell(f"{count:,}", "number"), cell(_why(why), "muted")]
            for why, count in figures.stopped.most_common()
        ]
        self._stopped.fill(rows, "Every retry that was due was made.")

    def _show_hosts(self) -> None:
        services = self._page.services
        now = services.clock.now()
        busy = sorted(services.guards, key=lambda guard: -guard.bulkhead.in_flight)[:_BUSIEST]
        rows = []
        for guard in busy:
            agent = services.fleet.find(guard.agent_id)
            if agent is not None and guard.bulkhead.in_flight:
                tokens = services.gate.tokens(guard.agent_id, now)
                rows.append(
                    [
                        cell(agent.name, "strong", f"/ui/hosts/{agent.name}"),
                        cell(str(guard.bulkhead.in_flight), "number"),
                        cell(f"{guard.bulkhead.limit:.0f}", "number"),
                        cell(str(guard.bulkhead.waiting or ""), "number"),
                        cell(f"{tokens:.1f}", "number"),
                    ]
                )
        self._busy.fill(rows, "Nothing is under way.")

    def _show_policies(self, policies: Policies) -> None:
        wanted = self._filter.value.strip().lower()
        self._source.show(f"from {policies.text_name}")
        rows = []
        for name, operation in sorted(OPERATIONS.items()):
            if wanted not in name:
                continue
            policy = policies.of(operation)
            values = (
                words.took(policy.timeout_seconds),
                str(policy.retry.max_attempts),
                words.took(policy.retry.initial_delay),
                words.took(policy.retry.max_delay),
                policy.lane.value,
                policy.fallback.value,
            )
            cells = [
                cell(value, "number", title=f"from {policy.sources[key]}")
                for key, value in zip(_KEYS, values, strict=True)
            ]
            rows.append([cell(name, "strong", title=operation.summary), *cells])
        self._policies.fill(rows, "No operation has this in its name.")
        plane = policies.plane
        tables: dict[str, object] = {"breaker": plane.breaker, "bulkhead": plane.bulkhead}
        if plane.budget is not None:
            tables |= {"budget": plane.budget.agent, "plane_budget": plane.budget.plane}
        self._plane.fill(
            [
                [cell(name), cell(f"{getattr(tables[table], key)}", "number"), cell(source, "muted")]
                for name, source in policies.plane_sources().items()
                for table, _, key in (name.partition("."),)
                if table in tables
            ]
        )


def _why(stopped_by: str) -> str:
    """Why no attempt followed, as a clause."""
    text = STOPPED.get(stopped_by, "").partition(": ")[2] or stopped_by
    return text.replace("{max_attempts}", "attempts that were allowed")
