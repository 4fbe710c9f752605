"""Which errors repeat, how reliable hosts are over time, and the worst ten."""

from __future__ import annotations

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.ui import words
from seawall.controller.ui.downloads import CSV
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Choice, Field, Pager, Table, Tag, box, heading
from seawall.controller.ui.frame import Page, part
from seawall.controller.ui.heat_map import HeatMap
from seawall.controller.ui.history import TIMES, Charts, Figures, Shown
from seawall.engine.analytics import Analytics, HostFigures
from seawall.engine.analytics_csv import CsvTable
from seawall.engine.analytics_shown import HeatBy, blocks, counted, notes, share

_WORST, _PAGE_SIZE = 10, 25
_COLUMNS = (
    ("host", "Host"),
    ("reliability", "Reliability"),
    ("availability", "Availability"),
    ("failed", "Failed"),
    ("outages", "Outages"),
    ("mtbf", "MTBF"),
    ("mttr", "MTTR"),
    ("p50", "p50"),
    ("p95", "p95"),
    ("p99", "p99"),
    ("", "Availability over time"),
)
_BY = {
    HeatBy.PATTERN.value: "Code, host and operation",
    HeatBy.CODE.value: "Code",
    HeatBy.HOST.value: "Host",
    HeatBy.OPERATION.value: "Operation",
}


@ui.page("/analytics")
async def analytics(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Analytics")
    with page.frame():
        await AnalyticsPage(page).begin(page)


class AnalyticsPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._figures = Figures(page)
        self._drawn: Shown | None = None
        self._chosen: tuple[str, str, str, int] | None = None
        with box("headline"):
            heading("Analytics", 1)
            self._summary = Tag("p", "", "muted", role="status")
            with box("actions"):
                self._links = {
                    table: Tag("a", f"{table.value.capitalize()} as CSV", "act", download="")
                    for table in CsvTable
                }
        with box("bar"):
            self._time = Choice("Time", {name: name for name in TIMES}, "7 d", self._changed)
        with box("wide"):
            with box("card", "section", aria_label="The worst ten"):
                heading("The worst ten")
                self._worst = Table([("", name) for _, name in _COLUMNS[:-1]], label="The worst ten")
            with box("card", "section", aria_label="All hosts together"):
                heading("All hosts together")
                self._charts = Charts()
        with box("card", "section", aria_label="Error patterns"):
            with box("headline"):
                heading("Error patterns")
                self._by = Choice("Rows", _BY, HeatBy.PATTERN.value, page.refresh)
            self._heat = HeatMap()
        with box("card", "section", aria_label="Reliability of hosts"):
            with box("headline"):
                heading("Reliability of hosts")
                self._filter = Field("Filter by host", changed=self._changed)
            self._hosts = Table(
                _COLUMNS, sorted_by="reliability", changed=self._changed, label="Reliability of hosts"
            )
            self._pager = Pager(_PAGE_SIZE, page.refresh)
        self._notes = [Tag("p", "", "muted small") for _ in range(_WORST)]

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=2.0)

    async def show(self) -> None:
        """How things are now."""
        seconds = TIMES[self._time.value]
        self._figures.want(seconds)
        for table, link in self._links.items():
            link.show(link.text, href=f"{CSV}/{table.value}.csv?seconds={seconds:.0f}")
        latest = self._figures.latest
        if latest is None:
            self._summary.show("counting ...")
            return
        chosen = (self._by.value, self._filter.value, self._hosts.sorted_by, self._pager.page)
        if latest is self._drawn and chosen == self._chosen:
            return
        self._drawn, self._chosen = latest, chosen
        found = latest.analytics
        self._summary.show(f"since {words.moment(found.begins_at)} UTC; {counted(found)}")
        self._charts.fill(latest)
        self._heat.fill(latest, HeatBy(self._by.value))
        self._worst.fill([_cells(host)[:-1] for host in found.hosts[:_WORST]], "No host has joined yet.")
        self._show_hosts(found)
        said = notes(found)
        for line, text in zip(self._notes, [*said, *[""] * _WORST], strict=False):
            line.show(text)
            line.reveal(bool(text))

    def _show_hosts(self, found: Analytics) -> None:
        text, by = self._filter.value.strip().lower(), self._hosts.sorted_by
        hosts = [host for host in found.hosts if text in host.host.lower()]
        hosts.sort(key=_KEYS[by.removeprefix("-")], reverse=by.startswith("-"))
        cut = self._pager.cut(len(hosts))
        self._hosts.fill([_cells(host) for host in hosts[cut]], "No host fits this filter.")

    async def _changed(self) -> None:
        self._pager.page = 0
        await self._page.refresh()


# The first turn of each shows those that need somebody.
_KEYS = {
    "host": lambda host: host.host,
    "reliability": lambda host: (host.reliability, host.host),
    "availability": lambda host: (host.availability, host.host),
    "failed": lambda host: (-host.failed, host.host),
    "outages": lambda host: (-host.outages, host.host),
    "mtbf": lambda host: (host.mtbf_seconds or float("inf"), host.host),
    "mttr": lambda host: (-(host.mttr_seconds or 0.0), host.host),
    "p50": lambda host: (-(host.p50_seconds or 0.0), host.host),
    "p95": lambda host: (-(host.p95_seconds or 0.0), host.host),
    "p99": lambda host: (-(host.p99_seconds or 0.0), host.host),
}


def _cells(host: HostFigures) -> list[Piece]:
    percentiles = (host.p50_seconds, host.p95_seconds, host.p99_seconds)
    failed = f"{host.failed:,} of {host.commands:,}" if host.commands else ""
    return [
        cell(host.host, "strong", f"/ui/hosts/{part(host.host)}", host.agent_id),
        cell(*_graded(host.reliability)),
        cell(share(host.availability), "number", title=f"down for {words.span(host.down_seconds)}"),
        cell(failed, "number", title=f"{host.succeeded:,} succeeded"),
        cell(str(host.outages) if host.outages else "", "number"),
        *(
            cell("" if each is None else words.span(each), "number")
            for each in (host.mtbf_seconds, host.mttr_seconds)
        ),
        *(cell("" if each is None else words.took(each), "number") for each in percentiles),
        cell(blocks(host.availabilities), "blocks", title="a full block: up all of the time"),
    ]


_GOOD, _FAIR = 0.99, 0.9


def _graded(reliability: float) -> tuple[str, str]:
    """A share with a shape and a colour for how it is."""
    name = "healthy" if reliability >= _GOOD else "degraded" if reliability >= _FAIR else "sick"
    shape, tone = words.shape(name)
    return f"{shape} {share(reliability)}", f"state {tone}"
