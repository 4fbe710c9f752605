"""`seawall controller`: just the controller, in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli.exits import UsageProblem
from seawall.cli.launched import end_with_launcher
from seawall.cli.output import tell
from seawall.client.context import Context, context_path, save_context
from seawall.client.errors import ContextError

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The data directory.", show_default="~/.local/share/seawall"),
]
Api = Annotated[
    str | None,
    typer.Option("--api", metavar="HOST:PORT", help="Where the API listens.", show_default="127.0.0.1:7700"),
]
Agents = Annotated[
    str | None,
    typer.Option(
        "--agents", metavar="HOST:PORT", help="Where agents dial in.", show_default="127.0.0.1:7701"
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings as TOML.", show_default="DIR/seawall.toml"),
]


def controller(
    data: Data = None,
    api: Api = None,
    agents: Agents = None,
    config: Config = None,
    log_format: Annotated[str | None, typer.Option("--log-format", metavar="console|json")] = None,
    launcher: Annotated[int | None, typer.Option("--launcher", hidden=True)] = None,
) -> None:
    """Run a controller in the foreground."""
    end_with_launcher(launcher)
    from seawall.controller.app import Running, main
    from seawall.controller.settings import InvalidSettings, load_settings

    flags: dict[str, object] = {"data": data, "api": api, "agents": agents, "log_format": log_format}
    try:
        settings = load_settings(flags, config)
    except InvalidSettings as error:
        raise UsageProblem(str(error)) from error

    def announce(running: Running) -> None:
        save_context_or_say(Context(running.api_url, str(running.admin_token_file), str(running.ca_file)))

    # Whoever launched this has a context of its own to save.
    code = main(settings, announce if launcher is None else None)
    if code:
        raise typer.Exit(code)


def save_context_or_say(context: Context) -> None:
    """Let the CLI beside this controller find it. Where that can't be saved, say what to type instead."""
    try:
        save_context(context, context_path(os.environ))
    except ContextError as error:
        flags = f"--url {context.url} --token-file {context.token_file}"
        ca = f" --ca {context.ca_file}" if context.ca_file is not None else ""
        tell(f"seawall: {error}. Until then use 'seawall {flags}{ca} ...'")
