"""One group of commands for each noun of the operations, made from their declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from seawall.cli import arguments
from seawall.cli.delivery import command
from seawall.cli.fanout import Plan, Work
from seawall.operations.operation import Operation
from seawall.operations.prunes import is_plan, plan_of
from seawall.operations.registry import OPERATIONS

NOUNS = {
    "container": "Look at containers, make, start and stop them, on one host or on many.",
    "image": "Look at images, pull, tag and remove them, on one host or on many.",
    "network": "Look at networks, make and remove them, put containers into them.",
    "volume": "Look at volumes, make and remove them.",
    "system": "The hosts themselves and their Docker Engines.",
    "compose": "Bring up projects of several containers, look at them and take them down.",
}
"""What each group is for."""

Handwritten = Mapping[str, Callable[[typer.Typer], None]]
"""By operation: what adds its command to the group, for those that take more than a declaration says."""


def group(noun: str, handwritten: Handwritten) -> typer.Typer:
    """The commands of one noun: a handwritten one where there is one, else one made from the declaration."""
    app = typer.Typer(no_args_is_help=True, help=NOUNS[noun])
    for operation in OPERATIONS.values():
        if operation.noun != noun or is_plan(operation):
            continue
        if not operation.command and operation.name not in handwritten:
            continue
        handwritten.get(operation.name, _generated(operation))(app)

    # A group with a single command would swallow its name.
    @app.callback(help=NOUNS[noun])
    def _group() -> None:
        return

    return app


def verb(operation: Operation) -> str:
    """What is typed after the noun."""
    return operation.verb.replace("_", "-")


def work_of(operation: Operation) -> Callable[..., Work]:
    """What a command is made of: its parameters are the operation's arguments, its result what is to be done."""

    def work(**given: object) -> Work:
        return Work(operation.name, arguments.read(operation, given))

    own = arguments.parameters(operation)
    later = "" if operation.supported else " (not supported yet)"
    work.__doc__ = f"{operation.summary.removesuffix('.')}{later}."
    vars(work)["__signature__"] = inspect.Signature(own)
    return work


def _generated(operation: Operation) -> Callable[[typer.Typer], None]:
    plan = plan_of(operation)
    work = work_of(operation) if plan is None else _planned(operation, plan)

    def add(app: typer.Typer) -> None:
        command(app, verb(operation))(work)

    return add


def _planned(operation: Operation, plan: Operation) -> Callable[..., Work]:
    """A prune: it has the arguments of its plan, and what the plan finds is what it is given."""

    def work(yes: bool, **given: object) -> Work:
        return Work(operation.name, {}, plan=Plan(plan.name, arguments.read(plan, given), yes))

    shown = typer.Option("--yes", help="Don't ask, remove all that the plan finds.")
    yes = inspect.Parameter(
        "yes", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[bool, shown], default=False
    )
    work.__doc__ = f"{operation.summary.removesuffix('.')}. Shows first what would go, and asks."
    vars(work)["__signature__"] = inspect.Signature([yes, *arguments.parameters(plan)])
    return work
