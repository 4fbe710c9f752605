"""Prunes: what would go is shown first, and exactly that is removed once a person says so."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
import typer

from seawall.cli import results
from seawall.cli.exits import DONE, UsageProblem, worst
from seawall.cli.fanout import Plan, Work
from seawall.cli.output import tell
from seawall.cli.reporters import Ending
from seawall.operations.prunes import chosen, chosen_argument
from seawall.operations.registry import OPERATIONS


def planned(work: Work, plan: Plan, endings: Sequence[Ending], *, ask: bool) -> Work:
    """The work with the arguments of each host that has any. Ends the call where there are none, or nobody confirms.

    Raises UsageProblem where nobody can be asked.
    """
    failed = worst(ending.exit_code for ending in endings)
    if failed != DONE:
        # Half a plan is none: what isn't seen can't be confirmed.
        raise typer.Exit(failed)
    operation = OPERATIONS[work.operation]
    name, noun = chosen_argument(operation).name, operation.noun
    found = {ending.host.agent_id: chosen(operation, _response(ending)) for ending in endings}
    by_host = {agent_id: {name: values} for agent_id, values in found.items() if values}
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


def _response(ending: Ending) -> object:
    return ending.command.response if ending.command is not None else None
