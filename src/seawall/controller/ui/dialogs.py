"""Windows over a page that ask something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from seawall.controller.ui.elements import Button, Dialog, Field, Tag, box


def sign_in_again(page: str, name: str) -> Dialog:
    """Asks for the password over the page, which stays as it is; `page.js` sends it, so that it gets a new cookie."""
    dialog = Dialog("Sign in again", firm=True)
    with dialog.body:
        Tag("p", f"Your sign-in is over, {name}. The page stays as it is.", "muted")
        with Tag("form", "", "again", data_page=page, data_name=name):
            Tag("label", "Password", for_="again-password")
            Tag(
                "input",
                type="password",
                id="again-password",
                name="password",
                autocomplete="current-password",
                autofocus="autofocus",
            )
            Tag("p", "", "problem", role="alert")
            Tag("button", "Sign in", "act primary", type="submit")
    return dialog


class Reason:
    """Asks for a reason, and then does something with it."""

    def __init__(self) -> None:
        self._do: Callable[[str], Awaitable[object]] | None = None
        self._dialog = Dialog("")
        with self._dialog.body:
            self._text = Tag("p", "", "muted")
            self._field = Field("Reason")
            with box("actions"):
                self._button = Button("Do it", self._confirm, "act primary")
                Button("Leave it", self._leave)

    def ask(self, title: str, text: str, button: str, do: Callable[[str], Awaitable[object]]) -> None:
        """Open it."""
        self._do = do
        self._dialog.title.show(title)
        self._text.show(text)
        self._button.show(button)
        self._field.put("")
        self._dialog.reveal(True)

    async def _confirm(self) -> None:
        self._dialog.reveal(False)
        if self._do is not None:
            await self._do(self._field.value.strip())

    async def _leave(self) -> None:
        self._dialog.reveal(False)


class Question:
    """Asks whether something is meant, and then does it."""

    def __init__(self) -> None:
        self._do: Callable[[], Awaitable[object]] | None = None
        self._dialog = Dialog("")
        with self._dialog.body:
            self._text = Tag("p", "", "muted")
            with box("actions"):
                Button("Leave it", self._leave)
                self._button = Button("Do it", self._confirm, "act primary")

    def ask(self, title: str, text: str, button: str, do: Callable[[], Awaitable[object]]) -> None:
        """Open it."""
        self._do = do
        self._dialog.title.show(title)
        self._text.show(text)
        self._button.show(button)
        self._dialog.reveal(True)

    async def _confirm(self) -> None:
        self._dialog.reveal(False)
        if self._do is not None:
            await self._do()

    async def _leave(self) -> None:
        self._dialog.reveal(False)
