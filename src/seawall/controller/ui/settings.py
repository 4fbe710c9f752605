"""Who may do what: users, API tokens, and one's own password. For admins, but for the last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import Request
from nicegui import Client, ui

from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.sign_ins import TooManyGuesses, WrongPassword
from seawall.controller.ui import words
from seawall.controller.ui.dialogs import Question
from seawall.controller.ui.elements import Act, Button, Choice, Dialog, Field, KeyedRows, Tag, box, heading
from seawall.controller.ui.frame import Page
from seawall.engine.records import TokenRecord, UserRecord
from seawall.operations.operation import Role
from seawall.wire.secret import Secret

_ROLES = {role.value: role.value for role in Role}


@ui.page("/settings")
async def settings(request: Request, client: Client) -> None:
    """See the module's text."""
    page = Page(request, client, "Settings")
    with page.frame():
        await SettingsPage(page).begin(page)


class SettingsPage:
    """What the page shows."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._question = Question()
        with box("headline"):
            heading("Settings", 1)
        self._users: _List | None = None
        self._tokens: _List | None = None
        if not page.may(Role.ADMIN):
            Tag("p", "Users and tokens are an admin's. Yours to change is your password.", "muted")
        with box("grid"):
            if page.may(Role.ADMIN):
                self._add_users()
                self._add_tokens()
            self._add_password()

    async def begin(self, page: Page) -> None:
        """Show it, and keep it up to date."""
        await page.begin(self.show, every_seconds=2.0)

    async def show(self) -> None:
        """How things are now."""
        if self._users is None or self._tokens is None or not self._page.may(Role.ADMIN):
            return
        services = self._page.services
        now = services.clock.wall()
        users, tokens = await services.users.all(), await services.access.tokens()
        self._users.fill(
            [(user.name, (user.name, user.role, words.ago(user.created_at, now))) for user in users]
        )
        self._tokens.fill([(token.token_id, (token.name, token.role, _end(token))) for token in tokens])

    def _add_users(self) -> None:
        with box("card", "section", aria_label="Users"):
            heading("Users")
            self._users = _List(("Name", "Role", "Made"), "Remove", self._remove_user)
            heading("Make a user", 3)
            self._name = Field("Name")
            self._password = Field("Password", kind="password")
            self._role = Choice("Role", _ROLES, Role.VIEWER.value, _nothing)
            with box("actions"):
                Button("Make the user", self._make_user, "act primary")

    def _add_tokens(self) -> None:
        self._shown_token = Dialog("A new API token")
        with self._shown_token.body:
            Tag("p", "It is shown now and never again.", "muted")
            self._secret = Tag("code", "", "command")
            with box("actions"):
                Button("Close", self._close_token)
        with box("card", "section", aria_label="API tokens"):
            heading("API tokens")
            self._tokens = _List(("Name", "Role", "Expires"), "Revoke", self._revoke_token)
            heading("Make a token", 3)
            self._token_name = Field("What will use it")
            self._token_role = Choice("Role", _ROLES, Role.VIEWER.value, _nothing)
            with box("actions"):
                Button("Make the token", self._make_token, "act primary")

    def _add_password(self) -> None:
        with box("card", "section", aria_label="Your password"):
            heading("Your password")
            Tag("p", "A new one ends all your sign-ins, this one too.", "muted")
            self._old = Field("Password now", kind="password")
            self._new = Field("New password", kind="password")
            with box("actions"):
                Button("Change it", self._change_password)

    async def _make_user(self) -> None:
        services = self._page.services

        async def work() -> None:
            name, role = self._name.value.strip().lower(), Role(self._role.value)
            user: UserRecord = await services.users.add(
                name, Secret(self._password.value), role, self._page.principal.caller
            )
            self._name.put("")
            self._password.put("")
            self._page.say(f"{user.name} may sign in now")

        await self._page.act(work, Role.ADMIN, "making a user")

    async def _remove_user(self, name: str) -> None:
        users = self._page.services.users
        remove = partial(
            self._page.act,
            partial(users.remove, name, self._page.principal.caller),
            Role.ADMIN,
            "removing a user",
        )
        self._question.ask("Remove a user", f"{name} is signed out everywhere, at once.", "Remove", remove)

    async def _make_token(self) -> None:
        access = self._page.services.access

        async def work() -> None:
            name = words.plain(self._token_name.value.strip())[:64] or "unnamed"
            secret, _ = await access.create(
                name, Role(self._token_role.value), caller=self._page.principal.caller
            )
            self._token_name.put("")
            self._secret.show(secret.reveal())
            self._shown_token.reveal(True)

        await self._page.act(work, Role.ADMIN, "making a token")

    async def _close_token(self) -> None:
        self._secret.show("")
        self._shown_token.reveal(False)

    async def _revoke_token(self, token_id: str) -> None:
        access = self._page.services.access
        revoke = partial(
            self._page.act,
            partial(access.revoke, token_id, self._page.principal.caller),
            Role.ADMIN,
            "revoking a token",
        )
        self._question.ask("Revoke a token", "Whatever uses it is turned away, at once.", "Revoke", revoke)

    async def _change_password(self) -> None:
        services, who = self._page.services, self._page.principal

        async def work() -> None:
            try:
                await services.sign_ins.prove(who.name, Secret(self._old.value), who.source)
            except (WrongPassword, TooManyGuesses) as error:
                raise Problem(403, ProblemCode.FORBIDDEN, str(error)) from error
            await services.users.give_password(who.name, Secret(self._new.value), who.caller)
            self._old.put("")
            self._new.put("")

        await self._page.act(work, Role.VIEWER, "changing one's password")


class _List:
    """Rows of texts, each with a button that does something with its key."""

    def __init__(self, names: tuple[str, ...], verb: str, act: Callable[[str], Awaitable[None]]) -> None:
        self._width, self._verb, self._act = len(names), verb, act
        with box("scroll"), Tag("table", "", "natural"):
            with Tag("thead"), Tag("tr"):
                for name in (*names, ""):
                    Tag("th", name, scope="col")
            self._rows = KeyedRows(Tag("tbody"), self._make_row)

    def fill(self, rows: list[tuple[str, tuple[str, ...]]]) -> None:
        """Show these rows, each with its key."""
        made = self._rows.fill([key for key, _ in rows])
        for row, (_, texts) in zip(made, rows, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.show(words.plain(text))

    def _make_row(self, key: str) -> _Row:
        return _Row(self._width, self._verb, partial(self._act, key))


class _Row:
    def __init__(self, width: int, verb: str, act: Act) -> None:
        with Tag("tr") as self.root:
            self.cells = [Tag("td") for _ in range(width)]
            with Tag("td"), box("actions"):
                Button(verb, act, "act slim danger")


def _end(token: TokenRecord) -> str:
    return "never" if token.expires_at is None else f"{words.moment(token.expires_at)} UTC"


async def _nothing() -> None:
    """The choice is read when the button is pressed."""
