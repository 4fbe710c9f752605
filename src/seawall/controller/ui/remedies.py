"""What was done about alerts by itself, whether it helped, and the switch that stops it."""

from __future__ import annotations

from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Reason
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Button, Table, Tag, box, heading
from seawall.controller.ui.frame import Page, part
from seawall.engine.remediation_records import RemediationRecord
from seawall.operations.operation import Role

_MOST = 25
_COLUMNS = ("When", "Rule", "Host", "What", "Decision", "Why", "Helped")


class Remedies:
    """The latest decisions, the newest first."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._reason = Reason()
        with box("headline"):
            heading("Done by itself")
            self._switch = Button("Stop", self._turn, "act slim") if page.may(Role.OPERATOR) else None
        self._standing = Tag("p", "", "muted small", role="status")
        self._table = Table([("", name) for name in _COLUMNS], label="Done by itself")

    async def show(self) -> None:
        """How things are now."""
        services = self._page.services
        stopped = services.remediation.remediation.stopped
        remedies = services.remediation.file.current.remedies
        acting = sum(remedy.acts for remedy in remedies)
        self._standing.show(
            words.plain(f"■ stopped by {stopped.by}: {stopped.reason}")
            if stopped is not None
            else f"Rules that act: {acting}; that only say what they would do: {len(remedies) - acting}"
        )
        if self._switch is not None:
            self._switch.show("Stop" if stopped is None else "Resume")
        found = await services.store.remediations(limit=_MOST)
        self._table.fill([self._cells_of(record) for record in found], "Nothing was done by itself.")

    def _cells_of(self, record: RemediationRecord) -> list[Piece]:
        decision, tone = words.state(record.decision)
        helped, helped_tone = (
            ("", "") if record.helped is None else words.state("helped" if record.helped else "no_help")
        )
        command = f"/ui/commands/{part(record.command_id)}" if record.command_id else ""
        return [
            cell(words.ago(record.at, self._page.services.clock.wall()), "muted"),
            cell(words.plain(record.rule), "strong"),
            cell(words.plain(record.host), "", f"/ui/hosts/{part(record.host)}"),
            cell(record.operation, "", command),
            cell(decision, tone),
            cell(words.plain(record.reason), "muted"),
            cell(helped, helped_tone, title=words.plain(record.outcome)),
        ]

    async def _turn(self) -> None:
        if self._page.services.remediation.remediation.stopped is not None:
            await self._page.act(self._resume, Role.OPERATOR, "resuming remediation")
            return
        self._reason.ask(
            "Stop what is done by itself",
            "No rule does anything until somebody resumes it. What is under way goes on.",
            "Stop",
            self._stop,
        )

    async def _stop(self, reason: str) -> None:
        remediation, who = self._page.services.remediation.remediation, self._page.principal

        async def work() -> None:
            if not reason:
                raise Problem(422, ProblemCode.INVALID_REQUEST, "a stop needs a reason: others see it")
            await remediation.stop(reason[:500], who.name, who.caller)

        await self._page.act(work, Role.OPERATOR, "stopping remediation")

    async def _resume(self) -> None:
        await self._page.services.remediation.remediation.resume(self._page.principal.caller)
