"""`seawall container`: look at containers, start and stop them."""

from __future__ import annotations

from typing import Annotated

import typer

from seawall.cli.delivery import command
from seawall.cli.fanout import Work
from seawall.cli.moments import moment

app = typer.Typer(
    no_args_is_help=True, help="Look at containers, start and stop them, on one host or on many."
)

Container = Annotated[str, typer.Argument(metavar="CONTAINER", help="The container's name or id.")]
Grace = Annotated[
    int | None,
    typer.Option(
        "--grace",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="How long it may take to stop before it is killed.",
    ),
]


@command(app, "list")
def list_containers(
    running: Annotated[bool, typer.Option("--running", help="Only those that run.")] = False,
) -> Work:
    """List the containers of hosts."""
    return Work("container_list", {"all": not running})


@command(app, "inspect")
def inspect(container: Container) -> Work:
    """Everything that Docker knows about a container."""
    return Work("container_inspect", {"container": container})


@command(app, "logs")
def logs(
    container: Container,
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


@command(app, "exec")
def exec_(
    container: Container,
    words: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="The program and its arguments.")],
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="It reads what is typed or piped in here.")
    ] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="It has a terminal: this one.")] = False,
    user: Annotated[str | None, typer.Option("--user", help="The user, or user:group, that runs it.")] = None,
) -> Work:
    """Run a command in a running container; with -i or -t live, at this terminal. Put -- before it."""
    arguments: dict[str, object] = {"container": container, "command": words}
    if user is not None:
        arguments["user"] = user
    if interactive or tty:
        return Work("container_exec", {**arguments, "interactive": interactive, "tty": tty}, stream=True)
    return Work("container_exec", arguments)


@command(app, "stats")
def stats(
    container: Container,
    live: Annotated[bool, typer.Option("--live", help="A line each second, of one host.")] = False,
) -> Work:
    """What a container uses."""
    return Work("container_stats", {"container": container}, stream=live)


@command(app, "start")
def start(container: Container) -> Work:
    """Start a container."""
    return Work("container_start", {"container": container})


@command(app, "stop")
def stop(container: Container, grace: Grace = None) -> Work:
    """Stop a container: ask it, and kill it when the grace is over."""
    return Work("container_stop", _with_grace(container, grace))


@command(app, "restart")
def restart(container: Container, grace: Grace = None) -> Work:
    """Stop a container and start it again."""
    return Work("container_restart", _with_grace(container, grace))


@command(app, "kill")
def kill(
    container: Container,
    signal: Annotated[
        str, typer.Option("--signal", help="A signal's name such as SIGTERM, or its number.")
    ] = "SIGKILL",
) -> Work:
    """Send a signal to a container's main process."""
    return Work("container_kill", {"container": container, "signal": signal})


@command(app, "rename")
def rename(
    container: Container, name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")]
) -> Work:
    """Give a container another name."""
    return Work("container_rename", {"container": container, "name": name})


@command(app, "remove")
def remove(
    container: Container,
    force: Annotated[bool, typer.Option("--force", help="Kill it first if it runs.")] = False,
    volumes: Annotated[bool, typer.Option("--volumes", help="Remove its anonymous volumes too.")] = False,
) -> Work:
    """Remove a container."""
    return Work("container_remove", {"container": container, "force": force, "volumes": volumes})


@command(app, "update")
def update(
    container: Container, image: Annotated[str, typer.Option("--image", help="The new image's reference.")]
) -> Work:
    """Replace a container by one of a new image (not supported yet)."""
    return Work("container_update", {"container": container, "image": image})


def _with_grace(container: str, grace: int | None) -> dict[str, object]:
    arguments: dict[str, object] = {"container": container}
    if grace is not None:
        arguments["grace_seconds"] = grace
    return arguments
