"""What is wrong and who takes care of it, when to keep quiet, and where it is told."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.alerts.channels import UnknownChannel
from seawall.controller.alerts.delivery import DeliveryFailed
from seawall.controller.ui import words
from seawall.controller.ui.alert_list import OpenAlerts, over_cells
from seawall.controller.ui.dialogs import Reason
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import (
    Act,
    Button,
    Choice,
    Field,
    KeyedRows,
    Table,
    Tag,
    box,
    heading,
)
from seawall.controller.ui.frame import Page
from seawall.controller.ui.remedies import Remedies
from seawall.core.alert_rules import MEANINGS, AlertKind, AlertRule
from seawall.engine.alert_records import ChannelRecord, SilenceRecord
from seawall.operations.operation import Role

_MOST_OPEN, _MOST_OVER = 100, 25
_LONGEST_PATTERN = 253
_TIMES = {"1 h": 3_600.0, "4 h": 14_400.0, "1 d": 86_400.0, "7 d": 604_800.0}
_EVERYTHING = "everything"


@ui.page("/alerts")
async def alerts(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Alerts")
    with page.frame():
        await AlertsPage(page).begin(page)


class AlertsPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._reason = Reason()
        with box("headline"):
            heading("Alerts", 1)
            self._summary = Tag("p", "", "muted", role="status")
        with box("wide"):
            with box("stack"):
                with box("card", "section", aria_label="Open alerts"):
                    heading("Open")
                    self._open = OpenAlerts(page)
                    self._fine = Tag("p", "Nothing is wrong.", "muted")
                with box("card", "section", aria_label="Alerts that are over"):
                    heading("Over")
                    columns = [("", name) for name in ("State", "What", "Host", "Opened", "Lasted", "By")]
                    self._over = Table(columns, label="Alerts that are over")
                with box("card", "section", aria_label="Done by itself"):
                    self._remedies = Remedies(page)
                with box("card", "section", aria_label="Rules"):
                    heading("Rules")
                    columns = [
                        ("", name) for name in ("Rule", "Severity", "After", "Over after", "Threshold")
                    ]
                    self._rules = Table([*columns, ("", "Told to")], label="Rules")
            with box("stack"):
                with box("card", "section", aria_label="Channels"):
                    heading("Where it is told")
                    self._channels = _Channels(page)
                with box("card", "section", aria_label="Silences"):
                    heading("Kept quiet")
                    self._silences = _Silences(page)
                    if page.may(Role.OPERATOR):
                        self._silencing()

    def _silencing(self) -> None:
        heading("Keep quiet for a while", 3)
        self._hosts = Field("Hosts, such as web-*; none for all")
        self._kind = Field("Rule, such as circuit; none for all")
        self._time = Choice("For", {name: name for name in _TIMES}, "1 h", _nothing)
        with box("actions"):
            Button("Keep quiet", self._ask_silence)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show)

    async def show(self) -> None:
        """How things are now."""
        services = self._page.services
        now = services.clock.wall()
        found = await services.store.alerts(unresolved=True, limit=_MOST_OPEN)
        latest = await services.store.alerts(limit=_MOST_OPEN + _MOST_OVER)
        over = [record for record in latest if record.resolved_at is not None][:_MOST_OVER]
        self._open.fill(found)
        self._fine.reveal(not found)
        self._over.fill([over_cells(record, now) for record in over], "No alert is over.")
        total = sum(services.alerts.open_alerts().values())
        cared_for = sum(bool(record.acknowledged_by) for record in found)
        shown = f", the newest {_MOST_OPEN} are shown" if total > len(found) >= _MOST_OPEN else ""
        self._summary.show(f"{total:,} open, {cared_for:,} acknowledged{shown}")
        await self._remedies.show()
        self._silences.fill()
        self._channels.fill(services.alerts.channels.all())
        settings = services.alerts.file.current
        self._rules.fill([_rule_cells(kind, rule) for kind, rule in settings.rules.items()])

    async def _ask_silence(self) -> None:
        hosts = [
            each for each in self._hosts.value.replace(",", " ").split() if len(each) <= _LONGEST_PATTERN
        ]
        text = self._kind.value.strip().lower().replace(" ", "_")
        kinds = [kind for kind in AlertKind if text and text in kind.value]
        if text and not kinds:
            self._page.say(
                f"No rule is called {text}; the table of rules shows those that there are.", bad=True
            )
            return
        about = ", ".join(words.word(kind.value) for kind in kinds) or _EVERYTHING
        where = f" on {', '.join(hosts)}" if hosts else ""
        self._reason.ask(
            "Keep quiet",
            f"For {self._time.value} no alert is told of {about}{where}. What is still wrong after that is told then.",
            "Keep quiet",
            partial(self._silence, [kind.value for kind in kinds], hosts, _TIMES[self._time.value]),
        )

    async def _silence(self, kinds: list[str], hosts: list[str], seconds: float, reason: str) -> None:
        services, who = self._page.services, self._page.principal

        async def work() -> None:
            clock = services.clock
            until = clock.wall() + timedelta(seconds=seconds)
            record = SilenceRecord(clock.new_id(), until, kinds, hosts, reason[:500], who.name)
            await services.alerts.keeper.silence(record, who.caller)

        await self._page.act(work, Role.OPERATOR, "keeping alerts quiet")


class _Silences:
    """Those that somebody asked for, to be ended, and those of the alert file."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._list = box("plain-list", "ul")
        self._rows = KeyedRows(self._list, self._make_row)
        self._daily = Tag("p", "", "muted small")
        self._none = Tag("p", "Nothing is kept quiet.", "muted")

    def fill(self) -> None:
        """Show them."""
        services = self._page.services
        records, now = services.alerts.keeper.silences(), services.clock.wall()
        rows = self._rows.fill([record.silence_id for record in records])
        for row, record in zip(rows, records, strict=True):
            about = ", ".join(words.word(kind) for kind in record.kinds) or _EVERYTHING
            where = f" on {', '.join(record.hosts)}" if record.hosts else ""
            left = words.span((record.until - now).total_seconds())
            row.text.show(words.plain(f"{about}{where}, {left} more"))
            row.why.show(words.plain(f"{record.reason or 'no reason'}, by {record.created_by}"))
        daily = services.alerts.file.current.silences
        self._daily.show(f"By the alert file: {', '.join(words.plain(each.name) for each in daily)}")
        self._daily.reveal(bool(daily))
        self._none.reveal(not records and not daily)

    def _make_row(self, silence_id: str) -> _Item:
        end = partial(self._end, silence_id) if self._page.may(Role.OPERATOR) else None
        return _Item("End", end)

    async def _end(self, silence_id: str) -> None:
        keeper, caller = self._page.services.alerts.keeper, self._page.principal.caller
        end = partial(keeper.end_silence, silence_id, caller)
        await self._page.act(end, Role.OPERATOR, "ending a silence")


