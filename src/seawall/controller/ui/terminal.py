"""A terminal in a container, on its host's page: what `seawall container exec -i -t` does, in the browser.

What the container writes goes to the screen as text in pieces, each until the browser has drawn it: a process that
writes faster waits. Whatever ends the page or its sign-in ends the input of the process.
"""

from __future__ import annotations

import asyncio
import codecs

from msgspec import Struct
from nicegui.elements.xterm import Xterm
from nicegui.events import GenericEventArguments

from seawall.client.frames import Output
from seawall.controller.api.problems import EXPECTED, Problem, ProblemCode, problem_of
from seawall.controller.api.streams import MAX_STREAMS, Opening
from seawall.controller.streams import Relay
from seawall.controller.ui import words
from seawall.controller.ui.elements import Button, Tag, box, heading
from seawall.controller.ui.frame import Page
from seawall.core.errors import CommandErrorCode
from seawall.engine.audit import Action, Entry, telling
from seawall.engine.records import AgentRecord
from seawall.operations.containers import CONTAINER_EXEC
from seawall.operations.operation import check_arguments
from seawall.wire import terminal
from seawall.wire.stream import Outflow

SHELL = ("/bin/sh",)
"""What is run: the one program that nearly every container has."""

_MOST_DRAWING = 128
_PIECE_CHARACTERS = 8 * 1024
_MOST_KEYS = 64 * 1024
_LOOK_SECONDS = 1.0
_LARGEST = 1_000


class _Order(Struct, frozen=True):
    operation: str
    arguments: dict[str, object]


class Screen(Xterm, component="terminal.js"):
    """The terminal itself. Pieces that the browser has not drawn yet are sent with every change of it."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = asyncio.Event()
        """Set whenever the browser has drawn something."""
        self._first = 0
        self._pieces: list[str] = []
        self._session = 0
        self.props["session"] = 0
        self.on("drawn", self._confirm)

    @property
    def full(self) -> bool:
        """Whether the browser has enough to draw."""
        return len(self._pieces) >= _MOST_DRAWING

    def begin(self) -> None:
        """An empty screen."""
        self._session += 1
        self._first, self._pieces = 0, []
        self.props["session"] = self._session
        self._send()

    def put(self, text: str) -> None:
        """Draw this after what was there."""
        self._pieces += [text[at : at + _PIECE_CHARACTERS] for at in range(0, len(text), _PIECE_CHARACTERS)]
        self._send()

    def end(self) -> None:
        """No screen."""
        self.props["session"] = 0
        self._first, self._pieces = 0, []
        self._send()

    def _send(self) -> None:
        self.props["output"] = [self._first, list(self._pieces)]
        self.update()

    def _confirm(self, event: GenericEventArguments) -> None:
        told: object = event.args
        if not (isinstance(told, list) and len(told) == 2 and told[0] == self._session):
            return
        up_to = told[1]
        if isinstance(up_to, int) and self._first < up_to <= self._first + len(self._pieces):
            # What is confirmed is forgotten here, and not sent again with the next piece.
            del self._pieces[: up_to - self._first]
            self._first = up_to
            self.drawn.set()


class Terminals:
    """A card with one terminal at a time."""

    def __init__(self, page: Page, agent: AgentRecord) -> None:
        self._page = page
        self._agent = agent
        self._task: asyncio.Task[None] | None = None
        self._talk: _Talk | None = None
        with box("card", "section", aria_label="Terminal") as self._card:
            with box("headline"):
                self._title = heading("")
                self._state = Tag("span", "", "muted small", role="status")
                with box("actions"):
                    Button("Close", self.close, "act slim")
            self._screen = Screen()
        self._screen.on("keys", self._typed)
        self._screen.on("size", self._resized)
        self._card.reveal(False)

    @property
    def permitted(self) -> bool:
        """Whether the user's role and, as far as it is known, the host's policy let somebody into containers."""
        session = self._page.services.fleet.session(self._agent.agent_id)
        if session is None or not self._page.may(CONTAINER_EXEC.role):
            return False
        return session.signs.level is None or session.signs.may_exec

    async def open(self, container: str, name: str) -> None:
        """Run a shell in this container."""

        async def work() -> None:
            await self.close()
            relay = await self._begin(container)
            self._title.show(f"Terminal in {words.plain(name)}")
            self._state.show(f"{SHELL[0]}, as the container's own user")
            self._card.reveal(True)
            self._screen.begin()
            self._talk = _Talk(self._page, relay, self._screen)
            self._task = self._page.run(self._last(self._talk))

        await self._page.act(work, CONTAINER_EXEC.role, "a terminal in a container")

    async def close(self) -> None:
        """End the input of the shell, and show none."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._task = self._talk = None
        self._screen.end()
        self._card.reveal(False)

    async def _begin(self, container: str) -> Relay:
        """Begin the stream, and write down who did. Raises Problem."""
        services, agent, principal = self._page.services, self._agent, self._page.principal
        given = {"container": container, "command": list(SHELL), "interactive": True, "tty": True}
        arguments = check_arguments(CONTAINER_EXEC, given, stream=True)
        streams, stream_id = services.streams, services.clock.new_id()
        if len(streams) >= MAX_STREAMS:
            raise Problem(503, ProblemCode.BUSY, f"{MAX_STREAMS} streams are open already; close some")
        if not streams.is_connected(agent.agent_id):
            raise Problem(503, CommandErrorCode.AGENT_NOT_CONNECTED, f"the host {agent.name} isn't connected")
        detail = Opening(CONTAINER_EXEC.name, agent.name, telling(CONTAINER_EXEC.name, arguments))
        now = services.clock.wall()
        await services.store.record(Entry(now, principal.caller, Action.STREAM_OPENED, stream_id, detail))
        order = _Order(CONTAINER_EXEC.name, arguments)
        return streams.open(stream_id, agent.agent_id, principal.token_id, order, 0, again=False)

    async def _last(self, talk: _Talk) -> None:
        try:
            self._state.show(await talk.until_over())
        except EXPECTED as error:
            self._state.show(problem_of(error).detail)
        finally:
            if self._talk is talk:
                self._talk = None

    async def _typed(self, event: GenericEventArguments) -> None:
        keys: object = event.args
        if self._talk is not None and isinstance(keys, str) and keys:
            await self._talk.type(keys)

    def _resized(self, event: GenericEventArguments) -> None:
        size: object = event.args
        if self._talk is not None and isinstance(size, list) and len(size) == 2:
            columns, rows = size
            if isinstance(columns, int) and isinstance(rows, int):
                self._talk.resize(columns, rows)


