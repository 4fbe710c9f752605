"""Commands in a table."""

from __future__ import annotations

from collections.abc import Sequence

from seawall.controller.ui import words
from seawall.controller.ui.drawing import Piece, cell
from seawall.controller.ui.elements import Table
from seawall.controller.ui.frame import Page, part
from seawall.engine.records import CommandRecord
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import hidden

_LONGEST = 80


class CommandTable:
    """See the module's text. On the page of one host the host isn't named."""

    def __init__(self, page: Page, *, with_host: bool) -> None:
        self._page = page
        self._with_host = with_host
        names = [
            "State",
            "Operation",
            *(["Host"] if with_host else []),
            "For",
            "By",
            "When",
            "Took",
            "Tries",
            "Error",
        ]
        self._table = Table([("", name) for name in names], label="Commands")

    def fill(self, records: Sequence[CommandRecord], empty: str = "No command yet.") -> None:
        """Show these."""
        self._table.fill([self._cells(record) for record in records], empty)

    def _cells(self, record: CommandRecord) -> list[Piece]:
        now = self._page.services.clock.wall()
        state, tone = words.state(record.state.value)
        took = record.duration_seconds if record.state.final else (now - record.accepted_at).total_seconds()
        cells = [
            cell(state, tone),
            cell(record.operation, "strong", f"/ui/commands/{part(record.command_id)}", record.command_id),
            cell(target(record), "", title=target(record)),
            cell(words.plain(record.requested_by), "muted"),
            cell(
                words.ago(record.accepted_at, now),
                "muted number",
                title=f"{words.moment(record.accepted_at)} UTC",
            ),
            cell(words.took(took), "number"),
            cell(f"{max(record.total_attempts, len(record.attempts))}", "number"),
            cell(words.plain(record.error or ""), "muted", title=words.plain(record.error_code or "")),
        ]
        if self._with_host:
            cells.insert(2, cell(record.agent, "", f"/ui/hosts/{part(record.agent)}"))
        return cells


def target(record: CommandRecord) -> str:
    """What a command is about, from its arguments."""
    shown = hidden(OPERATIONS.get(record.operation), record.arguments)
    for name in ("container", "image", "network", "volume", "project", "name"):
        value = shown.get(name)
        if isinstance(value, str):
            return words.plain(value)[:_LONGEST]
    return ""
