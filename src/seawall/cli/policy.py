"""`seawall policy`: timeouts, retries, lanes and fallbacks by operation, circuits and budgets of the plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import UsageProblem
from seawall.cli.output import print_json, print_table, say
from seawall.cli.toml_files import text_of, understood
from seawall.core.policy import PRESETS
from seawall.engine.policies import read_policies

app = typer.Typer(
    no_args_is_help=True, help="How commands are carried: timeouts, retries, circuits, budgets."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("show")
def show(
    context: typer.Context,
    operation: Annotated[
        str | None, typer.Argument(metavar="OPERATION", help="Only this one, with the source of each value.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what holds now, and where each value comes from."""
    policy = ask(context, lambda client: client.policy())
    if as_json:
        print_json(policy)
        return
    if operation is not None:
        if operation not in policy.operations:
            raise UsageProblem(
                f"no operation is named {operation!r}; there are {', '.join(policy.operations)}"
            )
        settings = policy.operations[operation].items()
        values = [(key, _text(found.value), found.source) for key, found in settings]
        print_table(("setting", "value", "from"), values, empty="nothing")
        return
    say(f"preset {policy.preset}, file {policy.file}")
    keys = ("timeout_seconds", "max_attempts", "initial_delay", "max_delay", "lane", "fallback")
    rows = [
        (name, *(_text(of[key].value) if key in of else "" for key in keys))
        for name, of in policy.operations.items()
    ]
    print_table(
        ("operation", "timeout", "attempts", "first delay", "longest", "lane", "fallback"), rows, empty=""
    )
    plane = [(name, _text(found.value), found.source) for name, found in policy.plane.items()]
    print_table(("plane", "value", "from"), plane, empty="")


@app.command("check")
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")]) -> None:
    """Read a policy file and say what is wrong with it, without a controller."""
    policies = understood(str(file), text_of(file), read_policies)
    say(f"{file} is fine: preset {policies.preset}")


@app.command("set")
def set_policy(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The new policy file.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help=f"Just a preset: {', '.join(PRESETS)}.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give the controller another policy file; it holds at once."""
    if (file is None) == (preset is None):
        raise UsageProblem("give either a policy file or --preset NAME")
    if preset is not None and preset not in PRESETS:
        raise UsageProblem(f"no preset is named {preset!r}; there are {', '.join(PRESETS)}")
    text = f'preset = "{preset}"\n' if file is None else text_of(file)
    understood(str(file or "preset"), text, read_policies)
    policy = ask(context, lambda client: client.set_policy(text))
    if as_json:
        print_json(policy)
    else:
        say(f"new policies hold now: preset {policy.preset}, file {policy.file}")


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