class _Channels:
    """The channels, each to be tried."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._rows = KeyedRows(box("plain-list", "ul"), self._make_row)
        self._none = Tag(
            "p", "Nowhere yet: 'seawall alert channel add' names a webhook, mail or chat.", "muted"
        )

    def fill(self, channels: list[ChannelRecord]) -> None:
        """Show them, without their addresses' secrets."""
        rows = self._rows.fill([channel.name for channel in channels])
        for row, channel in zip(rows, channels, strict=True):
            row.text.show(words.plain(channel.name))
            row.why.show(words.plain(f"{channel.kind} {channel.shown}"))
        self._none.reveal(not channels)

    def _make_row(self, name: str) -> _Item:
        return _Item("Test", partial(self._test, name) if self._page.may(Role.ADMIN) else None)

    async def _test(self, name: str) -> None:
        channels, who = self._page.services.alerts.channels, self._page.principal

        async def work() -> None:
            try:
                await channels.test(name, who.name, who.caller)
            except UnknownChannel:
                self._page.say(f"There is no channel {name} any more.", bad=True)
            except DeliveryFailed as failed:
                self._page.say(f"The test of {name} didn't get through: {failed}", bad=True)
            else:
                self._page.say(f"A test message was delivered to {name}.")

        await self._page.act(work, Role.ADMIN, "testing a channel")


class _Item:
    """A line with what it is, a word about it, and a button for those who may."""

    def __init__(self, verb: str, act: Act | None) -> None:
        with Tag("li") as self.root:
            with box("stack-tight"):
                self.text, self.why = Tag("span", "", "strong"), Tag("span", "", "muted small")
            if act is not None:
                Button(verb, act, "act slim")


def _rule_cells(kind: AlertKind, rule: AlertRule) -> list[Piece]:
    state, tone = words.state(rule.severity.value) if rule.enabled else ("✕ off", "state quiet")
    threshold = f"{rule.threshold:g}" if kind in MEANINGS else ""
    told = "all channels" if rule.channels is None else ", ".join(rule.channels) or "nobody"
    escalation = (
        f", after {words.span(rule.escalate_after_seconds)} also to {', '.join(rule.escalate_to) or 'them again'}"
        if rule.escalate_after_seconds is not None
        else ""
    )
    return [
        cell(words.word(kind.value), "strong"),
        cell(state, tone),
        cell(words.span(rule.for_seconds) if rule.for_seconds else "at once", "number"),
        cell(words.span(rule.calm_seconds), "number"),
        cell(threshold, "number", title=MEANINGS.get(kind, "")),
        cell(words.plain(f"{told}{escalation}"), "muted"),
    ]


async def _nothing() -> None:
    """The choice is read when the button is pressed."""
