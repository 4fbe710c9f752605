"""`seawall remediation`: what is done about alerts by itself, what came of it, and the switch that stops it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.output import print_json, print_table, say, since
from seawall.cli.toml_files import text_of, understood
from seawall.cli.wording import safe
from seawall.client.remediation_models import RemediationDecision, RemediationRule
from seawall.engine.remediation_settings import read_remediation_settings

app = typer.Typer(no_args_is_help=True, help="What is done about alerts by itself.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_rules(context: typer.Context, as_json: Json = False) -> None:
    """List the rules that hold, and say whether somebody has stopped them."""
    view = ask(context, lambda client: client.remediation.show())
    if as_json:
        print_json(view)
        return
    columns = ("rule", "mode", "alert", "hosts", "operation", "after", "tries", "cool-down")
    empty = "no rules; the controller's remediation.toml would have them"
    print_table(columns, [_rule_row(rule) for rule in view.rules], empty=empty)
    if view.rules:
        say(f"a host is worth {view.budget} tries within {view.budget_seconds:g} s")
    if view.stopped is not None:
        stop = view.stopped
        say(f"stopped {since(stop.at)} by {safe(stop.by)}: {safe(stop.reason)}")


@app.command("history")
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was decided, the newest first: why, and whether it helped."""
    decisions = ask(context, lambda client: client.remediation.history(limit=limit))
    if as_json:
        print_json(decisions)
        return
    columns = ("when", "rule", "host", "decision", "operation", "why", "helped", "command")
    print_table(columns, [_decision_row(each) for each in decisions], empty="nothing was decided yet")


@app.command("check")
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A remediation file.")]) -> None:
    """Read a remediation file and say what is wrong with it, without a controller."""
    settings = understood(str(file), text_of(file), read_remediation_settings)
    acting = sum(remedy.acts for remedy in settings.remedies)
    rest = len(settings.remedies) - acting
    say(f"{file} is fine: {acting} rules act, {rest} only say what they would do")


@app.command("stop")
def stop(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")],
    as_json: Json = False,
) -> None:
    """Let nothing be done by itself until you resume it. What is under way goes on."""
    view = ask(context, lambda client: client.remediation.stop(reason))
    if as_json:
        print_json(view)
    else:
        say("remediation is stopped; 'seawall remediation resume' lets it go on")


@app.command("resume")
def resume(context: typer.Context, as_json: Json = False) -> None:
    """Let remediation go on after a stop."""
    view = ask(context, lambda client: client.remediation.resume())
    if as_json:
        print_json(view)
    else:
        say(f"remediation goes on, with {len(view.rules)} rules")


def _rule_row(rule: RemediationRule) -> tuple[str, ...]:
    about = f" ({', '.join(rule.about)})" if rule.about else ""
    given = ", ".join(f"{name}={value}" for name, value in rule.arguments.items())
    return (
        rule.name,
        rule.mode,
        rule.alert + about,
        ", ".join(rule.hosts) or "all",
        f"{rule.operation} {given}".strip(),
        f"{rule.after_seconds:g} s",
        str(rule.tries),
        f"{rule.cool_down_seconds:g} s",
    )


def _decision_row(decision: RemediationDecision) -> tuple[str, ...]:
    tried = decision.decision in ("acted", "dry_run")
    helped = "" if decision.helped is None else "yes" if decision.helped else "no"
    return (
        since(decision.at),
        decision.rule,
        decision.host,
        f"{decision.decision} ({decision.number})" if tried else decision.decision,
        decision.operation,
        decision.reason,
        f"{helped}: {decision.outcome}" if helped else "",
        decision.command_id,
    )
