"""A container replaced by one of a new image, as a saga: at its end one of the two serves under the name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy import judge_image
from seawall.agent.local_policy_spec import judge_spec
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.health import health_of
from seawall.agent.operations.image_progress import Layers
from seawall.agent.operations.image_records import look
from seawall.agent.operations.image_transfer import credentials_of
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Resolver,
    Runner,
    Target,
    argument,
    if_there,
    permit,
    section,
    target_of,
)
from seawall.agent.operations.snapshot import snapshot_of
from seawall.agent.operations.swap import CREATE, Swap, call_seconds, policy_of, replacements
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    at_once,
)
from seawall.agent.own_container import own_traces
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.image_reference import image_id, parse_reference

_PULL = "pull"
_FIRST_STEP = {"steps": [{"step": _PULL, "state": "running"}]}
_SWARM_LABEL = "com.docker.swarm.service.id"


async def container_update(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_UPDATE`."""
    target, reference = target_of(execution), argument(execution.arguments, "image", str)
    permit(judge_image(execution.policy, reference))
    await _record(execution, _PULL)
    await _fetch(execution)
    image = await execution.docker.image_inspect(reference, timeout_seconds=call_seconds(execution))
    same = section(target.record, "Config").get("Image") == reference
    if same and target.record.get("Image") == image.get("Id"):
        return {
            **_response(target.record, target.name, image, reference, None),
            "warnings": ["it runs this very image already: nothing was changed"],
        }
    permit(judge_spec(execution.policy, (await Swap(execution).replacement(target.record)).spec))
    return await _swapped(execution)


async def resume_update(execution: Execution) -> object:
    """Go on with one that was interrupted after its first step."""
    return await _swapped(execution)


async def resolve_update(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The container that is to be replaced. Raises DockerFailure for one that must not be."""
    target = await resolve(docker, argument(arguments, "container", str), timeout_seconds)
    seen = snapshot_of(target.record)
    reason: str | None = None
    if own_traces().fit(target.record):
        reason = "this agent runs in it, and would end in the middle. Update it from outside"
    elif seen.removes_itself:
        reason = "it removes itself when it stops (--rm), so there would be no way back"
    elif seen.paused:
        reason = f"it is paused. Let it go on first: seawall container unpause {target.name}"
    elif section(section(target.record, "Config"), "Labels").get(_SWARM_LABEL):
        reason = "it belongs to a service of a swarm, which would replace it again. Update the service"
    if reason is not None:
        raise DockerFailure(
            CommandErrorCode.INVALID_ARGUMENT,
            Circumstance.NONE,
            f"container {target.name} can't be updated: {reason}. Nothing was done",
        )
    return target


async def _swapped(execution: Execution) -> object:
    done = await Swap(execution).run()
    reference = argument(execution.arguments, "image", str)
    response = _response(done.record, snapshot_of(done.record).name, done.image, reference, done.replaced)
    return {**response, "warnings": done.warnings}


async def _record(execution: Execution, step: str) -> None:
    if execution.journal is not None:
        await execution.journal.record(step)


async def _fetch(execution: Execution) -> None:
    """Have the image here, as the arguments say: by the digest that its name has at the registry now."""
    docker, wish = execution.docker, argument(execution.arguments, "pull", str)
    reference = argument(execution.arguments, "image", str)
    if wish == "never" or image_id(reference) is not None:
        return
    seconds = call_seconds(execution)
    if wish == "missing" and await look(docker, reference, seconds) is not None:
        return
    wanted, credentials = parse_reference(reference), credentials_of(execution.arguments)
    digest = wanted.digest
    if digest is None:
        execution.progress(f"looking up {reference}", _FIRST_STEP)
        digest = await docker.image_resolve(wanted.full, credentials=credentials, timeout_seconds=seconds)
    pinned = wanted.pinned(digest)
    await docker.image_pull(
        pinned.full,
        credentials=credentials,
        progress=Layers(f"pulling {reference}", partial(_tell, execution)),
        timeout_seconds=execution.timeout_seconds,
    )
    if wanted.tag is not None:
        await docker.image_tag(pinned.familiar, reference=wanted.familiar, timeout_seconds=seconds)


def _tell(execution: Execution, text: str, detail: Mapping[str, object] | None = None) -> None:
    execution.progress(text, {**_FIRST_STEP, **(detail or {})})


def _pre_image(record: Record) -> PreImage:
    return {**msgspec.structs.asdict(snapshot_of(record)), "restart_policy": policy_of(record)}


def _verify(doubt: Doubt) -> Finding:
    step = doubt.step
    if step is None or step == _PULL:
        return Finding(Verdict.NOT_APPLIED, "the new container had not been begun, and the old one serves")
    if doubt.now is None:
        return Finding(
            Verdict.UNKNOWABLE,
            "neither the container nor its replacement is there: somebody has removed them",
        )
    if step == CREATE and not doubt.settled:
        return Finding(Verdict.UNDECIDED, "Docker may still be creating the new container")
    return Finding(Verdict.PARTIAL, f"it was interrupted at its step {step!r}")


async def _either(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """The old container, or else the new one."""
    old_id = argument(sought.pre_image, "id", str)
    made = [old_id, *await replacements(docker, sought.command_id, old_id, timeout_seconds=timeout_seconds)]
    for container_id in made:
        target = await if_there(resolve(docker, container_id, timeout_seconds))
        if target is not None:
            return target
    return None


def _response(
    record: Record, name: str, image: Mapping[str, object], reference: str, replaced: str | None
) -> dict[str, object]:
    seen = snapshot_of(record)
    return {
        "container": name,
        "id": seen.id,
        "image": reference,
        "digest": _digest(image, reference),
        "replaced": replaced,
        "rolled_back": False,
        "health": health_of(record) or "none",
        "state": seen.state,
        "warnings": [],
    }


def _digest(image: Mapping[str, object], reference: str) -> str | None:
    """The digest that the image has at its registry, None if it never came from one."""
    digests = image.get("RepoDigests")
    known = [text for text in digests if isinstance(text, str)] if isinstance(digests, list) else []
    repository = parse_reference(reference).familiar_name if image_id(reference) is None else ""
    ours = [text for text in known if text.partition("@")[0] == repository]
    return next((text.partition("@")[2] for text in ours or known), None)


RUNNERS: dict[str, Runner] = {"container_update": container_update}
RESOLVERS: dict[str, Resolver] = {"container_update": resolve_update}
VERIFIERS = {
    "container_update": Verifier(_pre_image, _verify, at_once, _either, resume=resume_update, journaled=True)
}
