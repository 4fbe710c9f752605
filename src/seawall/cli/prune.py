"""Prunes: what would go is shown first, and exactly that is removed once a person says so."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec
import typer

from seawall.cli import results, tables
from seawall.cli.exits import DONE, UsageProblem, worst
from seawall.cli.fanout import Plan, Work
from seawall.cli.output import tell
from seawall.cli.reporters import Ending
from seawall.operations.operation import Argument, Operation
from seawall.operations.registry import OPERATIONS

_PLAN = "_plan"


def plan_of(operation: Operation) -> Operation | None:
    """The read that says what the operation would be given; None for one that needs none."""
    return OPERATIONS.get(operation.name + _PLAN)


def is_plan(operation: Operation) -> bool:
    """Whether it is such a read, which is no command of its own."""
    return operation.name.removesuffix(_PLAN) in OPERATIONS and operation.name.endswith(_PLAN)


def planned(work: Work, plan: Plan, endings: Sequence[Ending], *, ask: bool) -> Work:
    """The work with the arguments of each host that has any. Ends the call where there are none, or nobody confirms.

    Raises UsageProblem where nobody can be asked.
    """
    failed = worst(ending.exit_code for ending in endings)
    if failed != DONE:
        # Half a plan is none: what isn't seen can't be confirmed.
        raise typer.Exit(failed)
    chosen = _chosen_argument(OPERATIONS[work.operation])
    found = {ending.host.agent_id: _chosen(ending, plan, chosen) for ending in endings}
    by_host = {agent_id: {chosen.name: values} for agent_id, values in found.items() if values}
    noun = OPERATIONS[work.operation].noun
    if not by_host:
        tell(f"there are no {noun}s to remove")
        raise typer.Exit(DONE)
    if ask:
        results.print_responses(endings, Work(plan.operation, plan.arguments), plural=len(endings) > 1)
    if not plan.confirmed:
        if not ask or not sys.stdin.isatty():
            raise UsageProblem(f"removing these {noun}s is for good: say --yes")
        count = sum(map(len, found.values()))
        where = "" if len(by_host) == 1 else f" on {len(by_host)} hosts"
        typer.confirm(
            f"Remove {count} {noun}{'' if count == 1 else 's'}{where} for good?", abort=True, err=True
        )
    return msgspec.structs.replace(work, plan=None, by_host=by_host)


def _chosen_argument(operation: Operation) -> Argument:
    """The argument that lists what goes."""
    return next(each for each in operation.arguments if each.kind is list and each.required)


def _chosen(ending: Ending, plan: Plan, argument: Argument) -> list[str]:
    response = ending.command.response if ending.command is not None else None
    key = "name" if argument.name == "names" else "id"
    rows: Sequence[Mapping[str, object]] = tables.listed(plan.operation, response) or []
    return [str(row[key]) for row in rows if isinstance(row.get(key), str)][: argument.max_items]
