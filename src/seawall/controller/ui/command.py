"""One command: what became of it and why, and what can be done about it."""

from __future__ import annotations

import json
from collections import deque

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Question, Reason
from seawall.controller.ui.elements import Act, Button, Tag, box, heading, link
from seawall.controller.ui.frame import Page, part, say_missing
from seawall.controller.ui.host import Facts
from seawall.core.command import CommandState
from seawall.engine.explain import Line, explain
from seawall.engine.records import CommandRecord
from seawall.operations.operation import Role
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import HIDDEN, hidden

_VERIFY_SECONDS = 15.0
_PROGRESS_LINES = 6
_MOST_SHOWN = 64 * 1024
_TONES = {
    "outcome": "busy",
    "retry": "careful",
    "parked": "careful",
    "slot": "careful",
    "stopped": "bad",
    "circuit": "careful",
}


@ui.page("/commands/{command_id}")
async def command(request: Request, client: Client, command_id: str) -> None:
    """See the module's text."""
    page = Page(request, client, "Command")
    record = await page.services.store.command(command_id)
    with page.frame():
        if record is None:
            text = "Its id may be mistyped."
            say_missing(client, "No such command", text, "/ui/commands", "Back to the commands")
            return
        await CommandPage(page, record).begin(page)


class CommandPage:
    """What the page shows."""

    def __init__(self, page: Page, record: CommandRecord) -> None:
        self._page = page
        self._record = record
        self._told: deque[str] = deque(maxlen=_PROGRESS_LINES)
        self._lines: list[tuple[Tag, Tag, Tag]] = []
        with box("crumbs"):
            link("Commands", "/ui/commands")
            Tag("span", f" / {record.command_id}")
        with box("headline"):
            heading(record.operation, 1)
            self._state = Tag("span", "", "state")
            with Tag("span", "on ", "muted"):
                link(record.agent, f"/ui/hosts/{part(record.agent)}", "strong")
            with box("actions"):
                self._actions()
        with box("wide"):
            with box("stack"):
                with box("card", "section", aria_label="What happened"):
                    heading("What happened")
                    self._timeline = box("line", "ol", aria_live="polite")
                with box("card", "section", aria_label="Answer") as self._answer_card:
                    heading("Answer")
                    self._answer = Tag("pre", "", "answer", tabindex="0")
            with box("stack"):
                with box("card", "section", aria_label="Progress") as self._progress_card:
                    heading("Progress")
                    self._progress = Tag("pre", "", "answer")
                with box("card", "section", aria_label="Facts"):
                    heading("Facts")
                    names = (
                        "Asked by",
                        "Accepted",
                        "Deadline",
                        "Attempts",
                        "Took",
                        "Sequence",
                        "Error",
                        "Resolved by",
                    )
                    self._facts = Facts(names)
                with box("card", "section", aria_label="Arguments"):
                    heading("Arguments")
                    shown = hidden(OPERATIONS.get(record.operation), record.arguments)
                    Tag("pre", _pretty(shown), "answer")
        self._listening = page.run(self._listen())

    def _actions(self) -> None:
        self._reason, self._question = Reason(), Question()
        self._cancel = Button("Cancel", self._cancel_it, "act danger")
        self._verify = Button("Verify", self._verify_it)
        self._succeeded = Button("It succeeded", self._resolve_as(CommandState.SUCCEEDED))
        self._failed = Button("It failed", self._resolve_as(CommandState.FAILED))
        self._again = Button("Run again", self._run_again)

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=0.5)

    async def show(self) -> None:
        """How things are now."""
        services = self._page.services
        record = await services.store.command(self._record.command_id) or self._record
        self._record = record
        decisions = await services.store.decisions(record.command_id)
        changes = await services.transitions(record.agent_id)
        self._state.show(*words.state(record.state.value))
        self._tell(explain(record, decisions, changes), record)
        self._show_facts(record)
        final, unknown = record.state.final, record.state is CommandState.UNKNOWN
        shown = hidden(OPERATIONS.get(record.operation), record.arguments)
        may, safe = self._page.may(Role.OPERATOR), HIDDEN not in shown.values()
        for button, wanted in (
            (self._cancel, not final),
            (self._verify, unknown),
            (self._succeeded, unknown),
            (self._failed, unknown),
            (self._again, final and not unknown and safe),
        ):
            button.reveal(may and wanted)
        answer = record.response if record.response is not None else record.fallback
        self._answer.show(_pretty(answer) if answer is not None else "")
        self._answer_card.reveal(answer is not None)
        self._progress.show("\n".join(self._told))
        self._progress_card.reveal(bool(self._told) and not final)

    def _tell(self, lines: list[Line], record: CommandRecord) -> None:
        with self._timeline:
            while len(self._lines) < len(lines):
                with Tag("li") as item:
                    self._lines.append((item, Tag("time"), Tag("span")))
        for (item, time, text), line in zip(self._lines, lines, strict=False):
            tone = (
                words.shape(record.state.value)[1]
                if line.kind == "finished"
                else _TONES.get(line.kind, "quiet")
            )
            item.show("", tone)
            item.reveal(True)
            time.show(words.clock_time(line.at), title=f"{words.moment(line.at)} UTC")
            text.show(words.plain(line.text))
        for item, _, _ in self._lines[len(lines) :]:
            item.reveal(False)

    def _show_facts(self, record: CommandRecord) -> None:
        self._facts.fill(
            (
                record.requested_by,
                f"{words.moment(record.accepted_at)} UTC",
                f"{words.moment(record.deadline_at)} UTC",
                f"{max(record.total_attempts, len(record.attempts))} of {record.max_attempts} at most",
                words.took(record.duration_seconds) if record.state.final else "",
                str(record.sequence or ""),
                f"{record.error_code}: {record.error}" if record.error_code else "",
                f"{record.resolved_by}: {record.resolution}" if record.resolved_by else "",
            )
        )

    async def _listen(self) -> None:
        """Show at once what happens, and what the host says of its progress."""
        with self._page.services.bus.listen(self._record.command_id) as notices:
            async for notice in notices:
                text = notice.content.get("text")
                if notice.kind == "progress" and isinstance(text, str):
                    self._told.append(words.plain(text))
                self._page.soon()

    async def _cancel_it(self) -> None:
        commands, who = self._page.services.commands, self._page.principal

        async def work() -> None:
            await commands.cancel(self._record.command_id, who.name, who.caller)

        await self._page.act(work, Role.OPERATOR, "cancelling a command")

    async def _verify_it(self) -> None:
        commands = self._page.services.commands

        async def work() -> None:
            record = await commands.verify(self._record.command_id, _VERIFY_SECONDS)
            if not record.settled:
                self._page.say("The host can't tell now; it is asked again by itself.")

        await self._page.act(work, Role.OPERATOR, "verifying a command")

    def _resolve_as(self, state: CommandState) -> Act:
        async def resolve(reason: str) -> None:
            commands, who = self._page.services.commands, self._page.principal

            async def work() -> None:
                await commands.resolve(self._record.command_id, state, who.name, reason, who.caller)

            await self._page.act(work, Role.OPERATOR, "resolving a command")

        async def ask() -> None:
            self._reason.ask(
                f"It {state.value.lower()}",
                "Say how you know: it stays on record, with your name.",
                f"It {state.value.lower()}",
                resolve,
            )

        return ask

    async def _run_again(self) -> None:
        record = self._record

        async def run() -> None:
            await self._page.give(record.operation, record.agent_id, record.arguments)

        text = f"{record.operation} is asked of {record.agent} once more, as a new command with the same arguments."
        self._question.ask("Run again", text, "Run it", run)


def _pretty(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return words.plain(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}\n... and more")
