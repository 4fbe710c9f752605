"""What became of the creation of a container: its label says whose it is, and a container never starts by itself."""

from __future__ import annotations

from functools import partial

import msgspec

from seawall.agent.docker import Docker
from seawall.agent.operations.container_creation import (
    CREATED,
    REMOVING,
    STARTED,
    find_created,
    finish_create,
    finish_run,
    missing_endpoints,
)
from seawall.agent.operations.runner import Target
from seawall.agent.operations.snapshot import Snapshot, snapshot_of
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    settles_in,
)

_SETTLE_SECONDS = 10.0
"""An Engine may have to make the first copy of an image's layers."""


def _verify(doubt: Doubt, *, starts: bool) -> Finding:
    if doubt.now is None:
        return _gone(doubt, starts=starts)
    now = snapshot_of(doubt.now)
    lacks = [each.network for each in missing_endpoints(doubt.arguments, doubt.now)]
    if lacks:
        return doubt.once_settled(Verdict.PARTIAL, f"it was created, and has not joined {', '.join(lacks)}")
    if not starts:
        return _done(now, "it was created", satisfied=True)
    if now.started_at is not None:
        return _done(now, "it was created and has been started since", satisfied=now.up)
    return doubt.once_settled(Verdict.PARTIAL, "it was created, and has not been started")


def _gone(doubt: Doubt, *, starts: bool) -> Finding:
    step = doubt.step or ""
    gone = Snapshot(step.partition(" ")[2], str(doubt.arguments.get("name") or step.partition(" ")[2]))
    if step.startswith(REMOVING):
        return Finding(Verdict.FAILED, "it could not be finished after it was created, and was removed again")
    if step.startswith(STARTED) or (step.startswith(CREATED) and not starts):
        return _done(gone, "it was done, and the container has been removed since", satisfied=False)
    if step:
        reason = "it was created, and has been removed since: nothing tells whether it was started before"
        return Finding(Verdict.UNKNOWABLE, reason)
    return doubt.once_settled(Verdict.NOT_APPLIED, "there is no container with the label of this command")


def _done(now: Snapshot, reason: str, *, satisfied: bool) -> Finding:
    response = {"container": now.name, "id": now.id, "state": now.state}
    return applied(reason, response, satisfied=satisfied, ours=True)


def _pre_image(record: Record) -> PreImage:
    return msgspec.structs.asdict(snapshot_of(record))


async def _find(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    return await find_created(docker, sought.command_id, sought.step, timeout_seconds)


VERIFIERS = {
    name: Verifier(
        _pre_image,
        partial(_verify, starts=starts),
        settles_in(_SETTLE_SECONDS),
        _find,
        resume=resume,
        journaled=True,
    )
    for name, starts, resume in (
        ("container_create", False, finish_create),
        ("container_run", True, finish_run),
    )
}
