"""`seawall circuit`: which hosts are fenced off, and overruling that."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.output import print_json, print_table, say, since
from seawall.cli.wording import host_name, safe
from seawall.client.models import Agent, Circuit

if TYPE_CHECKING:
    from seawall.client.client import Client

app = typer.Typer(no_args_is_help=True, help="Which hosts are fenced off, and overruling that.")


class Domain(Enum):
    """The failure domains that have circuits."""

    AGENT = "agent"
    DOCKER = "docker"


Host = Annotated[str, typer.Argument(metavar="HOST", help="A host's name or id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OneDomain = Annotated[
    Domain, typer.Option("--domain", help="agent fences off the whole host, docker only what needs Docker.")
]
AnyDomain = Annotated[
    Domain | None, typer.Option("--domain", help="Only this circuit of the host.", show_default="both")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")]


@app.command("list")
def list_circuits(context: typer.Context, as_json: Json = False) -> None:
    """List the circuits."""

    async def fetch(client: Client) -> tuple[list[Circuit], list[Agent]]:
        return await client.circuits(), [] if as_json else await client.agents()

    circuits, agents = ask(context, fetch)
    if as_json:
        print_json(circuits)
        return
    hosts = {agent.agent_id: agent for agent in agents}
    rows = [_row(circuit, hosts.get(circuit.agent_id)) for circuit in circuits]
    columns = ("host", "domain", "state", "failures", "opened", "probe")
    print_table(columns, rows, empty="all circuits are closed, and none has seen a failure")


@app.command("show")
def show(context: typer.Context, host: Host, domain: AnyDomain = None, as_json: Json = False) -> None:
    """Show the circuits of one host with their latest changes."""
    circuits, agent = ask(context, lambda client: _fetch(client, host, domain))
    if as_json:
        print_json(circuits if domain is None else circuits[0])
        return
    for circuit in circuits:
        say(_sentence(circuit, agent))
        for change in circuit.transitions:
            by = f" by {safe(change.by)}" if change.by else ""
            say(f"  {since(change.at)}: {change.origin} -> {change.target}{by}: {safe(change.reason)}")


@app.command("open")
def open_circuit(
    context: typer.Context,
    host: Host,
    domain: OneDomain = Domain.AGENT,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Fence a host off until it is closed or reset by hand, restarts of the controller included."""
    _change(context, host, [domain], "open", reason, as_json=as_json)


@app.command("close")
def close_circuit(
    context: typer.Context, host: Host, domain: AnyDomain = None, reason: Reason = "", as_json: Json = False
) -> None:
    """Keep a host's circuits closed, whatever fails, until they are reset."""
    _change(context, host, _domains(domain), "close", reason, as_json=as_json)


@app.command("reset")
def reset_circuit(
    context: typer.Context, host: Host, domain: AnyDomain = None, reason: Reason = "", as_json: Json = False
) -> None:
    """Forget all failures and let the circuits decide again."""
    _change(context, host, _domains(domain), "reset", reason, as_json=as_json)


def _change(
    context: typer.Context, host: str, domains: list[Domain], action: str, reason: str, *, as_json: bool
) -> None:
    async def change(client: Client) -> tuple[list[Circuit], Agent]:
        agent = await client.agent(host)
        circuits = [
            await client.change_circuit(agent.agent_id, domain.value, action, reason) for domain in domains
        ]
        return circuits, agent

    circuits, agent = ask(context, change)
    if as_json:
        print_json(circuits if len(circuits) > 1 else circuits[0])
        return
    for circuit in circuits:
        say(_sentence(circuit, agent))


async def _fetch(client: Client, host: str, domain: Domain | None) -> tuple[list[Circuit], Agent]:
    agent = await client.agent(host)
    return [await client.circuit(agent.agent_id, each.value) for each in _domains(domain)], agent


def _domains(domain: Domain | None) -> list[Domain]:
    return list(Domain) if domain is None else [domain]


def _state(circuit: Circuit) -> str:
    return f"{circuit.state}, by hand" if circuit.forced else circuit.state


def _sentence(circuit: Circuit, host: Agent) -> str:
    opened = f", opened {since(circuit.opened_at)}" if circuit.opened_at is not None else ""
    probe = f", probed {since(circuit.probe_at)}" if circuit.probe_at is not None else ""
    name = host_name(host, circuit.agent)
    return f"{name}, {circuit.domain}: {_state(circuit)}, {circuit.failures} failures{opened}{probe}"


def _row(circuit: Circuit, host: Agent | None) -> tuple[str, ...]:
    return (
        host_name(host, circuit.agent),
        circuit.domain,
        _state(circuit),
        str(circuit.failures),
        since(circuit.opened_at) if circuit.opened_at is not None else "",
        since(circuit.probe_at) if circuit.probe_at is not None else "",
    )
