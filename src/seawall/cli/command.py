"""`seawall command`: what was asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.delivery import IdempotencyKey, NoWait, deliver_anew
from seawall.cli.doubt import action_lines, evidence_lines, still_unknown
from seawall.cli.exits import DONE, FAILED, UsageProblem, code_of_state
from seawall.cli.output import print_json, print_table, say, since
from seawall.cli.wording import advice, attempt_line, duration, host_name, safe, subject, verdict
from seawall.client.errors import ClientError
from seawall.client.models import Agent, Command
from seawall.clock import SystemClock
from seawall.core.command import CommandState

if TYPE_CHECKING:
    from seawall.client.client import Client

SUMMARY = "What was asked for, and what became of it."

app = typer.Typer(no_args_is_help=True, help=SUMMARY)

CommandId = Annotated[str, typer.Argument(metavar="ID", help="A command's id.")]


class Resolution(StrEnum):
    """What a person can find out of a command that may have happened."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_commands(
    context: typer.Context,
    on: Annotated[
        str | None, typer.Option("--on", metavar="HOST", help="Only commands to this host.")
    ] = None,
    state: Annotated[CommandState | None, typer.Option("--state", case_sensitive=False)] = None,
    operation: Annotated[str | None, typer.Option("--operation")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ID", help="Older than this command.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List commands, the newest first."""
    wanted = state.value if state is not None else None
    commands = ask(
        context,
        lambda client: client.commands(
            agent=on, state=wanted, operation=operation, limit=limit, before=before
        ),
    )
    if as_json:
        print_json(commands)
        return
    simulated = {}
    if commands:
        simulated = {agent.agent_id: agent for agent in ask(context, lambda client: client.agents())}
    rows = [
        (
            since(command.accepted_at),
            command.state.value,
            host_name(simulated.get(command.agent_id), command.agent),
            subject(command),
            command.error_code or "",
            str(command.total_attempts),
            duration(command.duration_seconds) if command.state.final else "",
            command.command_id,
        )
        for command in commands
    ]
    columns = ("accepted", "state", "host", "command", "error", "attempts", "took", "id")
    print_table(columns, rows, empty="no such command")


@app.command("show")
def show(context: typer.Context, command_id: CommandId, as_json: Json = False) -> None:
    """Show one command with its attempts."""
    command, host = ask(context, lambda client: _with_host(client, client.command(command_id)))
    if as_json:
        print_json(command)
    else:
        _print(command, host)


@app.command("explain")
def explain(context: typer.Context, command_id: CommandId, as_json: Json = False) -> None:
    """Tell what happened to a command and why, step by step."""
    explanation = ask(context, lambda client: client.explain(command_id))
    if as_json:
        print_json(explanation)
        return
    say(
        f"{subject(explanation.command)} on {safe(explanation.command.agent)}: {verdict(explanation.command)}"
    )
    began = explanation.command.accepted_at
    for entry in explanation.timeline:
        seconds = (entry.at - began).total_seconds() if began is not None else 0.0
        say(f"  {seconds:+9.3f} s  {safe(entry.text)}")


@app.command("cancel")
def cancel(context: typer.Context, command_id: CommandId, as_json: Json = False) -> None:
    """Ask for a command to be stopped; CANCELLED is only said of one that never started."""
    command, host = ask(context, lambda client: _with_host(client, client.cancel(command_id)))
    what = f"{subject(command)} on {host_name(host, command.agent)}"
    if as_json:
        print_json(command)
    elif command.state is CommandState.CANCELLED:
        say(f"{verdict(command)}: {what} never started")
    elif not command.state.final:
        say(f"cancel requested: {what} is {command.state.value}")
    else:
        say(f"too late: {what} is {verdict(command)}")
        if advice(command):
            say(f"  {advice(command)}")
    if command.state is CommandState.CANCELLED or not command.state.final:
        raise typer.Exit(DONE)
    raise typer.Exit(code_of_state(command.state) or FAILED)


@app.command("verify")
def verify(
    context: typer.Context,
    command_id: CommandId,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, max=60, help="How long the answer may take."),
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Have the host asked what became of an UNKNOWN command."""
    command, host = ask(context, lambda client: _with_host(client, client.verify(command_id, wait)))
    if as_json:
        print_json(command)
    else:
        _print(command, host)
        if command.state is CommandState.UNKNOWN:
            say(f"  {still_unknown(command, host)}")
    raise typer.Exit(code_of_state(command.state))


@app.command("resolve")
def resolve(
    context: typer.Context,
    command_id: CommandId,
    state: Annotated[Resolution, typer.Option("--state", case_sensitive=False, help="What became of it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="How you know; it is kept.")],
    as_json: Json = False,
) -> None:
    """Say yourself what became of an UNKNOWN command; that is final."""
    if not reason.strip():
        raise UsageProblem("say with --reason how you know: it is what others will have to go by")
    command, host = ask(
        context, lambda client: _with_host(client, client.resolve(command_id, state.value.upper(), reason))
    )
    if as_json:
        print_json(command)
    else:
        _print(command, host)


@app.command("force-retry")
def force_retry(
    context: typer.Context,
    command_id: CommandId,
    idempotency_key: IdempotencyKey = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Do the same as an UNKNOWN command by a new one, although the first may have happened."""
    deliver_anew(context, command_id, key=idempotency_key, no_wait=no_wait, as_json=as_json)


@app.command("output")
def output(
    context: typer.Context,
    command_id: CommandId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it is over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print what a command has printed on its host, from the beginning."""
    # It needs a library that a host without the client's extra doesn't have.
    from seawall.cli.printed import print_output

    print_output(context, command_id, follow=follow, as_json=as_json)


async def _with_host(client: Client, request: Awaitable[Command]) -> tuple[Command, Agent | None]:
    command = await request
    try:
        return command, await client.agent(command.agent_id)
    except ClientError:
        # Shown beside it, never instead of it.
        return command, None


def _print(command: Command, host: Agent | None) -> None:
    say(f"{verdict(command)}: {subject(command)} on {host_name(host, command.agent)}")
    by = f" from {safe(command.requested_by)}" if command.requested_by else ""
    say(f"  command {command.command_id}, accepted {since(command.accepted_at)}{by}")
    for attempt in command.attempts:
        say(f"  {attempt_line(attempt)}")
    if command.error:
        say(f"  {safe(command.error)}")
    for line in evidence_lines(command, SystemClock().wall()):
        say(f"  {line}")
    actions = action_lines(command)
    if actions:
        say("  what can be done:")
        for line in actions:
            say(f"    {line}")
    elif advice(command) and not command.resolved_by:
        say(f"  {advice(command)}")
