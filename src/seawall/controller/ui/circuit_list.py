"""Circuits in a table, with the means to overrule them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from seawall.controller.api.circuits import Overruling, circuit_document, overrule
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Reason
from seawall.controller.ui.elements import Button, KeyedRows, Tag, box
from seawall.controller.ui.frame import Page, part
from seawall.core.command import Domain
from seawall.engine.records import AgentRecord, TransitionRecord
from seawall.operations.operation import Role

_WHAT = {
    Overruling.OPEN: "Nothing is sent to {where} until its circuit is closed or reset.",
    Overruling.CLOSE: "Everything is sent to {where}, whatever fails, until its circuit is reset.",
    Overruling.RESET: "What the circuit of {where} has learned is forgotten, and it decides for itself again.",
}

Circuit = tuple[AgentRecord, Domain]


class CircuitList:
    """See the module's text. On the page of one host the host isn't named."""

    def __init__(self, page: Page, *, with_hosts: bool) -> None:
        self._page = page
        self._with_hosts = with_hosts
        self._reason = Reason()
        names = ("Host",) if with_hosts else ()
        with box("scroll"), Tag("table", "", "natural", aria_label="Circuits") as self.root:
            with Tag("thead"), Tag("tr"):
                for text in (*names, "Circuit", "State", "Failed", "Actions"):
                    Tag("th", text, scope="col")
            self._rows = KeyedRows(Tag("tbody"), self._make_row)

    def fill(self, circuits: Sequence[Circuit]) -> None:
        """Show these."""
        services = self._page.services
        rows = self._rows.fill([(agent.agent_id, domain) for agent, domain in circuits])
        for row, circuit in zip(rows, circuits, strict=True):
            row.show(circuit, circuit_document(services, *circuit), services.clock.wall())
        self.root.reveal(bool(circuits))

    def _make_row(self, _: tuple[str, Domain]) -> _Row:
        return _Row(self, with_host=self._with_hosts, may=self._page.may(Role.OPERATOR))

    async def ask(self, circuit: Circuit, action: Overruling) -> None:
        """Have a user say why, and then overrule it."""
        agent, domain = circuit
        where = f"{agent.name} ({domain.value})"
        self._reason.ask(
            f"{action.value.capitalize()} a circuit",
            _WHAT[action].format(where=where),
            action.value.capitalize(),
            partial(self._overrule, circuit, action),
        )

    async def _overrule(self, circuit: Circuit, action: Overruling, reason: str) -> None:
        page = self._page

        async def work() -> None:
            await overrule(page.services, *circuit, action, reason[:500], page.principal)

        await page.act(work, Role.OPERATOR, "overruling a circuit")


class _Row:
    def __init__(self, circuits: CircuitList, *, with_host: bool, may: bool) -> None:
        self._circuits = circuits
        self._circuit: Circuit | None = None
        with Tag("tr") as self.root:
            self._host: Tag | None = None
            if with_host:
                with Tag("td"):
                    self._host = Tag("a", "", "strong")
            self._domain = Tag("td")
            with Tag("td"):
                self._state = Tag("span")
            self._counts = Tag("td", "", "muted number")
            with Tag("td"), box("actions"):
                if may:
                    for action in Overruling:
                        Button(action.value.capitalize(), partial(self._ask, action), "act slim")

    def show(self, circuit: Circuit, shown: dict[str, object], now: datetime) -> None:
        self._circuit = circuit
        agent, domain = circuit
        if self._host is not None:
            self._host.show(agent.name, href=f"/ui/hosts/{part(agent.name)}")
        self._domain.show(domain.value)
        state, tone = words.state(str(shown["state"]))
        probe_at = shown["probe_at"]
        held = " by hand" if shown["forced"] else ""
        wait = (
            f", probed in {words.span((probe_at - now).total_seconds())}"
            if isinstance(probe_at, datetime)
            else ""
        )
        self._state.show(f"{state}{held}{wait}", tone)
        failures, successes = shown["failures"], shown["successes"]
        total = failures + successes if isinstance(failures, int) and isinstance(successes, int) else 0
        self._counts.show(f"{failures} of {total}", title="outcomes in its window")

    async def _ask(self, action: Overruling) -> None:
        if self._circuit is not None:
            await self._circuits.ask(self._circuit, action)


class Timeline:
    """The latest transitions, the newest first."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._lines: list[tuple[Tag, Tag, Tag]] = []
        self._list = box("line", "ol")
        self._empty = Tag("p", "No circuit has changed yet.", "muted")

    def fill(self, transitions: Sequence[TransitionRecord], names: dict[str, str] | None = None) -> None:
        """Show these; `names` are those of the hosts, where there are several."""
        shown = transitions[: self._length]
        with self._list:
            while len(self._lines) < len(shown):
                with Tag("li") as line:
                    self._lines.append((line, Tag("time"), Tag("span")))
        for (line, time, text), each in zip(self._lines, shown, strict=False):
            host = "" if names is None else f"{names.get(each.agent_id, each.agent_id)} "
            line.reveal(True)
            line.show("", words.shape(each.target)[1])
            time.show(words.clock_time(each.at), title=words.moment(each.at))
            change = f"{words.word(each.origin)} → {words.word(each.target)}"
            by = f", by {words.plain(each.by)}" if each.by else ""
            text.show(f"{host}{each.domain}: {change} - {words.plain(each.reason)}{by}")
        for line, _, _ in self._lines[len(shown) :]:
            line.reveal(False)
        self._list.reveal(bool(shown))
        self._empty.reveal(not shown)
