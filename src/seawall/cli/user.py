"""`seawall user`: who may sign in to the dashboard."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import UsageProblem
from seawall.cli.output import print_json, print_table, say, since
from seawall.cli.secrets import secret_text
from seawall.cli.wording import safe
from seawall.operations.operation import Role
from seawall.wire.secret import Secret

app = typer.Typer(no_args_is_help=True, help="Who may sign in to the dashboard.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Where the password lies; - for stdin. Else SEAWALL_PASSWORD, or it is asked for.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _password(file: str | None) -> Secret:
    """The password from a file, the environment or a prompt that asks twice. Raises UsageProblem."""
    given = secret_text(os.environ, "password", file)
    if given is not None:
        return Secret(given)
    if not sys.stdin.isatty():
        raise UsageProblem("there is no terminal to ask for the password on; give it with --password-file")
    first = getpass("password: ")
    if getpass("once more: ") != first:
        raise UsageProblem("the two passwords differ; nothing was changed")
    return Secret(first)


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    role: Annotated[
        Role,
        typer.Option("--role", help="viewer looks, operator commands, admin also manages users and hosts."),
    ],
    password_file: PasswordFile = None,
) -> None:
    """Make a user."""
    password = _password(password_file)
    user = ask(context, lambda client: client.users.add(name, role.value, password))
    say(f"user {safe(user.name)} may sign in as {user.role}")


@app.command("list")
def list_users(context: typer.Context, as_json: Json = False) -> None:
    """List the users."""
    users = ask(context, lambda client: client.users.all())
    if as_json:
        print_json(users)
        return
    rows = [(user.name, user.role, since(user.created_at)) for user in users]
    print_table(("name", "role", "made"), rows, empty="no users")


@app.command("remove")
def remove(context: typer.Context, name: Name) -> None:
    """Remove a user; its sign-ins end at once."""
    ask(context, lambda client: client.users.remove(name))
    say(f"user {safe(name)} is removed")


@app.command("password")
def password(context: typer.Context, name: Name, password_file: PasswordFile = None) -> None:
    """Give a user another password; its sign-ins end at once."""
    new = _password(password_file)
    ask(context, lambda client: client.users.give_password(name, new))
    say(f"user {safe(name)} has another password, and has to sign in again")


@app.command("role")
def role(
    context: typer.Context,
    name: Name,
    new: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
) -> None:
    """Give a user another role; its sign-ins end at once."""
    user = ask(context, lambda client: client.users.give_role(name, new.value))
    say(f"user {safe(user.name)} is {user.role} now, and has to sign in again")
