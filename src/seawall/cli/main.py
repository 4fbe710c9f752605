"""The application: nouns, the flags before them, and what every call ends with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from seawall.cli import (
    agent,
    alert,
    audit,
    backup,
    circuit,
    command,
    compose,
    container,
    controller,
    doctor,
    image,
    nouns,
    operation,
    policy,
    remediation,
    report,
    simulate,
    token,
    up,
    user,
)
from seawall.cli.connect import Target, explain
from seawall.cli.exits import DONE, FAILED, INTERRUPTED, CliProblem
from seawall.cli.output import tell
from seawall.client.errors import ClientError, ContextError, Unreachable

app = typer.Typer(
    name="seawall",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Commands to a fleet of Docker hosts that end in the truth.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 rejected, expired or cancelled, 4 unknown. Of several hosts the "
    "worst counts, from 4 over 1 and 3 to 0.",
)
app.command("up")(up.up)
app.command("controller")(controller.controller)
app.command("doctor")(doctor.doctor)
app.command("simulate")(simulate.simulate)
app.command("report")(report.report)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(agent.app, name="agent")
# Commands that take more than a declaration says.
_HANDWRITTEN = {
    "compose_up": compose.add_up,
    "container_copy_in": container.add_copy_in,
    "container_copy_out": container.add_copy_out,
    "container_exec": container.add_exec,
    "container_logs": container.add_logs,
    "container_stats": container.add_stats,
    "image_build": image.add_build,
    "image_load": image.add_load,
    "image_save": image.add_save,
    "system_events": container.add_events,
}
for _noun in nouns.NOUNS:
    app.add_typer(nouns.group(_noun, _HANDWRITTEN), name=_noun)
app.add_typer(command.app, name="command")
app.add_typer(circuit.app, name="circuit")
app.add_typer(alert.app, name="alert")
app.add_typer(remediation.app, name="remediation")
app.add_typer(policy.app, name="policy")
app.add_typer(token.app, name="token")
app.add_typer(audit.app, name="audit")
app.add_typer(user.app, name="user")
app.add_typer(operation.app, name="operation")

# What a part of Seawall needs that isn't installed, and the extra that brings it.
_EXTRAS = {
    "aiodocker": "agent",
    "aiohttp": "agent",
    "argon2": "controller",
    "cryptography": "agent",
    "alembic": "controller",
    "apprise": "controller",
    "fastapi": "controller",
    "httpx": "controller",
    "matplotlib": "simulate",
    "nicegui": "controller",
    "pathspec": "controller",
    "prometheus_client": "controller",
    "pydantic": "controller",
    "pydantic_settings": "controller",
    "sqlalchemy": "controller",
    "structlog": "controller",
    "uvicorn": "controller",
    "websockets": "controller",
}


def _version(wanted: bool) -> None:
    if wanted:
        from seawall import __version__

        typer.echo(f"seawall {__version__}")
        raise typer.Exit(DONE)


@app.callback()
def _root(
    context: typer.Context,
    url: Annotated[str | None, typer.Option("--url", help="The controller's API; else SEAWALL_URL.")] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="Where the API token lies; else SEAWALL_TOKEN."),
    ] = None,
    ca_file: Annotated[
        str | None,
        typer.Option("--ca", metavar="FILE", help="The controller's CA certificate; else SEAWALL_CA."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    context.obj = Target(url, token_file, ca_file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one call and return its exit code. Expected errors are a sentence on stderr, never a traceback."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="seawall")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except (CliProblem, ClientError, ContextError, Unreachable) as error:
        text, code = explain(error)
        tell(f"seawall: {text}")
        return code
    except KeyboardInterrupt:
        tell("seawall: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered must not fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        tell(f"seawall: this needs {error.name}, which isn't installed: pip install 'seawall[{extra}]'")
        return FAILED
    return DONE
