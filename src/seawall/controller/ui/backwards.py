"""Pages of a list that has no end: back from the newest by the last one shown, so that nothing is ever counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from seawall.controller.ui.elements import Act, Button, box

Item = TypeVar("Item")
Place = TypeVar("Place")

_PAGE_SIZE = 50


class Backwards(Generic[Item, Place]):
    """The buttons that go to newer and older ones. Ask for `most` items from `before` on, and show a `page` of them."""

    most = _PAGE_SIZE + 1
    """One more than a page shows, which says whether there are older ones."""

    def __init__(self, place: Callable[[Item], Place], changed: Act) -> None:
        self._place = place
        self._changed = changed
        self._passed: list[Place] = []
        self._last: Place | None = None
        with box("pager"):
            self._newer = Button("Newer", self._go_newer)
            self._older = Button("Older", self._go_older)

    @property
    def before(self) -> Place | None:
        """Where the page begins; None is the newest."""
        return self._passed[-1] if self._passed else None

    def page(self, found: Sequence[Item]) -> Sequence[Item]:
        """Those that are shown of what was found."""
        shown = found[:_PAGE_SIZE]
        self._last = self._place(shown[-1]) if shown else None
        self._newer.enable(bool(self._passed))
        self._older.enable(len(found) > _PAGE_SIZE)
        return shown

    async def restart(self) -> None:
        """Show the newest: something else is asked for."""
        self._passed = []
        await self._changed()

    async def _go_older(self) -> None:
        if self._last is not None:
            self._passed.append(self._last)
        await self._changed()

    async def _go_newer(self) -> None:
        if self._passed:
            self._passed.pop()
        await self._changed()
