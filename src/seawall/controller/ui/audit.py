"""The audit log: who did what, from where, and whether its chain is whole. For admins."""

from __future__ import annotations

import json
from datetime import timedelta

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.audit import follow_chain
from seawall.controller.ui import words
from seawall.controller.ui.backwards import Backwards
from seawall.controller.ui.downloads import AUDIT
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Button, Choice, Field, Table, Tag, box, heading
from seawall.controller.ui.frame import Page, part
from seawall.controller.ui.history import TIMES
from seawall.engine.audit import Action, AuditRecord
from seawall.engine.audit_chain import ChainCheck, Verdict
from seawall.operations.operation import Role

_ALL = "all"
_COLUMNS = ("Position", "When, UTC", "Who", "From", "Did", "About", "Detail")
_LONGEST_DETAIL = 2_000


@ui.page("/audit")
async def audit(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Audit")
    with page.frame():
        if not page.may(Role.ADMIN):
            heading("Audit", 1)
            Tag("p", "Who did what is for admins to see.", "muted")
            await page.begin(_nothing)
        else:
            await AuditPage(page).begin(page)


class AuditPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        with box("headline"):
            heading("Audit", 1)
            self._verdict = Tag("span", "", "state", role="status")
            with box("actions"):
                Button("Verify the chain", self._verify)
                Tag("a", "Export", "act", href=AUDIT, download="")
        with box("bar"):
            self._actor = Field("Who, such as user:ada", "", self._changed)
            self._action = Field("Did, such as token", "", self._changed)
            self._subject = Field("About: an id or a name", "", self._changed)
            self._time = Choice("Time", {_ALL: "All", **{name: name for name in TIMES}}, _ALL, self._changed)
        with box("card", "section", aria_label="Entries"):
            self._table = Table([("", name) for name in _COLUMNS], label="Entries")
            self._table.root.classes("audit")
            self._pager = Backwards[AuditRecord, int](lambda record: record.position, page.refresh)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=5.0)

    async def show(self) -> None:
        """How things are now."""
        if not self._page.may(Role.ADMIN):
            self._table.fill([], "Who did what is for admins to see.")
            return
        records = self._pager.page(await self._find())
        self._table.fill([_cells(record) for record in records], "No entry fits this filter.")
        verdict = self._page.house.chain.verdict
        self._verdict.show(*_told(verdict))

    async def _find(self) -> list[AuditRecord]:
        services = self._page.services
        text = self._action.value.strip().lower().replace(" ", "_")
        actions = [action for action in Action if text in action.value] if text else []
        if text and not actions:
            return []
        seconds = TIMES.get(self._time.value)
        return await services.store.audit(
            actor=self._actor.value.strip() or None,
            actions=actions,
            subject=self._subject.value.strip() or None,
            since=None if seconds is None else services.clock.wall() - timedelta(seconds=seconds),
            limit=self._pager.most,
            before=self._pager.before,
        )

    async def _verify(self) -> None:
        house = self._page.house

        async def work() -> None:
            house.chain.verdict = await follow_chain(house.services, ChainCheck())

        await self._page.act(work, Role.ADMIN, "verifying the audit log")

    async def _changed(self) -> None:
        await self._pager.restart()


def _told(verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return "◇ not verified since the controller started", "state quiet"
    if verdict.fault is not None:
        fault = verdict.fault
        return f"■ broken at entry {fault.position}: {words.plain(fault.text)}", "state bad"
    return f"✓ whole when verified, {verdict.entries:,} entries", "state good"


def _cells(record: AuditRecord) -> list[Piece]:
    detail = words.plain(_pretty(record.detail))
    about = f"/ui/commands/{part(record.subject)}" if record.action.startswith("command_") else ""
    return [
        cell(f"{record.position}", "muted number"),
        cell(words.moment(record.moment), "number"),
        cell(words.plain(record.actor), "strong"),
        cell(words.plain(record.source), "muted"),
        cell(words.plain(words.word(record.action).replace("-", " "))),
        cell(words.plain(record.subject), "muted", about, words.plain(record.subject)),
        cell(detail, "muted", title=detail),
    ]


def _pretty(detail: str) -> str:
    """The detail as names with their values, as far as it is what we wrote."""
    try:
        content = json.loads(detail)
    except ValueError:
        return detail[:_LONGEST_DETAIL]
    if not isinstance(content, dict):
        return detail[:_LONGEST_DETAIL]
    pairs = (f"{name}: {_value(value)}" for name, value in content.items() if value not in ("", None))
    return ", ".join(pairs)[:_LONGEST_DETAIL]


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def _nothing() -> None:
    """There is nothing to keep up to date."""