class _Talk:
    """One shell, and the screen that shows it."""

    def __init__(self, page: Page, relay: Relay, screen: Screen) -> None:
        self._page = page
        self._streams = page.services.streams
        self._relay = relay
        self._screen = screen
        self._input = Outflow()
        self._may_send = False
        # Each key waits for the one before: who is still signed in isn't always known at once.
        self._in_order = asyncio.Lock()
        self._output = Output()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._generation = self._streams.attach(relay, 0)

    async def until_over(self) -> str:
        """Show what comes until there is no more; says how it ended."""
        watching = asyncio.create_task(self._watch())
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait((watching, reading), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else "closed: the sign-in is over"
        finally:
            watching.cancel()
            reading.cancel()
            if not self._relay.over:
                self._streams.close(self._relay, "the terminal was closed")

    async def type(self, keys: str) -> None:
        """What the user typed or pasted; nothing once the sign-in is over."""
        data = keys.encode("utf-8", "replace")
        async with self._in_order:
            if not await self._page.lives(used=True):
                return
            if len(data) > min(_MOST_KEYS, self._input.room // 2):
                self._page.say("this is too much at once for a terminal; copy it as a file", bad=True)
                return
            self._give(terminal.keys(data))

    def resize(self, columns: int, rows: int) -> None:
        """The screen has this size now."""
        if 0 < columns <= _LARGEST and 0 < rows <= _LARGEST and self._input.room > _MOST_KEYS:
            self._give(terminal.size(columns, rows))

    def _give(self, frame: bytes) -> None:
        self._input.add(frame)
        self._send()

    def _send(self) -> None:
        while self._may_send and not self._relay.over and (chunk := self._input.take()) is not None:
            self._streams.give(self._relay, *chunk)

    async def _watch(self) -> None:
        """Return when the sign-in is over."""
        clock = self._page.services.clock
        while await self._page.lives(used=False):
            await clock.sleep_until(clock.now() + _LOOK_SECONDS)

    async def _read(self) -> str:
        relay, news = self._relay, self._relay.news
        while relay.generation == self._generation:
            while (chunk := relay.next_chunk()) is not None:
                offset, data = chunk
                for _, piece in self._output.feed(data):
                    self._screen.put(self._decode(piece))
                while self._screen.full:
                    self._screen.drawn.clear()
                    await self._screen.drawn.wait()
                self._streams.credit(relay, offset + len(data))
            credit, relay.input_credit = relay.input_credit, None
            if credit is not None:
                if credit.again:
                    self._input.rewind(max(credit.up_to, self._input.start))
                else:
                    self._input.credit(credit.up_to)
                self._may_send = True
                self._send()
                continue
            end = relay.end
            if end is not None:
                return f"ended: {words.plain(end.error)}" if end.error else "the shell has ended"
            if relay.over:
                return "it was ended"
            news.clear()
            await news.wait()
        return "it was ended"
