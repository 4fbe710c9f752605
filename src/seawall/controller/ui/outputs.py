"""A container's log and figures, live on the host's page."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from seawall.client.frames import Output
from seawall.controller.api.problems import EXPECTED, problem_of
from seawall.controller.ui import words
from seawall.controller.ui.elements import Button, Tag, box, heading
from seawall.controller.ui.following import StreamEnded, follow
from seawall.controller.ui.frame import Page
from seawall.controller.ui.usage import Usage, usage_of
from seawall.controller.ui.watches import Watch
from seawall.engine.records import AgentRecord

_TAIL = 200
_MOST_WAITING = 64 * 1024
_MOST_PIECES = 300


class Outputs:
    """A card that follows one container at a time."""

    def __init__(self, page: Page, agent: AgentRecord) -> None:
        self._page = page
        self._agent = agent
        self._watches: list[Watch] = []
        self._waiting: deque[tuple[bool, str]] = deque()
        self._waiting_size = 0
        self._left_out = False
        self._pieces: deque[Tag] = deque()
        self._usage: Usage | None = None
        with box("card", "section", aria_label="Log and figures") as self._card:
            with box("headline"):
                self._title = heading("")
                self._state = Tag("span", "", "muted small", role="status")
                with box("actions"):
                    Button("Close", self.close, "act slim")
            self._figures = Tag("p", "", "muted number")
            self._log = Tag("pre", "", "log", data_follow="true", tabindex="0", aria_label="Log")
        self._card.reveal(False)

    async def open(self, container: str, name: str) -> None:
        """Follow this container from now on."""
        await self.close()
        self._title.show(f"Log of {words.plain(name)}")
        self._card.reveal(True)
        self._watches = [
            self._page.watches.add(partial(self._read_log, container)),
            self._page.watches.add(partial(self._read_figures, container)),
        ]

    async def close(self) -> None:
        """Follow none."""
        for watch in self._watches:
            self._page.watches.drop(watch)
        self._watches = []
        self._usage = None
        self._wipe()
        self._card.reveal(False)

    def _wipe(self) -> None:
        self._waiting.clear()
        self._waiting_size = 0
        while self._pieces:
            self._pieces.popleft().delete()

    def show(self) -> None:
        """What has come since the last time."""
        usage = self._usage
        if usage is not None:
            of = f" of {words.size(usage.memory_limit_bytes)}" if usage.memory_limit_bytes else ""
            self._figures.show(
                f"CPU {usage.cpu_percent:.1f} %   Memory {words.size(usage.memory_bytes)}{of}   "
                f"Processes {usage.processes:.0f}   Received {words.size(usage.received_bytes)}   "
                f"Sent {words.size(usage.sent_bytes)}"
            )
        self._figures.reveal(usage is not None)
        if self._left_out:
            self._left_out = False
            self._add(False, "... more came than can be shown; some is left out ...\n")
        while self._waiting:
            self._add(*self._waiting.popleft())
        self._waiting_size = 0

    def _add(self, is_error: bool, text: str) -> None:
        with self._log:
            self._pieces.append(Tag("span", text, "err" if is_error else ""))
        while len(self._pieces) > _MOST_PIECES:
            self._pieces.popleft().delete()

    async def _read_log(self, container: str) -> None:
        arguments: dict[str, object] = {"container": container, "tail": _TAIL, "follow": True}
        output = Output()
        # After a sign-in that was over the log begins anew, with what it had meanwhile.
        self._wipe()
        self._state.show("live")
        try:
            async with aclosing(self._follow("container_logs", arguments)) as pieces:
                async for piece in pieces:
                    for is_error, text in output.feed(piece):
                        self._keep(is_error, words.plain(text.decode("utf-8", "replace")))
        except (StreamEnded, ValueError) as error:
            self._state.show(f"ended: {words.plain(error)}")
        except EXPECTED as error:
            self._state.show(problem_of(error).detail)
        else:
            self._state.show("the log has ended")

    async def _read_figures(self, container: str) -> None:
        rest = b""
        try:
            async with aclosing(self._follow("container_stats", {"container": container})) as pieces:
                async for piece in pieces:
                    *lines, rest = (rest + piece).split(b"\n")
                    if lines:
                        self._usage = usage_of(lines[-1]) or self._usage
        except StreamEnded:
            self._usage = None
        except EXPECTED:
            # The log beside it says what is wrong.
            self._usage = None

    def _follow(self, operation: str, arguments: dict[str, object]) -> AsyncGenerator[bytes]:
        return follow(self._page.services, self._page.principal.token_id, self._agent, operation, arguments)

    def _keep(self, is_error: bool, text: str) -> None:
        if self._waiting and self._waiting[-1][0] is is_error:
            text = self._waiting.pop()[1] + text
        self._waiting.append((is_error, text[-_MOST_WAITING:]))
        self._waiting_size += len(text)
        if self._waiting_size > _MOST_WAITING:
            self._left_out = True
            while len(self._waiting) > 1:
                self._waiting.popleft()
            self._waiting_size = len(self._waiting[-1][1])
