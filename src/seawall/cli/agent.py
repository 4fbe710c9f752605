"""`seawall agent`: the hosts of the fleet, and the agent on this one."""

from __future__ import annotations

import os
import socket
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.delivery import deliver_to
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.fanout import Work
from seawall.cli.launched import end_with_launcher
from seawall.cli.output import print_json, print_table, say, since
from seawall.cli.wording import host_name, safe
from seawall.client.context import data_path
from seawall.client.models import Agent

if TYPE_CHECKING:
    from seawall.agent.local_policy import LocalPolicy

app = typer.Typer(no_args_is_help=True, help="The hosts of the fleet, and the agent on this one.")

JOIN_TOKEN_VARIABLE = "SEAWALL_JOIN_TOKEN"  # noqa: S105  # a variable's name, not a token
_FROM_STDIN = "-"
_TOKEN_LIMIT = 4096

Host = Annotated[str, typer.Argument(metavar="HOST", help="A host's name or id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Launcher = Annotated[int | None, typer.Option("--launcher", hidden=True)]
Docker = Annotated[
    str | None,
    typer.Option(
        "--docker",
        metavar="URL",
        help="The Docker Engine.",
        show_default="DOCKER_HOST, then the usual socket",
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where this host's identity lies.", show_default=False),
]


def agent_directory(data: Path | None) -> Path:
    """Where this host's identity lies: below the data directory unless told otherwise, as `seawall up` has it."""
    return data if data is not None else data_path(os.environ) / "agent"


class Allowed(Enum):
    """What `--allow` may be: the levels of `agent.local_policy`."""

    READ_ONLY = "read-only"
    OPERATE = "operate"
    MANAGE = "manage"


def policy_of(allow: Allowed | None, allow_exec: bool, images: list[str]) -> LocalPolicy | None:
    """The policy that these options ask for, None if they ask for none. Raises UsageProblem."""
    from seawall.agent.local_policy import LocalPolicy, Rules
    from seawall.operations.host_level import Level

    if images and allow is not Allowed.MANAGE:
        raise UsageProblem("--allow-image needs --allow manage: nothing is created at the other levels")
    if allow is None and not allow_exec:
        return None
    level = Level(allow.value) if allow is not None else Level.READ_ONLY
    return LocalPolicy(level, exec=allow_exec, rules=Rules(images=tuple(images)))


@app.command("list")
def list_agents(
    context: typer.Context,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only hosts with this label.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the hosts that joined."""
    for given in label or ():
        if "=" not in given:
            raise UsageProblem(f"--label {given!r} isn't a label: give it as KEY=VALUE")
    agents = ask(context, lambda client: client.agents(label or ()))
    if as_json:
        print_json(agents)
        return
    rows = [
        (
            host_name(agent, agent.name),
            agent.state,
            f"{agent.health.score} {agent.health.state}",
            since(agent.last_seen_at),
            _circuits(agent),
            agent.docker_version,
            _labels(agent),
        )
        for agent in agents
    ]
    print_table(
        ("host", "state", "health", "seen", "circuits", "docker", "labels"),
        rows,
        empty="no host has joined yet: 'seawall token join' prints how one does",
    )


@app.command("show")
def show(context: typer.Context, host: Host, as_json: Json = False) -> None:
    """Show one host."""
    agent = ask(context, lambda client: client.agent(host))
    if as_json:
        print_json(agent)
        return
    latency = (
        f"{agent.latency_seconds * 1000:.1f} ms" if agent.latency_seconds is not None else "not measured yet"
    )
    for name, value in (
        ("host", host_name(agent, agent.name)),
        ("id", agent.agent_id),
        ("state", _state(agent)),
        ("health", "; ".join([f"{agent.health.score} of 100, {agent.health.state}", *agent.health.reasons])),
        ("seen", since(agent.last_seen_at)),
        ("joined", since(agent.joined_at)),
        ("latency", latency),
        ("in flight", str(agent.in_flight)),
        ("circuits", _circuits(agent)),
        ("labels", _labels(agent)),
        ("hostname", agent.hostname),
        ("docker", agent.docker_version),
        ("agent", agent.version),
    ):
        say(f"{name:<10} {safe(value) or '-'}")


@app.command("ping")
def ping(
    context: typer.Context,
    host: Host,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0.001, help="How long it may take.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Cross a host's agent and come back."""
    deliver_to(context, host, Work("ping", {}), timeout=timeout, as_json=as_json)


@app.command("info")
def info(context: typer.Context, host: Host, as_json: Json = False) -> None:
    """What a host and its Docker Engine are."""
    deliver_to(context, host, Work("system_info", {}), timeout=None, as_json=as_json)


@app.command("revoke")
def revoke(
    context: typer.Context,
    host: Host,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """End a host's identity for good; it has to join anew to come back."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageProblem(f"revoking {host} is for good: say --yes")
        typer.confirm(f"End the identity of {safe(host)} for good?", abort=True)
    ask(context, lambda client: client.revoke_agent(host))
    say(f"{safe(host)} is revoked: its session is over and its key is worthless")


@app.command("release")
def release(context: typer.Context, host: Host, as_json: Json = False) -> None:
    """End a host's quarantine, once just one agent has its identity."""
    agent = ask(context, lambda client: client.release_agent(host))
    if as_json:
        print_json(agent)
        return
    say(
        f"{host_name(agent, agent.name)} is out of quarantine: the next agent that connects with its identity is it"
    )


@app.command("join")
def join_controller(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the controller receives agents.")],
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar=JOIN_TOKEN_VARIABLE,
            show_envvar=True,
            help="The join token; - reads it from stdin, so that no list of processes shows it.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="This host's name in the fleet.", show_default="the hostname")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="May be given several times.")
    ] = None,
    allow: Annotated[
        Allowed | None,
        typer.Option(
            "--allow",
            help="What the controller may do on this host.",
            show_default="what this host's policy says already, else read-only",
        ),
    ] = None,
    allow_exec: Annotated[
        bool, typer.Option("--allow-exec", help="Let it run processes in this host's containers.")
    ] = False,
    allow_image: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-image",
            metavar="PATTERN",
            help="With --allow manage: images that containers may be made of, such as 'nginx' or 'ghcr.io/acme/**'. "
            "May be given several times.",
        ),
    ] = None,
    data: Directory = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up the identity that this host has already.")
    ] = False,
) -> None:
    """Make this host one of a controller's fleet."""
    if token == _FROM_STDIN:
        token = sys.stdin.readline(_TOKEN_LIMIT)
    if not token or not token.strip():
        raise UsageProblem(
            f"a join token is needed: give it with --token, on stdin with '--token -', or in {JOIN_TOKEN_VARIABLE}; "
            "'seawall token join' on the controller makes one"
        )
    from seawall.agent.app import agent_version
    from seawall.agent.join import JoinError, join
    from seawall.cli.connect import run

    directory = agent_directory(data)
    labels = parse_labels(label or ())
    policy = policy_of(allow, allow_exec, allow_image or [])
    try:
        identity = run(
            join(
                url,
                token,
                name=name or socket.gethostname().partition(".")[0],
                labels=labels,
                directory=directory,
                version=agent_version(),
                replace_existing=replace,
                policy=policy,
            )
        )
    except JoinError as error:
        raise CliProblem(str(error)) from error
    where = f" --data {directory}" if data is not None else ""
    say(
        f"joined {identity.controller_url} as {identity.name}; start the agent with 'seawall agent run{where}'"
    )


@app.command("run")
def run_agent(
    data: Directory = None,
    docker: Docker = None,
    launcher: Launcher = None,
) -> None:
    """Run this host's agent in the foreground."""
    end_with_launcher(launcher)
    from seawall.agent.app import main

    raise typer.Exit(main(agent_directory(data), docker))


@app.command("simulate", hidden=True)
def simulate(
    directory: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where the identities lie, one folder each.")
    ],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The simulated hosts to run.")],
    launcher: Launcher = None,
) -> None:
    """Run agents of simulated hosts in one process."""
    end_with_launcher(launcher)
    from seawall.cli.simulated import main

    raise typer.Exit(main([directory / name for name in names]))


def parse_labels(words: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Labels from `key=value` words. Raises UsageProblem."""
    labels: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageProblem(f"--label {word!r} isn't a label: give it as KEY=VALUE")
        labels[key] = value
    return labels


def _state(agent: Agent) -> str:
    if agent.state != "quarantined":
        return agent.state
    return (
        f"quarantined {since(agent.quarantined_at)}: two agents used its identity at once. Stop one of them (a cloned "
        f"machine has to join anew), then run 'seawall agent release {agent.name}'"
    )


def _circuits(agent: Agent) -> str:
    open_ones = [f"{domain} {state}" for domain, state in sorted(agent.circuits.items()) if state != "closed"]
    return ", ".join(open_ones) or "closed"


def _labels(agent: Agent) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(agent.labels.items()))
