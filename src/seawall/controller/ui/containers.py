"""The containers of a host, live, and what can be done to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial

import msgspec
from msgspec import Struct

from seawall.controller.api.problems import EXPECTED, problem_of
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Question
from seawall.controller.ui.elements import Button, Field, KeyedRows, Pager, Tag, box, heading
from seawall.controller.ui.following import StreamEnded, follow
from seawall.controller.ui.frame import Page
from seawall.controller.ui.outputs import Outputs
from seawall.controller.ui.terminal import Terminals
from seawall.engine.records import AgentRecord
from seawall.operations.containers import NAME_PATTERN
from seawall.operations.operation import Role

_PAGE_SIZE = 25
_AGAIN_SECONDS, _CALM_SECONDS = 5.0, 1.0
_LABELS_SHOWN = 400
_ALIVE = frozenset({"running", "paused", "restarting"})


class Container(Struct, frozen=True):
    """One container as Docker lists it."""

    container_id: str
    name: str
    image: str
    state: str
    status: str
    labels: str

    @property
    def handle(self) -> str:
        """What commands call it: its name, or its id where the name is none that commands take."""
        return self.name if re.fullmatch(NAME_PATTERN, self.name) else self.container_id


class Containers:
    """A card with the list, which follows what happens on the host."""

    def __init__(self, page: Page, agent: AgentRecord, outputs: Outputs, terminals: Terminals) -> None:
        self._page = page
        self._agent = agent
        self._outputs = outputs
        self.terminals = terminals
        self._found: list[Container] | None = None
        self._trouble = ""
        with box("card", "section", aria_label="Containers"):
            with box("headline"):
                heading("Containers")
                self._note = Tag("span", "", "muted small", role="status")
                self._filter = Field("Filter by name, image or label", changed=page.refresh)
            with box("scroll"), Tag("table", "", "natural", aria_label="Containers") as self._table:
                with Tag("thead"), Tag("tr"):
                    for text in ("State", "Container", "Image", "Status", "Actions"):
                        Tag("th", text, scope="col")
                self._rows = KeyedRows(Tag("tbody"), self._make_row)
            self._pager = Pager(_PAGE_SIZE, page.refresh)
        self._question = Question()
        page.watches.add(self._watch)

    def show(self) -> None:
        """How things are now."""
        text = self._filter.value.strip().lower()
        found = [each for each in self._found or () if not text or _fits(each, text)]
        shown = found[self._pager.cut(len(found))]
        rows = self._rows.fill([each.container_id for each in shown])
        for row, container in zip(rows, shown, strict=True):
            row.show(container)
        count = "" if self._found is None else f"{len(self._found)} in all"
        self._note.show(self._trouble or count or "asking the host ...")

    def _make_row(self, _: str) -> _Row:
        return _Row(self, may=self._page.may(Role.OPERATOR))

    async def follow(self, container: Container) -> None:
        """Show its log."""
        work = partial(self._outputs.open, container.handle, container.name)
        await self._page.act(work, Role.VIEWER, "following a log")

    async def act(self, verb: str, container: Container) -> None:
        """Do something to it."""
        await self._page.give(f"container_{verb}", self._agent.agent_id, {"container": container.handle})

    async def remove(self, container: Container) -> None:
        """Remove it, once the user has said so again."""
        self._question.ask(
            "Remove a container",
            f"{words.plain(container.name)} on {self._agent.name} is removed for good. One that runs has to be stopped "
            "first.",
            "Remove it",
            partial(self.act, "remove", container),
        )

    async def _watch(self) -> None:
        """List the containers, and again after everything that happens to one; the stream begins with a list."""
        clock = self._page.services.clock
        while True:
            try:
                await self._listen()
                self._trouble = ""
                pause = _CALM_SECONDS
            except StreamEnded as error:
                self._trouble, pause = words.plain(error), _AGAIN_SECONDS
            except EXPECTED as error:
                self._trouble, pause = problem_of(error).detail, _AGAIN_SECONDS
            self._page.soon()
            await clock.sleep_until(clock.now() + pause)

    async def _listen(self) -> None:
        """Take the list; returns when something has happened since."""
        page, rest = self._page, b""
        events = follow(page.services, page.principal.token_id, self._agent, "system_events", {})
        async with aclosing(events) as pieces:
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    listed = _listed(line)
                    if listed is not None:
                        self._found, self._trouble = listed, ""
                        page.soon()
                    elif b'"container"' in line or b'"dropped"' in line:
                        return
                await asyncio.sleep(0)


class _Row:
    """One container in the list. Its buttons are made once; which of them are there depends on its state."""

    def __init__(self, containers: Containers, *, may: bool) -> None:
        self._container: Container | None = None
        self._containers = containers
        with Tag("tr") as self.root:
            with Tag("td"):
                self._state = Tag("span")
            with Tag("td"):
                self._name = Tag("span", "", "strong")
            self._image = Tag("td", "", "muted")
            self._status = Tag("td", "", "muted")
            with Tag("td"), box("actions"):
                self._logs = Button("Log", self._follow, "act slim")
                self._verbs = {
                    verb: Button(text, partial(self._act, verb), "act slim")
                    for verb, text in (
                        ("start", "Start"),
                        ("restart", "Restart"),
                        ("stop", "Stop"),
                        ("pause", "Pause"),
                        ("unpause", "Unpause"),
                    )
                    if may
                }
                self._terminal = Button("Terminal", self._enter, "act slim") if may else None
                self._remove = Button("Remove", self._ask, "act slim danger") if may else None

    def show(self, container: Container) -> None:
        self._container = container
        state, tone = words.state(container.state)
        self._state.show(words.plain(state), tone)
        self._name.show(words.plain(container.name), title=words.plain(container.labels))
        self._image.show(words.plain(container.image), title=words.plain(container.container_id))
        self._status.show(words.plain(container.status))
        alive, paused = container.state in _ALIVE, container.state == "paused"
        fitting = {
            "start": not alive,
            "restart": alive,
            "stop": alive,
            "pause": alive and not paused,
            "unpause": paused,
        }
        for verb, button in self._verbs.items():
            button.reveal(fitting[verb])
        if self._remove is not None:
            self._remove.reveal(not alive)
        if self._terminal is not None:
            self._terminal.reveal(alive and not paused and self._containers.terminals.permitted)

    async def _follow(self) -> None:
        if self._container is not None:
            await self._containers.follow(self._container)

    async def _enter(self) -> None:
        if self._container is not None:
            await self._containers.terminals.open(self._container.handle, self._container.name)

    async def _act(self, verb: str) -> None:
        if self._container is not None:
            await self._containers.act(verb, self._container)

    async def _ask(self) -> None:
        if self._container is not None:
            await self._containers.remove(self._container)


def _listed(line: bytes) -> list[Container] | None:
    try:
        content = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    listed = content.get("listed") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        return None
    found = [_container(each) for each in listed if isinstance(each, dict)]
    return sorted(found, key=lambda each: (each.name, each.container_id))


def _container(record: Mapping[str, object]) -> Container:
    names, labels = record.get("Names"), record.get("Labels")
    name = str(names[0]) if isinstance(names, list) and names else ""
    pairs = labels.items() if isinstance(labels, dict) else ()
    return Container(
        str(record.get("Id", "")),
        name.removeprefix("/"),
        str(record.get("Image", "")),
        str(record.get("State", "")),
        str(record.get("Status", "")),
        ", ".join(f"{key}={value}" for key, value in pairs)[:_LABELS_SHOWN],
    )


def _fits(container: Container, text: str) -> bool:
    return any(
        text in each.lower() for each in (container.name, container.image, container.labels, container.state)
    )
