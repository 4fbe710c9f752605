"""Alerts in tables: those that are open, with the means to acknowledge them, and those that are over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from seawall.controller.api.alerts import alert_document
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Reason
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Act, Button, KeyedRows, Tag, box
from seawall.controller.ui.frame import Page, part
from seawall.engine.alert_records import AlertRecord
from seawall.operations.operation import Role

_COLUMNS = ("Severity", "What", "Host", "Since", "Taken care of by", "Actions")


class OpenAlerts:
    """A table of open alerts: those that nobody has acknowledged first, then the newest."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._reason = Reason()
        with box("scroll"), Tag("table", "", "natural tall", aria_label="Open alerts") as self.root:
            with Tag("thead"), Tag("tr"):
                for text in _COLUMNS:
                    Tag("th", text, scope="col")
            self._rows = KeyedRows(Tag("tbody"), self._make_row)

    def fill(self, alerts: Sequence[AlertRecord]) -> None:
        """Show these."""
        shown = sorted(alerts, key=lambda record: bool(record.acknowledged_by))
        rows = self._rows.fill([record.alert_id for record in shown])
        for row, record in zip(rows, shown, strict=True):
            row.show(record, self._page.services.clock.wall())
        self.root.reveal(bool(shown))

    def _make_row(self, alert_id: str) -> _Row:
        return _Row(partial(self._ask, alert_id), may=self._page.may(Role.OPERATOR))

    async def _ask(self, alert_id: str) -> None:
        self._reason.ask(
            "Acknowledge an alert",
            "It isn't escalated any more. Say what you do about it: others see that.",
            "Acknowledge",
            partial(self._acknowledge, alert_id),
        )

    async def _acknowledge(self, alert_id: str, reason: str) -> None:
        keeper, who = self._page.services.alerts.keeper, self._page.principal

        async def work() -> None:
            if not await keeper.acknowledge(alert_id, who.name, reason[:500], who.caller):
                raise Problem(409, ProblemCode.CONFLICT, "the alert is over already")

        await self._page.act(work, Role.OPERATOR, "acknowledging an alert")


class _Row:
    def __init__(self, ask: Act, *, may: bool) -> None:
        with Tag("tr") as self.root:
            with Tag("td"):
                self._severity = Tag("span")
            with Tag("td"), box("stack-tight"):
                self._kind, self._text = Tag("span", "", "strong"), Tag("span", "", "muted small")
            with Tag("td", "", "name"):
                self._host = Tag("a")
            self._since = Tag("td", "", "muted number")
            self._care = Tag("td", "", "muted")
            with Tag("td"), box("actions"):
                self._acknowledge = Button("Acknowledge", ask, "act slim") if may else None

    def show(self, record: AlertRecord, now: datetime) -> None:
        self._severity.show(*words.state(record.severity))
        self._kind.show(_title(record))
        self._text.show(words.plain(record.text))
        self._host.show(words.plain(record.host), href=f"/ui/hosts/{part(record.host)}")
        self._host.reveal(bool(record.host))
        self._since.show(words.ago(record.opened_at, now), title=f"{words.moment(record.opened_at)} UTC")
        self._care.show(_care(record))
        if self._acknowledge is not None:
            self._acknowledge.reveal(not record.acknowledged_by)


def over_cells(record: AlertRecord, now: datetime) -> list[Piece]:
    """An alert that is over."""
    state, tone = words.state("over")
    end = record.resolved_at or now
    text = words.plain(record.text)
    return [
        cell(state, tone),
        cell(_title(record), "strong", title=text),
        cell(words.plain(record.host), "", f"/ui/hosts/{part(record.host)}" if record.host else ""),
        cell(words.ago(record.opened_at, now), "muted number", title=f"{words.moment(record.opened_at)} UTC"),
        cell(words.took((end - record.opened_at).total_seconds()), "number"),
        cell(_care(record), "muted"),
    ]


def _title(record: AlertRecord) -> str:
    document = alert_document(record)
    flaps = f", flapping: opened {record.openings} times" if document["flapping"] else ""
    untold = "" if record.told_at is not None else ", not told"
    return f"{words.word(record.kind).replace('-', ' ')}{flaps}{untold}"


def _care(record: AlertRecord) -> str:
    if not record.acknowledged_by:
        return "escalated" if record.escalated_at is not None else ""
    why = f": {record.acknowledgement}" if record.acknowledgement else ""
    return words.plain(f"{record.acknowledged_by}{why}")
