"""`seawall up`: a controller and the agent of this host, in one go."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from seawall.cli.agent import Docker
from seawall.cli.controller import Agents, Api, Config, Data, save_context_or_say
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.output import say, tell
from seawall.client.context import Context

if TYPE_CHECKING:
    from seawall.cli.children import Children
    from seawall.controller.settings import Address, ControllerSettings

_MOST_SIMULATED = 1000
_LOCAL = "local"


class Plan(Struct, frozen=True):
    """What is to be run, and where it will be found. `simulate` is the number of simulated hosts, 0 for real ones."""

    data: Path
    api_url: str
    agents_url: str
    ca_file: Path | None
    agents_on_loopback: bool
    controller_flags: tuple[str, ...]
    docker: str = ""
    name: str = _LOCAL
    simulate: int = 0

    @property
    def token_file(self) -> Path:
        """Where the controller writes the admin token."""
        return self.data / "admin.token"

    def identities(self) -> dict[str, Path]:
        """The names of the hosts to run and where their identities lie."""
        if self.simulate:
            return {f"sim-{n}": self.data / "simulated" / f"sim-{n}" for n in range(1, self.simulate + 1)}
        return {self.name: self.data / "agent"}


def up(
    data: Data = None,
    api: Api = None,
    agents: Agents = None,
    docker: Docker = None,
    name: Annotated[str, typer.Option("--name", help="This host's name in the fleet.")] = _LOCAL,
    simulate: Annotated[
        int,
        typer.Option(
            "--simulate",
            metavar="N",
            min=0,
            max=_MOST_SIMULATED,
            help="Run N simulated hosts instead of this one.",
        ),
    ] = 0,
    config: Config = None,
) -> None:
    """Run a controller and the agent of this host until Ctrl-C."""
    # These need the libraries of controller and agent.
    from seawall.cli.connect import run
    from seawall.cli.docker_reach import reachable_docker
    from seawall.controller.settings import InvalidSettings, load_settings
    from seawall.wire.join import validate_host_name

    try:
        settings = load_settings({"data": data, "api": api, "agents": agents}, config)
        name = validate_host_name(name)
    except (InvalidSettings, ValueError) as error:
        raise UsageProblem(str(error)) from error
    engine = "" if simulate else reachable_docker(docker)
    run(launch(plan_of(settings, config, docker=engine, name=name, simulate=simulate)))


def plan_of(
    settings: ControllerSettings,
    config: Path | None,
    *,
    docker: str = "",
    name: str = _LOCAL,
    simulate: int = 0,
) -> Plan:
    """The plan for these settings. Raises UsageProblem for ports that only the kernel would know."""
    for flag, address in (("--api", settings.api), ("--agents", settings.agents)):
        if address.port == 0:
            raise UsageProblem(
                f"{flag} {address}: 'seawall up' needs a port to tell you, such as 7700; 0 means any"
            )
    data = settings.data.absolute()
    flags = ["--data", str(data), "--api", str(settings.api), "--agents", str(settings.agents)]
    if config is not None:
        flags += ["--config", str(config.absolute())]
    return Plan(
        data=data,
        api_url=f"{'http' if settings.api.loopback else 'https'}://{_dialled(settings.api)}",
        agents_url=f"https://{_dialled(settings.agents)}",
        ca_file=None if settings.api.loopback else data / "authority" / "ca.pem",
        agents_on_loopback=settings.agents.loopback,
        controller_flags=tuple(flags),
        docker=docker,
        name=name,
        simulate=simulate,
    )


async def launch(plan: Plan, *, children: Children | None = None) -> None:
    """Run it until SIGINT or SIGTERM. Raises CliProblem if a part ends by itself or doesn't come up."""
    from seawall.cli.children import Children

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with children if children is not None else Children() as running:
        rising = asyncio.create_task(_bring_up(plan, running))
        stopping = asyncio.create_task(stop.wait())
        ending = asyncio.create_task(running.first_end())
        try:
            await asyncio.wait((rising, stopping, ending), return_when=asyncio.FIRST_COMPLETED)
            if rising.done() and not ending.done():
                rising.result()
                await asyncio.wait((stopping, ending), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                tell("stopping")
            elif ending.done():
                raise CliProblem(f"{ending.result()}; what it printed above says why. Everything is stopped")
        finally:
            for task in (rising, stopping, ending):
                task.cancel()
            await asyncio.wait((rising, stopping, ending))


async def _bring_up(plan: Plan, children: Children) -> None:
    from seawall.cli.rising import Rising

    await children.start("controller", "controller", *plan.controller_flags)
    async with Rising(plan.api_url, plan.token_file, plan.ca_file) as rising:
        await rising.ready()
        save_context_or_say(Context(plan.api_url, str(plan.token_file), _text(plan.ca_file)))
        hosts = plan.identities()
        await rising.join(hosts, plan.agents_url, simulated=plan.simulate > 0)
        if plan.simulate:
            directory = str(plan.data / "simulated")
            await children.start(
                "agent of the simulated hosts", "agent", "simulate", "--data", directory, *hosts
            )
        else:
            directory = str(plan.data / "agent")
            await children.start("agent", "agent", "run", "--data", directory, "--docker", plan.docker)
        names = await rising.connected(hosts)
        join_command = await rising.join_command()
    _print_ready(plan, names, join_command)


def _print_ready(plan: Plan, names: list[str], join_command: str) -> None:
    say(f"API            {plan.api_url}")
    say(f"admin token    {plan.token_file}")
    say(f"join a host    {join_command}")
    say("               (works once, for ten minutes; 'seawall token join' makes another)")
    if plan.agents_on_loopback:
        say(
            f"               (other machines can't reach {plan.agents_url}: listen for them with --agents HOST:PORT)"
        )
    say(f"{'simulated' if plan.simulate else 'hosts':<14} {', '.join(names)}")
    say("ready")


def _dialled(address: Address) -> str:
    """How this machine reaches what listens there."""
    if not address.wildcard:
        return str(address)
    return f"[::1]:{address.port}" if ":" in address.host else f"127.0.0.1:{address.port}"


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
