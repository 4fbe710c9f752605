"""Commands of images that take or make an archive: `save`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli import arguments
from seawall.cli.copying import check_output
from seawall.cli.delivery import command
from seawall.cli.fanout import Work
from seawall.operations.images import IMAGE_SAVE


def add_save(app: typer.Typer) -> None:
    """Add the command to the group of the noun."""

    def work(output: Path | None, **given: object) -> Work:
        own = arguments.read(IMAGE_SAVE, given)
        return Work(IMAGE_SAVE.name, own, stream=True, output=check_output(output))

    work.__doc__ = "Save images of one host as a tar archive, which 'seawall image load' takes."
    output = typer.Option("--output", "-o", metavar="FILE", help="The archive; else it is printed.")
    vars(work)["__signature__"] = inspect.Signature(
        [
            *arguments.parameters(IMAGE_SAVE),
            inspect.Parameter(
                "output",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[Path | None, output],
                default=None,
            ),
        ]
    )
    command(app, "save")(work)
