"""Commands of images that take or make an archive: `save`, `load`, `build`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli import arguments
from seawall.cli.copying import check_output
from seawall.cli.delivery import command
from seawall.cli.fanout import Work
from seawall.operations.image_build import IMAGE_BUILD
from seawall.operations.images import IMAGE_LOAD, IMAGE_SAVE


def add_save(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(output: Path | None, **given: object) -> Work:
        own = arguments.read(IMAGE_SAVE, given)
        return Work(IMAGE_SAVE.name, own, stream=True, output=check_output(output))

    work.__doc__ = "Save images of one host as a tar archive, which 'seawall image load' takes."
    output = typer.Option("--output", "-o", metavar="FILE", help="The archive; else it is printed.")
    vars(work)["__signature__"] = inspect.Signature(
        [*arguments.parameters(IMAGE_SAVE), _named("output", Annotated[Path | None, output])]
    )
    command(app, "save")(work)


def add_load(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(
        archive: Annotated[
            str, typer.Option("--input", "-i", metavar="FILE", help="The archive; '-' reads stdin.")
        ],
    ) -> Work:
        return Work(IMAGE_LOAD.name, {}, source=archive)

    work.__doc__ = IMAGE_LOAD.summary
    command(app, "load")(work)


def add_build(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(folder: str, **given: object) -> Work:
        own = arguments.read_some(IMAGE_BUILD, given)
        return Work(IMAGE_BUILD.name, arguments.checked_before_upload(IMAGE_BUILD, own), source=folder)

    work.__doc__ = "Build an image of a directory here, without what its .dockerignore names."
    where = typer.Argument(metavar="PATH", help="The context: a directory, or '-' for an archive from stdin.")
    vars(work)["__signature__"] = inspect.Signature(
        [
            inspect.Parameter("folder", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, where]),
            *arguments.parameters_beside_upload(IMAGE_BUILD),
        ]
    )
    command(app, "build")(work)


def _named(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
