"""From the files of a Compose project to what would be done: read, made plain, and told apart, but not begun."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.docker.compose import encode_model
from seawall.agent.docker.compose_projects import digest
from seawall.agent.local_policy import LocalPolicy, Refusal, judge_network, judge_volume
from seawall.agent.local_policy_spec import judge_spec
from seawall.agent.operations.compose_files import FilesRefused, sources_of
from seawall.agent.operations.compose_model import Project, project_of
from seawall.agent.operations.compose_state import Member, Wish, members_of
from seawall.agent.operations.compose_values import ModelRefused
from seawall.agent.operations.compose_yaml import NotPlain, read_yaml
from seawall.agent.operations.runner import Arguments, Target, argument
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.secret import REDACTED

_SHORTEST_SECRET = 4


class Plan(Struct, frozen=True):
    """What a project comes to, and how it stood. `wishes` are of the services that are to be brought up."""

    project: Project
    digest: str
    wishes: dict[str, Wish]
    members: list[Member]


async def plan_up(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """What a compose_up would do. Raises `DockerFailure`."""
    name = argument(arguments, "project", str)
    environment = environment_of(arguments)
    try:
        plan = await _plan(docker, name, arguments, environment, timeout_seconds)
    except (FilesRefused, NotPlain, ModelRefused) as error:
        raise _refused(f"project {name}: {error}. Nothing was done", environment) from None
    except DockerFailure as failure:
        raise without_secrets(failure, environment) from None
    return Target(key_of(name), name, {"plan": plan})


def permitted(policy: LocalPolicy, project: Project) -> None:
    """Go on, if the host's policy permits all that the project comes to. Raises `DockerFailure`."""
    for name, volume in project.volumes.items():
        _permit(f"volume {name}", judge_volume(policy, volume))
    for name, network in project.networks.items():
        _permit(f"network {name}", judge_network(policy, network))
    for service in project.services:
        _permit(f"service {service.name}", judge_spec(policy, service.body))


def plan_of(target: Target) -> Plan:
    """The plan that `plan_up` has made."""
    plan = target.record.get("plan")
    if not isinstance(plan, Plan):
        raise TypeError("a project is brought up without a plan")
    return plan


def key_of(project: str) -> str:
    """What stands for a project where other objects have an id."""
    return f"project {project}"


def environment_of(arguments: Arguments) -> dict[str, str]:
    """The values of the variables, as far as they are known: secrets may be gone from a record."""
    given = arguments.get("environment")
    return msgspec.convert(given, dict[str, str]) if isinstance(given, dict) else {}


def names_of(arguments: Arguments, name: str) -> list[str]:
    """A list of names, empty if it isn't given."""
    return msgspec.convert(arguments.get(name) or [], list[str])


def without_secrets(failure: DockerFailure, environment: Mapping[str, str]) -> DockerFailure:
    """The failure, without any value of a variable in its words: programs quote what they read."""
    message = hidden(failure.message, environment)
    return DockerFailure(failure.code, failure.circumstance, message, failure.status)


def hidden(text: str, environment: Mapping[str, str]) -> str:
    """The text without the values of the variables."""
    for value in sorted(environment.values(), key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, REDACTED)
    return text


async def _plan(
    docker: Docker,
    name: str,
    arguments: Arguments,
    environment: Mapping[str, str],
    timeout_seconds: float,
) -> Plan:
    files = msgspec.convert(arguments["files"], dict[str, str])
    # What comes from outside may take its time to read, and nothing else shall wait for it.
    sources = await asyncio.to_thread(sources_of, name, files, names_of(arguments, "use"), environment)
    told = await docker.compose_config(
        name, files=sources.files, use=sources.use, timeout_seconds=timeout_seconds
    )
    project = project_of(await asyncio.to_thread(read_yaml, told, "the project"))
    chosen = names_of(arguments, "services")
    known = {service.name: service for service in project.services}
    for service in chosen:
        if service not in known:
            raise ModelRefused(f"it has no service {service!r}, only {', '.join(sorted(known))[:200]}")
    hashes = await docker.compose_hashes(name, model=project.content, timeout_seconds=timeout_seconds)
    wishes = {service: Wish(hashes.get(service, ""), known[service].replicas) for service in chosen or known}
    members = await members_of(docker, name, timeout_seconds)
    return Plan(project, digest(encode_model(project.content).encode()), wishes, members)


def _permit(about: str, refusal: Refusal | None) -> None:
    if refusal is not None:
        raise DockerFailure(
            CommandErrorCode.PERMISSION_DENIED, Circumstance.NONE, f"{about}: {refusal.message}"
        )


def _refused(text: str, environment: Mapping[str, str]) -> DockerFailure:
    return DockerFailure(CommandErrorCode.INVALID_ARGUMENT, Circumstance.NONE, hidden(text, environment))
