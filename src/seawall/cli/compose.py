"""`seawall compose up`: the project's files are read here and sent along."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli import arguments
from seawall.cli.delivery import command
from seawall.cli.exits import UsageProblem
from seawall.cli.fanout import Work
from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS

_UP = "compose_up"
_USUAL = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_READ_HERE = frozenset({"files", "use"})
_MOST_BYTES = 1024 * 1024


def add_up(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""
    operation = OPERATIONS[_UP]

    def work(file: list[str] | None, with_file: list[str] | None, **given: object) -> Work:
        found = arguments.read_some(operation, given)
        paths = [Path(each) for each in file] if file else [_usual(Path())]
        found["files"] = contents([*paths, *map(Path, with_file or ())])
        found["use"] = [path.name for path in paths]
        return Work(_UP, arguments.checked(operation, found))

    work.__doc__ = operation.summary
    vars(work)["__signature__"] = inspect.Signature([*_files(), *_others(operation)])
    command(app, "up")(work)


def contents(paths: list[Path]) -> dict[str, str]:
    """The files' texts by their plain names. Raises UsageProblem."""
    texts: dict[str, str] = {}
    for path in paths:
        if path.name in texts:
            raise UsageProblem(
                f"two of the files are named {path.name}: they are told apart by their plain names"
            )
        try:
            with path.open(encoding="utf-8") as opened:
                texts[path.name] = opened.read(_MOST_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it isn't text"
            raise UsageProblem(f"{path} can't be read: {reason}") from error
    return texts


def _usual(folder: Path) -> Path:
    for name in _USUAL:
        if (folder / name).is_file():
            return folder / name
    raise UsageProblem(f"there is no {_USUAL[0]} here: name the project's files with --file")


def _files() -> list[inspect.Parameter]:
    file = typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A file of the project, each refining those before it; else compose.yaml here. Repeatable.",
    )
    with_file = typer.Option(
        "--with", metavar="FILE", help="A file that those refer to. May be given several times."
    )
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[list[str] | None, shown], default=None
        )
        for name, shown in (("file", file), ("with_file", with_file))
    ]


def _others(operation: Operation) -> list[inspect.Parameter]:
    ours = {arguments.parameter_name(each) for each in operation.arguments if each.name in _READ_HERE}
    return [each for each in arguments.parameters(operation) if each.name not in ours]
