"""How the operations about Compose projects run on a host.

A project is brought up and down by the host's Compose program. Everything else asks the Docker Engine itself, so that
it works for any project of the host, whoever has brought it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.docker.compose import Down, Up
from seawall.agent.operations.compose_logs import compose_logs
from seawall.agent.operations.compose_plan import (
    environment_of,
    hidden,
    key_of,
    names_of,
    permitted,
    plan_of,
    plan_up,
    without_secrets,
)
from seawall.agent.operations.compose_state import Member, Wish, members_of, services_of
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Resolver,
    Runner,
    Target,
    argument,
    limited,
    target_of,
)
from seawall.agent.operations.snapshot import snapshot_of
from seawall.core.errors import Circumstance, CommandErrorCode, verdict

READ_BACK_SECONDS = 5.0
"""How long an Engine may take to say how a project stands."""
_MOST_OUTPUT = 4000


async def compose_up(execution: Execution) -> object:
    """See `operations.compose.COMPOSE_UP`."""
    plan = plan_of(target_of(execution))
    permitted(execution.policy, plan.project)
    return await _up(execution, plan.wishes, plan.project.content)


async def resume_up(execution: Execution) -> object:
    """Bring up what was begun: the model that is kept has been judged."""
    record = target_of(execution).record
    return await _up(execution, msgspec.convert(record["wishes"], dict[str, Wish]), None)


async def _up(
    execution: Execution, wishes: dict[str, Wish], model: dict[str, object] | None
) -> dict[str, object]:
    arguments = execution.arguments
    how = Up(
        tuple(names_of(arguments, "services")),
        argument(arguments, "pull", str) == "always",
        argument(arguments, "remove_orphans", bool),
        _grace(arguments),
    )
    name = target_of(execution).name
    try:
        output = await execution.docker.compose_up(
            name, model=model, how=how, watch=_Watch(execution, wishes).look
        )
    except DockerFailure as failure:
        raise await _truth(execution, failure) from failure
    return await _read_back(execution, output, wishes)


async def compose_down(execution: Execution) -> object:
    """See `operations.compose.COMPOSE_DOWN`."""
    arguments = execution.arguments
    how = Down(
        argument(arguments, "remove_volumes", bool),
        argument(arguments, "remove_orphans", bool),
        _grace(arguments),
    )
    try:
        output = await execution.docker.compose_down(
            target_of(execution).name, how=how, watch=_Watch(execution, None).look
        )
    except DockerFailure as failure:
        raise await _truth(execution, failure) from failure
    return await _read_back(execution, output, None)


async def compose_restart(execution: Execution) -> object:
    """See `operations.compose.COMPOSE_RESTART`: those containers of the target that have not been restarted yet."""
    target = target_of(execution)
    left = msgspec.convert(target.record["left"], list[str])
    restarted = 0

    async def restart(container: str) -> None:
        nonlocal restarted
        record = await execution.docker.container_inspect(
            container, timeout_seconds=execution.timeout_seconds
        )
        grace = _grace(execution.arguments)
        await execution.docker.container_restart(
            container,
            grace_seconds=snapshot_of(record).grace_seconds if grace is None else grace,
            timeout_seconds=execution.timeout_seconds,
        )
        restarted += 1
        execution.progress(f"{restarted} of {len(left)} containers restarted")

    ends = await asyncio.gather(*(restart(container) for container in left), return_exceptions=True)
    failures = [end for end in ends if isinstance(end, BaseException)]
    for failure in failures:
        if not isinstance(failure, DockerFailure) or verdict(failure.code, failure.circumstance).may_have_run:
            raise failure
    if failures:
        raise DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.NONE,
            f"{restarted} of {len(left)} containers of project {target.name} were restarted; of the others: "
            f"{failures[0]}",
        )
    return await _read_back(execution, None, None)


async def compose_ps(execution: Execution) -> object:
    """See `operations.compose.COMPOSE_PS`."""
    name = argument(execution.arguments, "project", str)
    members = await members_of(execution.docker, name, execution.timeout_seconds)
    return limited(_standing(name, members, None), "look at single containers with container_list")


async def resolve_down(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """A project whose model is kept here."""
    name = argument(arguments, "project", str)
    kept = await docker.compose_kept(name)
    if kept.digest is None:
        raise DockerFailure(
            CommandErrorCode.INVALID_ARGUMENT,
            Circumstance.NONE,
            f"this agent has brought up no project {name}, so that it has no files to bring it down with: nothing was "
            "done. Look at it with 'seawall compose ps'",
        )
    members = await members_of(docker, name, timeout_seconds)
    return Target(key_of(name), name, {"digest": kept.digest, "members": members})


async def resolve_restart(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The containers of a project, and when each was started."""
    name = argument(arguments, "project", str)
    members = await members_of(docker, name, timeout_seconds, names_of(arguments, "services"))
    if not members:
        raise DockerFailure(
            CommandErrorCode.INVALID_ARGUMENT,
            Circumstance.NONE,
            f"no container of project {name} is there, or none of these services: nothing was done. Look at it with "
            "'seawall compose ps'",
        )
    targets = await asyncio.gather(*(resolve(docker, member.id, timeout_seconds) for member in members))
    started = {target.object_id: snapshot_of(target.record).started_at for target in targets}
    return Target(key_of(name), name, {"started": started, "left": list(started)})


