"""The fleet: how many hosts are how, which of them need somebody, and letting one more join."""

from __future__ import annotations

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.ui import words
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Button, Choice, Field, Pager, Table, Tag, box, heading
from seawall.controller.ui.frame import Page, part
from seawall.controller.ui.host_map import HostMap
from seawall.controller.ui.joining import Joining
from seawall.controller.ui.overview import HostRow, Overview, severity
from seawall.operations.operation import Role

_PAGE_SIZE = 50
_ALL = "all"
_KINDS = ("healthy", "degraded", "sick", "offline", "quarantined")
_COLUMNS = (
    ("state", "State"),
    ("name", "Host"),
    ("circuit", "Circuit"),
    ("running", "Running"),
    ("latency", "Latency"),
    ("version", "Version"),
    ("heard", "Last heard"),
    ("", "Why"),
)


@ui.page("/")
async def fleet(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Fleet")
    with page.frame():
        await FleetPage(page).begin(page)


class FleetPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with box("headline"):
            heading("Fleet", 1)
            self._summary = Tag("p", "", "muted")
            self._joining = Joining(page) if page.may(Role.ADMIN) else None
            if self._joining is not None:
                Button("Join a host", self._joining.open, "act primary")
        with box("bar"):
            self._filter = Field("Filter by name, label or version", changed=self._changed)
            self._kind = Choice(
                "State", {_ALL: "All", **{kind: kind for kind in _KINDS}}, _ALL, self._changed
            )
        self._map = HostMap("Map of hosts")
        self._overview: Overview | None = None
        self._choice = ("", _ALL, "", 0)
        with box("card", "section", aria_label="Hosts"):
            self._table = Table(_COLUMNS, sorted_by="state", changed=self._changed, label="Hosts")
            self._pager = Pager(_PAGE_SIZE, self._page.refresh)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show)

    async def show(self) -> None:
        """How things are now."""
        overview = await self._page.house.overview.look()
        if self._joining is not None:
            self._joining.watch()
        text, kind = self._filter.value.strip().lower(), self._kind.value
        choice = (text, kind, self._table.sorted_by, self._pager.page)
        if overview is self._overview and choice == self._choice:
            return
        self._overview, self._choice = overview, choice
        self._count(overview)
        hosts = _chosen(overview.hosts, text, kind)
        self._map.fill(hosts, lambda host: host.state)
        cut = self._pager.cut(len(hosts))
        empty = "No host has joined yet." if not overview.hosts else "No host fits this filter."
        shown = _in_order(hosts, self._table.sorted_by)[cut]
        self._table.fill([self._cells_of(host) for host in shown], empty)

    async def _changed(self) -> None:
        self._pager.page = 0
        await self._page.refresh()

    def _count(self, overview: Overview) -> None:
        total = len(overview.hosts)
        for kind in _KINDS:
            self._kind.label(kind, f"{words.shape(kind)[0]} {kind} {overview.counts.get(kind, 0):,}")
        self._kind.label(_ALL, f"All {total:,}")
        self._summary.show(
            f"{total:,} hosts, {overview.open_circuits:,} with a circuit that isn't closed; "
            f"commands under way: {overview.running:,}"
        )

    def _cells_of(self, host: HostRow) -> list[Piece]:
        state, tone = words.state(host.state)
        circuit, circuit_tone = words.state(host.circuit.value)
        ago = None if host.heard_at is None else self._page.services.clock.now() - host.heard_at
        labels = ", ".join(f"{key}={value}" for key, value in host.labels.items())
        return [
            cell(state, tone, title=f"{host.score} of 100"),
            cell(host.name, "strong", f"/ui/hosts/{part(host.name)}", words.plain(labels)),
            cell(circuit, circuit_tone),
            cell(str(host.running) if host.running else "", "number"),
            cell(words.latency(host.latency_seconds), "number"),
            cell(words.plain(host.version), "muted"),
            cell(words.lately(ago), "muted"),
            cell(words.plain(host.reason), "muted"),
        ]


_KEYS = {
    "state": severity,
    "name": lambda host: host.name,
    "circuit": lambda host: (-("closed", "half_open", "open").index(host.circuit.value), host.name),
    "running": lambda host: (-host.running, host.name),
    "latency": lambda host: (-(host.latency_seconds or 0.0), host.name),
    "version": lambda host: (host.version, host.name),
    "heard": lambda host: (float("inf") if host.heard_at is None else -host.heard_at, host.name),
}


def _chosen(hosts: list[HostRow], text: str, kind: str) -> list[HostRow]:
    if kind == _ALL and not text:
        return hosts
    return [host for host in hosts if kind in (_ALL, host.state) and (not text or _fits(host, text))]


def _in_order(hosts: list[HostRow], by: str) -> list[HostRow]:
    """They come with those first that fare worst."""
    if by == "state":
        return hosts
    return sorted(hosts, key=_KEYS[by.removeprefix("-")], reverse=by.startswith("-"))


def _fits(host: HostRow, text: str) -> bool:
    if text in host.name.lower() or text in host.version.lower():
        return True
    return any(text in f"{key}={value}".lower() for key, value in host.labels.items())
