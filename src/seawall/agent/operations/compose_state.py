"""How a Compose project stands on a host: its containers, by the labels that every Compose program gives them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from seawall.agent.docker import Docker
from seawall.agent.operations.runner import section

_LABEL = "com.docker.compose."
_ONE_OFF = "True"  # of a container that somebody runs beside the project's own


class Member(Struct, frozen=True):
    """One container of a project. `fingerprint` tells the settings that it was made from; `state` is Docker's word."""

    id: str
    name: str
    service: str
    fingerprint: str
    state: str
    status: str
    image: str
    number: int


class Wish(Struct, frozen=True):
    """What is wanted of a service."""

    fingerprint: str
    replicas: int


async def members_of(
    docker: Docker, project: str, timeout_seconds: float, services: Collection[str] = ()
) -> list[Member]:
    """A project's containers, those of some services only if these are given. Raises DockerFailure."""
    records = await docker.container_list(stopped=True, timeout_seconds=timeout_seconds)
    found = []
    for record in records:
        labels = section(record, "Labels")
        if labels.get(f"{_LABEL}project") != project or labels.get(f"{_LABEL}oneoff") == _ONE_OFF:
            continue
        member = _member(record, labels)
        if not services or member.service in services:
            found.append(member)
    return sorted(found, key=lambda member: (member.service, member.number, member.name))


def services_of(members: Iterable[Member], wishes: Mapping[str, Wish] | None = None) -> dict[str, object]:
    """How many containers of each service run, of how many."""
    counts = {name: [0, wish.replicas] for name, wish in (wishes or {}).items()}
    for member in members:
        count = counts.setdefault(member.service, [0, 0])
        count[0] += member.state == "running"
        if wishes is None or member.service not in wishes:
            count[1] += 1
    return {name: {"running": running, "containers": wanted} for name, (running, wanted) in counts.items()}


def lacking(
    wishes: Mapping[str, Wish], members: Collection[Member], ended_before: Collection[str]
) -> list[str]:
    """The services that are not as they are wanted. A container that has run to its end since is as wanted as any."""
    return [
        name
        for name, wish in wishes.items()
        if sum(_as_wanted(member, name, wish, ended_before) for member in members) < wish.replicas
    ]


def _as_wanted(member: Member, service: str, wish: Wish, ended_before: Collection[str]) -> bool:
    if member.service != service or member.fingerprint != wish.fingerprint:
        return False
    return member.state == "running" or (member.state == "exited" and member.id not in ended_before)


def _member(record: Mapping[str, object], labels: Mapping[str, object]) -> Member:
    names = record.get("Names")
    name = str(names[0]).removeprefix("/") if isinstance(names, list) and names else ""
    number = str(labels.get(f"{_LABEL}container-number") or "")
    return Member(
        str(record.get("Id") or ""),
        name,
        str(labels.get(f"{_LABEL}service") or ""),
        str(labels.get(f"{_LABEL}config-hash") or ""),
        str(record.get("State") or ""),
        str(record.get("Status") or ""),
        str(record.get("Image") or ""),
        int(number) if number.isascii() and number.isdigit() else 0,
    )
