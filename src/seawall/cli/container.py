"""`seawall container logs`: the end of a log as a command, or all of it as a stream."""

from __future__ import annotations

from typing import Annotated

import typer

from seawall.cli.delivery import command
from seawall.cli.fanout import Work
from seawall.cli.moments import moment

_Container = Annotated[str, typer.Argument(metavar="CONTAINER", help="The container's name or id.")]


def add_logs(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""
    command(app, "logs")(_logs)


def _logs(
    container: _Container,
    tail: Annotated[int, typer.Option("--tail", min=1, max=10_000, help="How many lines.")] = 100,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Put the time before each line.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on, of one host.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="From the beginning, whatever --tail says, of one host.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", callback=moment, help="Only what is newer; such as 10m."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", callback=moment, help="Only what is older; such as 10m."),
    ] = None,
) -> Work:
    """The end of a container's log, or all of it as it comes."""
    arguments: dict[str, object] = {"container": container, "tail": tail, "timestamps": timestamps}
    streamed = {
        "follow": follow,
        "whole": whole,
        "since": float(since) if since is not None else None,
        "until": float(until) if until is not None else None,
    }
    given = {name: value for name, value in streamed.items() if value not in (None, False)}
    return Work("container_logs", {**arguments, **given}, stream=bool(given))
