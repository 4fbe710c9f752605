"""How each change of volumes is read off the host afterwards.

A volume has no id, and Docker tells the time of its latest change in place of its creation: a volume that was removed
and made again is only told from the one before by its labels and options.
"""

from __future__ import annotations

from seawall.agent.docker import Docker
from seawall.agent.operations.network_verifiers import pruned
from seawall.agent.operations.runner import Target, argument, if_there, section
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    at_once,
    nothing_before,
)
from seawall.agent.operations.volumes import created_response, made_as_asked, made_by


def _create(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "there is no such volume")
    ours = made_by(doubt.now, doubt.command_id)
    if ours or made_as_asked(doubt.now, doubt.arguments):
        response = created_response(doubt.now, changed=ours)
        return applied("it is there", response, satisfied=True, ours=ours)
    return doubt.once_settled(
        Verdict.FAILED, "there is a volume of that name, and its driver or its options are others"
    )


def _remove(doubt: Doubt) -> Finding:
    name = doubt.pre_image.get("id")
    if doubt.now is None:
        return applied("it is gone", {"volume": name}, satisfied=True, ours=True)
    if _before(doubt.now) != dict(doubt.pre_image):
        return doubt.once_settled(
            Verdict.UNKNOWABLE,
            "there is another volume of that name: the one that was meant is gone, and nothing tells who removed it",
        )
    return doubt.once_settled(Verdict.NOT_APPLIED, "it is still there")


def _prune(doubt: Doubt) -> Finding:
    return pruned(doubt, argument(doubt.arguments, "names", list[str]), "name")


def _before(record: Record) -> PreImage:
    return {
        "id": record.get("Name"),
        "driver": record.get("Driver"),
        "labels": dict(section(record, "Labels")),
        "options": dict(section(record, "Options")),
    }


async def _named(docker: Docker, name: str, timeout_seconds: float) -> Target | None:
    record = await if_there(docker.volume_inspect(name, timeout_seconds=timeout_seconds))
    return Target(name, name, record) if record is not None else None


async def _created(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    return await _named(docker, argument(sought.arguments, "name", str), timeout_seconds)


async def _by_name(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    return await _named(docker, argument(sought.pre_image, "id", str), timeout_seconds)


async def _left(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """Those of the volumes of a prune that are still there."""
    wanted = argument(sought.arguments, "names", list[str])
    records = await docker.volume_list(unused=False, timeout_seconds=timeout_seconds)
    there = {record.get("Name") for record in records}
    return Target("", "", {"left": [each for each in wanted if each in there]})


VERIFIERS = {
    "volume_create": Verifier(nothing_before, _create, at_once, _created),
    "volume_remove": Verifier(_before, _remove, at_once, _by_name),
    "volume_prune": Verifier(nothing_before, _prune, at_once, _left),
}