class _Watch:
    """Tells how a project comes along, whenever something has changed."""

    def __init__(self, execution: Execution, wishes: dict[str, Wish] | None) -> None:
        self._execution = execution
        self._wishes = wishes
        self._last: object = None
        self._line = ""

    async def look(self, lines: Sequence[str]) -> None:
        """Look at the project; `lines` are what the program has said since."""
        execution = self._execution
        try:
            members = await members_of(execution.docker, target_of(execution).name, READ_BACK_SECONDS)
        except DockerFailure:
            return
        services = services_of(members, self._wishes)
        if not lines and services == self._last:
            return
        self._last = services
        environment = environment_of(execution.arguments)
        said = [hidden(line, environment) for line in lines]
        self._line = said[-1] if said else self._line
        running = sum(member.state == "running" for member in members)
        text = f"{running} of {len(members)} containers run"
        detail = {"services": services, "said": said} if said else {"services": services}
        execution.progress(f"{text}: {self._line}" if self._line else text, detail)


async def _truth(execution: Execution, failure: DockerFailure) -> DockerFailure:
    """What became of a project whose program has failed: if Docker can't be asked, that is in doubt."""
    failure = without_secrets(failure, environment_of(execution.arguments))
    if failure.code is not CommandErrorCode.DOCKER_ERROR or failure.circumstance is not Circumstance.NONE:
        return failure
    try:
        members = await members_of(execution.docker, target_of(execution).name, READ_BACK_SECONDS)
    except DockerFailure as silence:
        return DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_FAILED,
            f"{failure.message}. How the project stands isn't known: {silence.message}",
        )
    states = ", ".join(f"{member.name} {member.state}" for member in members)
    return DockerFailure(
        failure.code, failure.circumstance, f"{failure.message}. Its containers now: {states or 'none'}"
    )


async def _read_back(
    execution: Execution, output: str | None, wishes: dict[str, Wish] | None
) -> dict[str, object]:
    name = target_of(execution).name
    response: dict[str, object] = {"project": name, "services": None}
    try:
        members = await members_of(execution.docker, name, min(execution.timeout_seconds, READ_BACK_SECONDS))
        response = _standing(name, members, wishes)
    except DockerFailure:
        pass  # the change is done, that is what was asked; how things stand isn't known
    if output is not None:
        said = hidden(output, environment_of(execution.arguments))
        response["output"] = said[-_MOST_OUTPUT:]
    return response


def _standing(name: str, members: list[Member], wishes: dict[str, Wish] | None) -> dict[str, object]:
    containers = [
        {
            "service": member.service,
            "container": member.name,
            "id": member.id,
            "image": member.image,
            "state": member.state,
            "status": member.status,
        }
        for member in members
    ]
    return {"project": name, "services": services_of(members, wishes), "containers": containers}


def _grace(arguments: Arguments) -> int | None:
    return None if arguments.get("grace_seconds") is None else argument(arguments, "grace_seconds", int)


RUNNERS: dict[str, Runner] = {
    "compose_up": compose_up,
    "compose_down": compose_down,
    "compose_restart": compose_restart,
    "compose_ps": compose_ps,
    "compose_logs": compose_logs,
}
RESOLVERS: dict[str, Resolver] = {
    "compose_up": plan_up,
    "compose_down": resolve_down,
    "compose_restart": resolve_restart,
}
