"""Commands of containers and hosts that can be followed as streams: `logs`, `exec`, `stats`, `events`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli import arguments
from seawall.cli.delivery import command
from seawall.cli.exits import UsageProblem
from seawall.cli.fanout import Work
from seawall.cli.moments import moment
from seawall.operations.containers import (
    CONTAINER_COPY_IN,
    CONTAINER_COPY_OUT,
    CONTAINER_EXEC,
    CONTAINER_STATS,
)
from seawall.operations.system import SYSTEM_EVENTS

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
    of_both: dict[str, object] = {"container": container, "tail": tail, "timestamps": timestamps}
    streamed = {
        "follow": follow,
        "whole": whole,
        "since": float(since) if since is not None else None,
        "until": float(until) if until is not None else None,
    }
    given = {name: value for name, value in streamed.items() if value not in (None, False)}
    return Work("container_logs", {**of_both, **given}, stream=bool(given))


def add_exec(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(interactive: bool, tty: bool, **given: object) -> Work:
        own = arguments.read(CONTAINER_EXEC, given)
        if interactive or tty:
            return Work(CONTAINER_EXEC.name, {**own, "interactive": interactive, "tty": tty}, stream=True)
        return Work(CONTAINER_EXEC.name, own)

    work.__doc__ = "Run a command in a running container to its end; with -i or -t live, at this terminal."
    vars(work)["__signature__"] = inspect.Signature(
        [
            *arguments.parameters(CONTAINER_EXEC),
            _flag("interactive", "-i", "Let it read what is typed or piped in here, of one host."),
            _flag("tty", "-t", "Give it a terminal: this one."),
        ]
    )
    command(app, "exec")(work)


def add_stats(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(live: bool, **given: object) -> Work:
        return Work(CONTAINER_STATS.name, arguments.read(CONTAINER_STATS, given), stream=live)

    work.__doc__ = CONTAINER_STATS.summary
    vars(work)["__signature__"] = inspect.Signature(
        [*arguments.parameters(CONTAINER_STATS), _flag("live", None, "A line each second, of one host.")]
    )
    command(app, "stats")(work)


def add_copy_out(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(into: Path, **given: object) -> Work:
        return Work(
            CONTAINER_COPY_OUT.name, arguments.read(CONTAINER_COPY_OUT, given), stream=True, into=into
        )

    work.__doc__ = "Copy a file or directory out of a container, of one host, into a directory here."
    into = typer.Option("--into", metavar="DIRECTORY", help="The directory here; it has to be there.")
    vars(work)["__signature__"] = inspect.Signature(
        [
            *arguments.parameters(CONTAINER_COPY_OUT),
            inspect.Parameter(
                "into", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Path, into], default=Path()
            ),
        ]
    )
    command(app, "copy-out")(work)


def add_copy_in(app: typer.Typer) -> None:
    """Add the command to the group of the noun, and the one that copies both ways."""

    def work(source: str, **given: object) -> Work:
        own = arguments.read_some(CONTAINER_COPY_IN, given)
        return copying_in(source, own)

    work.__doc__ = "Copy a file or directory from here into a directory of a container."
    shown = typer.Argument(
        metavar="SOURCE",
        help="The file or directory here; what is in the directory if it ends with '/.'; an archive from stdin if "
        "it is '-'.",
    )
    vars(work)["__signature__"] = inspect.Signature(
        [
            *arguments.parameters_beside_upload(CONTAINER_COPY_IN),
            inspect.Parameter("source", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, shown]),
        ]
    )
    command(app, "copy-in")(work)
    command(app, "cp")(_cp)


def _cp(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="CONTAINER:PATH, or a file or directory here.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="CONTAINER:DIRECTORY, or a directory here.")
    ],
) -> Work:
    """Copy files into a container or, of one host, out of one: one of both ends is CONTAINER:PATH."""
    out_of, into = _in_container(source), _in_container(target)
    if out_of is not None and into is None:
        own = arguments.checked(CONTAINER_COPY_OUT, out_of)
        return Work(CONTAINER_COPY_OUT.name, own, stream=True, into=Path(target))
    if into is not None and out_of is None:
        return copying_in(source, into)
    raise UsageProblem(
        "one of SOURCE and TARGET, and only one, is CONTAINER:PATH; a path here may begin with './'"
    )


def copying_in(source: str, own: dict[str, object]) -> Work:
    """The work of a copy from here. Raises UsageProblem."""
    return Work(
        CONTAINER_COPY_IN.name, arguments.checked_before_upload(CONTAINER_COPY_IN, own), source=source
    )


def _in_container(text: str) -> dict[str, object] | None:
    container, colon, path = text.partition(":")
    if not colon or "/" in container or not container:
        return None
    return {"container": container, "path": path}


def add_events(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work() -> Work:
        return Work(SYSTEM_EVENTS.name, {}, stream=True)

    work.__doc__ = SYSTEM_EVENTS.summary
    command(app, "events")(work)


def _flag(name: str, short: str | None, said: str) -> inspect.Parameter:
    names = [f"--{name}", *([short] if short is not None else [])]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[bool, typer.Option(*names, help=said)],
        default=False,
    )
