"""`seawall operation`: what can be asked of a host."""

from __future__ import annotations

from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="What can be asked of a host.")


@app.command("list")
def list_operations(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the operations that the controller knows."""
    operations = ask(context, lambda client: client.operations())
    if as_json:
        print_json(operations)
        return
    rows = [
        (
            operation.name,
            operation.role,
            ", ".join(f"{each.name}" if each.required else f"[{each.name}]" for each in operation.arguments),
            operation.summary if operation.supported else f"{operation.summary} (not supported yet)",
        )
        for operation in operations
    ]
    print_table(("operation", "role", "arguments", "what"), rows, empty="the controller knows no operation")


# A group with a single command would swallow its name.
@app.callback()
def _group() -> None:
    """What can be asked of a host."""
