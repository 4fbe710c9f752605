"""`seawall token`: who may use the API, and letting hosts join."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.output import print_json, print_table, say, since, tell
from seawall.cli.wording import safe
from seawall.operations.operation import Role

app = typer.Typer(no_args_is_help=True, help="Who may use the API, and letting hosts join.")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _lifetime(text: str | None) -> str | None:
    if text is not None and lifetime_seconds(text) is None:
        raise typer.BadParameter("give a number with a unit, such as 30d, 12h, 45m or 600s")
    return text


def lifetime_seconds(text: str) -> float | None:
    """How long `30d` is, in seconds; None for a text that says nothing of the kind."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    return float(int(found[1]) * _UNITS[found[2]]) if found else None


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    role: Annotated[
        Role, typer.Option("--role", help="viewer reads, operator commands, admin also lets hosts join.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="30d",
            callback=_lifetime,
            help="How long it is good for.",
            show_default="for ever",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an API token and print it, this once."""
    seconds = lifetime_seconds(expires) if expires is not None else None
    token = ask(context, lambda client: client.tokens.add(name, role.value, seconds))
    if as_json:
        print_json(token)
        return
    say(token.token)
    end = f", expires {since(token.expires_at)}" if token.expires_at is not None else ""
    tell(f"token {token.token_id} of {safe(token.name)} ({token.role}){end}: it is never shown again")


@app.command("list")
def list_tokens(context: typer.Context, as_json: Json = False) -> None:
    """List the API tokens, without what they are."""
    tokens = ask(context, lambda client: client.tokens.all())
    if as_json:
        print_json(tokens)
        return
    rows = [
        (
            token.name,
            token.role,
            since(token.created_at),
            since(token.expires_at) if token.expires_at is not None else "no end",
            token.token_id,
        )
        for token in tokens
    ]
    print_table(("name", "role", "made", "expires", "id"), rows, empty="no tokens")


@app.command("revoke")
def revoke(
    context: typer.Context, token_id: Annotated[str, typer.Argument(metavar="ID", help="A token's id.")]
) -> None:
    """End an API token, at once."""
    ask(context, lambda client: client.tokens.revoke(token_id))
    say(f"token {safe(token_id)} is revoked")


@app.command("join")
def join(context: typer.Context, as_json: Json = False) -> None:
    """Let one more host join: print the command to run there."""
    token = ask(context, lambda client: client.new_join_token())
    if as_json:
        print_json(token)
        return
    say(token.command or f"seawall agent join URL --token {token.token}")
    tell(
        f"It works once and expires {since(token.expires_at)}. Then start the agent there: seawall agent run"
    )
