"""How a change of a Compose project is read off the host afterwards.

The model that is kept tells whether a program was ever put to work for a command, and is gone once the project is down;
its lock tells whether the program still works, also for an agent that has died. What was left half done is done again
from the beginning: a Compose program changes only what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.compose import compose_down, compose_restart, resume_up
from seawall.agent.operations.compose_plan import Plan, key_of
from seawall.agent.operations.compose_state import Member, Wish, lacking, members_of, services_of
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.runner import (
    Arguments,
    Target,
    argument,
    if_there,
)
from seawall.agent.operations.snapshot import snapshot_of
from seawall.agent.operations.verification import (
    SETTLE_SECONDS,
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    at_once,
)
from seawall.core.errors import Circumstance, CommandErrorCode

_DEFAULT_GRACE_SECONDS = 10


def _pre_image(record: Record) -> PreImage:
    plan = record.get("plan")
    if isinstance(plan, Plan):
        record = {"digest": plan.digest, "wishes": plan.wishes, "members": plan.members}
    kept = ("digest", "wishes", "members", "started", "left")
    return {name: msgspec.to_builtins(record[name]) for name in kept if name in record}


async def _find(docker: Docker, sought: Sought, timeout_seconds: float) -> Target:
    """The project, once no program works on it any more."""
    name = argument(sought.arguments, "project", str)
    kept = await docker.compose_kept(name)
    if kept.busy:
        raise DockerFailure(
            CommandErrorCode.AGENT_ERROR,
            Circumstance.HEARD,
            f"the Compose program still works on project {name}",
        )
    members = await members_of(docker, name, timeout_seconds)
    record: dict[str, object] = {"digest": kept.digest, "members": members}
    if "wishes" in sought.pre_image:
        record["wishes"] = sought.pre_image["wishes"]
    return Target(key_of(name), name, record)


async def _find_restarted(docker: Docker, sought: Sought, timeout_seconds: float) -> Target:
    """The containers that were to be restarted, and which of them have not been started since."""
    name = argument(sought.arguments, "project", str)
    before = _started(sought.pre_image)
    started: dict[str, str | None] = {}
    for container in before:
        target = await if_there(resolve(docker, container, timeout_seconds))
        if target is None:
            continue
        started[container] = snapshot_of(target.record).started_at
    left = [container for container, moment in started.items() if moment == before[container]]
    return Target(key_of(name), name, {"started": started, "left": left})


def _verify_up(doubt: Doubt) -> Finding:
    now = doubt.now or {}
    if now.get("digest") != doubt.pre_image.get("digest"):
        return doubt.once_settled(Verdict.NOT_APPLIED, "its files were not put in place")
    wishes = msgspec.convert(doubt.pre_image["wishes"], dict[str, Wish])
    members = _members(now)
    ended_before = {member.id for member in _members(doubt.pre_image) if member.state != "running"}
    missing = lacking(wishes, members, ended_before)
    if not missing:
        return _as_asked(
            doubt, "every service is as its files say", {"services": services_of(members, wishes)}
        )
    reason = f"its files are in place, and not yet as they say: {', '.join(missing)[:200]}"
    return doubt.once_settled(Verdict.PARTIAL, reason)


def _verify_down(doubt: Doubt) -> Finding:
    now = doubt.now or {}
    members = _members(now)
    if now.get("digest") is None:
        return _as_asked(doubt, "it is down, and its files are gone", {"services": services_of(members)})
    before = {(member.id, member.state) for member in _members(doubt.pre_image)}
    if {(member.id, member.state) for member in members} == before:
        return doubt.once_settled(Verdict.NOT_APPLIED, "its containers are as they were")
    return doubt.once_settled(
        Verdict.PARTIAL, "its containers are not as they were, and its files still there"
    )


def _verify_restart(doubt: Doubt) -> Finding:
    now, before = doubt.now or {}, _started(doubt.pre_image)
    gone = len(before) - len(_started(now))
    left = now.get("left")
    if left:
        restarted = len(before) - gone - len(left if isinstance(left, list) else [])
        if restarted == 0:
            return doubt.once_settled(Verdict.NOT_APPLIED, "none of its containers has been started since")
        reason = f"{restarted} of its {len(before)} containers have been started since"
        return doubt.once_settled(Verdict.PARTIAL, reason)
    if gone:
        reason = f"{gone} of its containers have been removed since: nothing tells what happened before"
        return Finding(Verdict.UNKNOWABLE, reason)
    return _as_asked(doubt, "all of its containers have been started since", {})


def _as_asked(doubt: Doubt, reason: str, more: Mapping[str, object]) -> Finding:
    response = {"project": doubt.arguments.get("project"), **more}
    return applied(reason, response, satisfied=True, ours=False)


def _members(record: Mapping[str, object]) -> list[Member]:
    return msgspec.convert(record.get("members") or [], list[Member])


def _started(record: Mapping[str, object]) -> dict[str, str | None]:
    return msgspec.convert(record.get("started") or {}, dict[str, str | None])


def _after_the_grace(arguments: Arguments, pre_image: PreImage) -> float:
    grace = arguments.get("grace_seconds")
    return (grace if isinstance(grace, int) else _DEFAULT_GRACE_SECONDS) + SETTLE_SECONDS


VERIFIERS = {
    "compose_up": Verifier(_pre_image, _verify_up, at_once, _find, resume=resume_up),
    "compose_down": Verifier(_pre_image, _verify_down, at_once, _find, resume=compose_down),
    "compose_restart": Verifier(
        _pre_image, _verify_restart, _after_the_grace, _find_restarted, resume=compose_restart
    ),
}
