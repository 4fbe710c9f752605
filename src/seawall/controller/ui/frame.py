"""What every page stands in: navigation, who is signed in, refreshing, and the check of everything a user does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.permissions import allow
from seawall.controller.api.problems import EXPECTED, Problem, ProblemCode, problem_of
from seawall.controller.api.services import Services
from seawall.controller.auth import Principal
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import sign_in_again
from seawall.controller.ui.elements import Act, Tag, box, heading, link
from seawall.controller.ui.forms import SIGN_OUT, STATIC
from seawall.controller.ui.visits import Arrival, House
from seawall.controller.ui.watches import Watches
from seawall.core.command import CommandState
from seawall.engine.commands import CommandRequest, find_operation
from seawall.engine.records import CommandRecord
from seawall.engine.store import StoreFailed
from seawall.operations.operation import Role

REFRESH_SECONDS = 0.5
"""A page changes twice a second at most."""

_NOT_FOUND = 404
_PLACES = (
    ("/ui/", "Fleet"),
    ("/ui/commands", "Commands"),
    ("/ui/circuits", "Circuits"),
    ("/ui/alerts", "Alerts"),
    ("/ui/analytics", "Analytics"),
    ("/ui/resilience", "Resilience"),
    ("/ui/audit", "Audit"),
    ("/ui/settings", "Settings"),
)
_FOR_ADMINS = frozenset({"/ui/audit"})
_HEAD = (
    f'<link rel="stylesheet" href="{STATIC}/seawall.css"><script src="{STATIC}/theme.js"></script>'
    f'<script src="{STATIC}/page.js" defer></script>'
)


class Page:
    """One open page. Make what it shows within `frame`, then call `begin` with what keeps it up to date."""

    def __init__(self, request: Request, client: Client, title: str) -> None:
        arrival: Arrival = request.scope["state"]["arrival"]
        self.house: House = arrival.house
        self.services: Services = self.house.services
        self.title = title
        self._path = request.url.path
        self._client = client
        self._visit = self.house.visits.begin(client.id, arrival)
        self._show: Act | None = None
        self._seen = True
        self._wait = 0
        self._every = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self.watches = Watches()
        client.on_delete(self._end)
        client.title = f"{title} - Seawall"
        ui.add_head_html(_HEAD)

    @property
    def principal(self) -> Principal:
        """Whose page it is."""
        return self._visit.sign_in.principal

    def may(self, role: Role) -> bool:
        """Whether its user has at least this role."""
        return self.principal.role.allows(role)

    @contextmanager
    def frame(self) -> Iterator[None]:
        """The page around what it shows."""
        with box("shell"):
            link("Skip to content", "#main", "skip")
            with box("side", "nav", aria_label="Pages"):
                with Tag("a", "", "brand", href="/ui/"):
                    Tag("img", src=f"{STATIC}/seawall.svg", alt="", width="22", height="22")
                    Tag("span", "Seawall")
                for target, name in _PLACES:
                    if target in _FOR_ADMINS and not self.may(Role.ADMIN):
                        continue
                    here = self._path == target or (target != "/ui/" and self._path.startswith(target))
                    place = link(name, target, "place")
                    if here or (target == "/ui/" and self._path.startswith("/ui/hosts")):
                        place.props["aria-current"] = "page"
                box("fill")
                with box("who"):
                    Tag("strong", self.principal.name)
                    Tag("span", self.principal.role.value, "muted")
                    Tag("button", "Light / dark", "quietly", type="button", data_theme="toggle")
                    with Tag("form", method="post", action=SIGN_OUT):
                        Tag("button", "Sign out", "quietly", type="submit")
            with box("main", "main", id="main", tabindex="-1"):
                self._banner = Tag("p", "", "banner", role="status")
                self._banner.reveal(False)
                yield
        self._again = sign_in_again(self._client.id, self.principal.name)

    async def begin(self, show: Act, *, every_seconds: float = 1.0) -> None:
        """Show what there is to show, now and from time to time while somebody looks."""
        self._show = show
        self._every = max(1, round(every_seconds / REFRESH_SECONDS))
        await self._refresh()
        self._client.layout.on("seawall_seen", self._notice)
        ui.timer(REFRESH_SECONDS, self._tick)

    async def refresh(self) -> None:
        """Show how things are now, because the user wants to see something else; nothing if the sign-in is over."""
        if await self._lives(used=True):
            await self._refresh()

    async def _refresh(self) -> None:
        if self._show is None:
            return
        self._wait = self._every
        try:
            await self._show()
        except StoreFailed:
            self._banner.show("The controller can't read its database now; what is shown may be old.")
            self._banner.reveal(True)
        else:
            self._banner.reveal(False)

    def run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do something beside, for as long as the page is open."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def soon(self) -> None:
        """Refresh at the next turn."""
        self._wait = 0

    async def act(self, work: Callable[[], Awaitable[object]], role: Role, what: str) -> bool:
        """Do what the user wants, if it may; say what came in its way. False if it wasn't done."""
        try:
            if not await self._lives(used=True):
                return False
            allow(self.principal, role, what)
            await work()
        except EXPECTED as error:
            self.say(problem_of(error).detail, bad=True)
            return False
        self.house.overview.outdated()
        await self._refresh()
        return True

    async def give(self, operation: str, agent: str, arguments: dict[str, object]) -> bool:
        """Have an operation done, as everybody does. False if it was turned away."""
        found = find_operation(operation)
        given: list[CommandRecord] = []

        async def work() -> None:
            request = CommandRequest(
                operation, agent, arguments, requested_by=self.principal.name, caller=self.principal.caller
            )
            record = await self.services.commands.accept(request)
            if record.state is CommandState.REJECTED:
                raise Problem(503, ProblemCode.BUSY, record.error or "nothing was sent; try again later")
            given.append(record)

        if not await self.act(work, found.role, f"the operation {operation}"):
            return False
        self.say(f"{operation} is on its way to {given[0].agent}")
        return True

    def say(self, text: str, *, bad: bool = False) -> None:
        """Tell the user, for a moment."""
        with self._client.content:
            ui.notify(
                words.plain(text),
                type="negative" if bad else "info",
                position="bottom-right",
                timeout=9_000 if bad else 3_000,
                multi_line=True,
            )

    async def _tick(self) -> None:
        # A page whose browser is gone is kept for a while, in case that it has only lost the way.
        if not await self._lives(used=False) or not self._seen or not self._client.has_socket_connection:
            return
        self._wait -= 1
        if self._wait <= 0:
            await self._refresh()

    async def lives(self, *, used: bool) -> bool:
        """Whether its user is still signed in; `used`: by something that it does."""
        return await self._lives(used=used)

    async def _lives(self, *, used: bool) -> bool:
        try:
            lives = await self._visit.lives(used=used)
        except StoreFailed:
            # Nobody can say; what is shown stays.
            return False
        self._again.reveal(not lives)
        self.watches.hold(signed_in=lives)
        return lives

    def _end(self) -> None:
        self.house.visits.end(self._client.id)
        self.watches.end()
        for task in self._tasks:
            task.cancel()

    def _notice(self, event: object) -> None:
        """The page came into view, or out of it."""
        self._seen = getattr(event, "args", True) is not False
        self._wait = 0


def say_missing(client: Client, title: str, text: str, target: str, way_on: str) -> None:
    """Say that what was asked for isn't there, and where to go on."""
    client.status_code = _NOT_FOUND
    heading(title, 1)
    Tag("p", text, "muted")
    with Tag("p"):
        link(way_on, target, "act")


def part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")
