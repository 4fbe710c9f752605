"""Figures over time on a page: how long commands took, which errors there were, and how circuits were."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from seawall.controller.ui import words
from seawall.controller.ui.charts import LineChart, StackChart, StateStrip, parts_of
from seawall.controller.ui.elements import Choice, box, heading
from seawall.controller.ui.frame import Page
from seawall.controller.ui.stretches import stretches
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.engine.analytics import Analytics
from seawall.engine.analytics_shown import HeatBy, HeatRow, heat_rows, part_name
from seawall.engine.records import AgentRecord, TransitionRecord
from seawall.engine.store import StoreFailed

TIMES: Final = {"1 h": 3_600.0, "24 h": 86_400.0, "7 d": 604_800.0, "30 d": 2_592_000.0}


class Shown(NamedTuple):
    """Figures, and what of them takes long to work out where there are many."""

    analytics: Analytics
    heat: dict[HeatBy, list[HeatRow]]


def shown(analytics: Analytics) -> Shown:
    """Figures as pages show them."""
    return Shown(analytics, {by: heat_rows(analytics, by) for by in HeatBy})


class Figures:
    """Has figures made beside a page, which goes on meanwhile; `latest` are those that were made last."""

    def __init__(self, page: Page, agent: AgentRecord | None = None) -> None:
        self._page = page
        self._agent = agent
        self._seconds = 0.0
        self._making: asyncio.Task[None] | None = None
        self.latest: Shown | None = None

    def want(self, seconds: float) -> None:
        """Have those of so many seconds made, unless they are on their way; the page shows them when they are there."""
        if self._making is not None and not self._making.done():
            if seconds == self._seconds:
                return
            self._making.cancel()
        if seconds != self._seconds:
            self.latest = None
        self._seconds = seconds
        self._making = self._page.run(self._make(seconds))

    async def _make(self, seconds: float) -> None:
        try:
            made = await self._page.services.analyst.look(seconds, self._agent)
        except StoreFailed:
            # The page itself says so.
            return
        if self.latest is None or made is not self.latest.analytics:
            self.latest = await asyncio.to_thread(shown, made)
            self._page.soon()


class Charts:
    """Two charts: how long commands took that succeeded, and which errors there were."""

    def __init__(self) -> None:
        heading("How long commands took", 3)
        self._durations = LineChart("How long commands took", ("p50", "p95"))
        heading("Errors", 3)
        self._errors = StackChart("Errors")

    def fill(self, latest: Shown) -> None:
        """Show these figures."""
        found = latest.analytics
        names = [part_name(start, found.part_seconds) for start in found.parts]
        spreads = found.durations
        said = [
            f"{name}: {spread.commands:,} succeeded"
            + (
                f", half within {words.latency(spread.p50_seconds)}, 95 % within {words.latency(spread.p95_seconds)}"
                if spread.commands
                else ""
            )
            for name, spread in zip(names, spreads, strict=True)
        ]
        lines = [[each.p50_seconds for each in spreads], [each.p95_seconds for each in spreads]]
        between = self._durations.fill(lines, parts_of(found.parts, found.ends_at, said))
        scale = "no command succeeded"
        if between is not None:
            scale = f"{words.latency(between[0])} to {words.latency(between[1])}, logarithmic"
        self._durations.show_ends(names[0], "now", scale)
        kinds = [(row.about[0], row.counts) for row in latest.heat[HeatBy.CODE]]
        told = [
            f"{name}: "
            + (", ".join(f"{code} {counts[part]:,}" for code, counts in kinds if counts[part]) or "no error")
            for part, name in enumerate(names)
        ]
        highest = self._errors.fill(kinds, parts_of(found.parts, found.ends_at, told))
        self._errors.show_ends(names[0], "now", f"{highest:,}" if highest else "no error")


class HostHistory:
    """A card with the charts of one host and the states of its circuits, over a time that one chooses."""

    def __init__(self, page: Page, agent: AgentRecord) -> None:
        self._page = page
        self._figures = Figures(page, agent)
        with box("card", "section", aria_label="Over time"):
            with box("headline"):
                heading("Over time")
                self._time = Choice("Time", {name: name for name in TIMES}, "24 h", page.refresh)
            self._charts = Charts()
            heading("Circuits", 3)
            self._strips = {domain: StateStrip(domain.value) for domain in Domain}

    def show(self, transitions: Sequence[TransitionRecord], states: dict[Domain, CircuitState]) -> None:
        """How things are now; transitions come the newest first."""
        seconds = TIMES[self._time.value]
        self._figures.want(seconds)
        if self._figures.latest is not None:
            self._charts.fill(self._figures.latest)
        end = self._page.services.clock.wall()
        begin = end - timedelta(seconds=seconds)
        for domain, strip in self._strips.items():
            own = [each for each in transitions if each.domain == domain.value]
            found = stretches(own, states[domain].value, begin, end)
            times: dict[str, float] = {}
            for each in found:
                times[each.state] = times.get(each.state, 0.0) + (each.end - each.begin) * seconds
            told = [
                f"{words.word(state)} {words.span(time)}"
                for state in ("open", "half_open")
                if (time := times.get(state, 0.0)) > 0
            ]
            strip.fill(found, ", ".join(told) or "closed all the time")
