"""Images on their way between a host and a registry.

What a pull fetches is fixed before it begins: the registry tells the digest that the reference has now, and that digest
is pulled, and tagged. So a pull can be verified, and one that is done again fetches the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.docker.images import RegistryCredentials
from seawall.agent.local_policy import judge_image
from seawall.agent.operations.image_progress import Layers
from seawall.agent.operations.image_records import (
    bytes_of,
    digests_of,
    id_of,
    look,
    refused,
    repository_of,
    tags_of,
)
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Target,
    argument,
    if_there,
    permit,
    section,
    target_of,
)
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
from seawall.core.errors import Circumstance
from seawall.operations.image_reference import ImageReference, parse_reference

SETTLE_SECONDS = 10.0
"""How long a transfer may go on in the Docker Engine after its client is gone."""


async def resolve_pull(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The digest that the reference has now, at its registry or at the mirror, and what the host has of it."""
    wanted, fallback = _wanted(arguments), None
    digest = wanted.digest
    held = await look(docker, wanted.pinned(digest).familiar, timeout_seconds) if digest is not None else None
    if held is None:
        try:
            digest = await docker.image_resolve(
                wanted.full, credentials=credentials_of(arguments), timeout_seconds=timeout_seconds
            )
        except DockerFailure as failure:
            mirrored = _mirrored(wanted, arguments)
            if mirrored is None or failure.circumstance is not Circumstance.REGISTRY_UNREACHABLE:
                raise
            digest = await _from_mirror(docker, mirrored, failure, timeout_seconds)
            fallback = _fallback(mirrored, failure)
        held = await look(docker, wanted.pinned(digest).familiar, timeout_seconds)
    pinned = wanted.pinned(str(digest))
    record = {
        "reference": wanted.familiar,
        "pinned": pinned.familiar,
        "digest": digest,
        "present": held is not None,
        "held": held is not None and (wanted.tag is None or wanted.familiar in tags_of(held)),
        "fallback": fallback,
    }
    return Target(pinned.full, wanted.familiar, record)


async def image_pull(execution: Execution) -> object:
    """See `operations.images.IMAGE_PULL`."""
    target, wanted = target_of(execution), _wanted(execution.arguments)
    # What a mirror gives may be what nobody at the image's own registry has ever seen.
    for each in (wanted, _mirrored(wanted, execution.arguments)):
        permit(judge_image(execution.policy, each.full) if each is not None else None)
    source = parse_reference(argument(target.record, "pinned", str))
    mirrored = _mirrored(source, execution.arguments)
    fallback = section(target.record, "fallback") or None
    credentials = credentials_of(execution.arguments)
    if target.record.get("present") is True:
        return await _name(execution, source, fallback)
    if fallback is not None and mirrored is not None:
        source, credentials = mirrored, None
    try:
        await _pull(execution, source, credentials)
    except DockerFailure as failure:
        unreachable = failure.circumstance is Circumstance.REGISTRY_UNREACHABLE
        if mirrored is None or fallback is not None or not unreachable:
            raise
        fallback, source = _fallback(mirrored, failure), mirrored
        execution.progress(f"{wanted.registry} can't be reached: pulling from {mirrored.registry}")
        try:
            await _pull(execution, source, None)
        except DockerFailure as second:
            raise _both(failure, mirrored, second) from second
    return await _name(execution, source, fallback)


async def _name(
    execution: Execution, source: ImageReference, fallback: Mapping[str, object] | None
) -> object:
    """Give what was pulled its tag, and tell what it is."""
    target, wanted = target_of(execution), _wanted(execution.arguments)
    seconds = execution.timeout_seconds
    if wanted.tag is not None:
        await execution.docker.image_tag(source.familiar, reference=wanted.familiar, timeout_seconds=seconds)
    found = await execution.docker.image_inspect(source.familiar, timeout_seconds=seconds)
    return _response(target.record, found, fallback)


async def _tag_only(execution: Execution) -> object:
    """What a pull lacks whose image has come: the tag."""
    target = target_of(execution)
    wanted, digests = _wanted(execution.arguments), digests_of(target.record)
    await execution.docker.image_tag(
        id_of(target.record), reference=wanted.familiar, timeout_seconds=execution.timeout_seconds
    )
    wish = {"reference": wanted.familiar, "digest": digests[0].partition("@")[2] if digests else None}
    return _response(wish, target.record, _stand_in(execution.arguments, target.record))


async def resolve_push(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The image that the reference means now; and the credentials have to be good, which a push can't tell so well."""
    reference = _wanted(arguments)
    record = await docker.image_inspect(reference.familiar, timeout_seconds=timeout_seconds)
    asked = docker.image_resolve(
        reference.full, credentials=credentials_of(arguments), timeout_seconds=timeout_seconds
    )
    _ = await if_there(asked)  # not there yet? That is why it is pushed
    return Target(id_of(record), reference.familiar, record)


async def image_push(execution: Execution) -> object:
    """See `operations.images.IMAGE_PUSH`."""
    target, reference = target_of(execution), _wanted(execution.arguments)
    permit(judge_image(execution.policy, reference.full))
    now = await look(execution.docker, reference.familiar, execution.timeout_seconds)
    if now is None or id_of(now) != target.object_id:
        raise refused(
            f"{reference.familiar} means another image than when the command began ({target.object_id}): push again "
            "what it means now"
        )
    await execution.docker.image_push(
        reference.full,
        credentials=credentials_of(execution.arguments),
        progress=Layers(f"pushing {reference.familiar}", execution.progress),
        timeout_seconds=execution.timeout_seconds,
    )
    found = await execution.docker.image_inspect(target.object_id, timeout_seconds=execution.timeout_seconds)
    return _pushed(reference, found)


def credentials_of(arguments: Arguments) -> RegistryCredentials | None:
    """Who to be at the registry, if the command says."""
    if arguments.get("username") is None or arguments.get("password") is None:
        return None
    return RegistryCredentials(argument(arguments, "username", str), argument(arguments, "password", str))


def _wanted(arguments: Arguments) -> ImageReference:
    return parse_reference(argument(arguments, "reference", str))


def _mirrored(reference: ImageReference, arguments: Arguments) -> ImageReference | None:
    """The same at the mirror, if there is one. It is never given the credentials: they are the registry's."""
    mirror = arguments.get("mirror")
    return replace(reference, registry=mirror) if isinstance(mirror, str) else None


async def _from_mirror(
    docker: Docker, mirrored: ImageReference, first: DockerFailure, timeout_seconds: float
) -> str:
    try:
        return await docker.image_resolve(mirrored.full, credentials=None, timeout_seconds=timeout_seconds)
    except DockerFailure as second:
        raise _both(first, mirrored, second) from second


def _both(first: DockerFailure, mirrored: ImageReference, second: DockerFailure) -> DockerFailure:
    """The registry's failure stays the verdict; the mirror was a second chance only."""
    return DockerFailure(
        first.code,
        first.circumstance,
        f"{first.message}. The mirror {mirrored.registry} did not help: {second.message}",
        first.status,
    )


def _fallback(mirrored: ImageReference, failure: DockerFailure) -> dict[str, object]:
    """What stood in for what, and why: the failure isn't hidden."""
    return {
        "kind": "mirror",
        "mirror": mirrored.registry,
        "error_code": failure.code.value,
        "circumstance": failure.circumstance.value,
        "error": failure.message,
    }


async def _pull(
    execution: Execution, source: ImageReference, credentials: RegistryCredentials | None
) -> None:
    await execution.docker.image_pull(
        source.full,
        credentials=credentials,
        progress=Layers(f"pulling {target_of(execution).name}", execution.progress),
        timeout_seconds=execution.timeout_seconds,
    )


def _response(
    wish: Mapping[str, object], found: Mapping[str, object], fallback: Mapping[str, object] | None
) -> dict[str, object]:
    response: dict[str, object] = {
        "reference": wish.get("reference"),
        "digest": wish.get("digest"),
        "id": id_of(found),
        "size_bytes": bytes_of(found),
        "held_before": wish.get("held") is True,
    }
    if fallback is not None:
        response["fallback"] = dict(fallback)
    return response


def _pushed(reference: ImageReference, found: Mapping[str, object]) -> dict[str, object]:
    digests = [text for text in digests_of(found) if repository_of(text) == reference.name]
    return {
        "reference": reference.familiar,
        "id": id_of(found),
        "digest": digests[-1].partition("@")[2] if digests else None,
        "size_bytes": bytes_of(found),
    }


# What became of a transfer that is in doubt


def _pull_pre_image(record: Record) -> PreImage:
    return {name: record.get(name) for name in ("reference", "pinned", "digest", "held", "fallback")}


async def _find_pulled(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    pinned = parse_reference(argument(sought.pre_image, "pinned", str))
    mirrored = _mirrored(pinned, sought.arguments)
    for place in (pinned, *([mirrored] if mirrored is not None else [])):
        record = await look(docker, place.familiar, timeout_seconds)
        if record is not None:
            return Target(id_of(record), place.familiar, record)
    return None


def _verify_pull(doubt: Doubt) -> Finding:
    wanted = _wanted(doubt.arguments)
    if doubt.now is None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "the host doesn't have it")
    if wanted.tag is not None and wanted.familiar not in tags_of(doubt.now):
        return Finding(Verdict.PARTIAL, "the host has it, but not under its name")
    held = doubt.pre_image.get("held") is True
    fallback = section(doubt.pre_image, "fallback") or _stand_in(doubt.arguments, doubt.now)
    response = _response(doubt.pre_image, doubt.now, fallback)
    return applied("the host has it", response, satisfied=True, ours=not held)


def _stand_in(arguments: Arguments, found: Record) -> dict[str, object] | None:
    """The mirror, if what is there came from it: why it was asked isn't known any more."""
    repositories = {repository_of(text) for text in digests_of(found)}
    if not repositories or _wanted(arguments).name in repositories or arguments.get("mirror") is None:
        return None
    return {"kind": "mirror", "mirror": arguments["mirror"]}


def _push_pre_image(record: Record) -> PreImage:
    return {"id": id_of(record), "digests": digests_of(record)}


async def find_image(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """The image that was there before, by its id."""
    image_id = argument(sought.pre_image, "id", str)
    record = await look(docker, image_id, timeout_seconds)
    return Target(image_id, image_id, record) if record is not None else None


def _verify_push(doubt: Doubt) -> Finding:
    reference = _wanted(doubt.arguments)
    if doubt.now is None:
        return Finding(Verdict.UNKNOWABLE, "the image has been removed from the host since")
    known = doubt.pre_image.get("digests")
    new = [text for text in digests_of(doubt.now) if not isinstance(known, list) or text not in known]
    if any(repository_of(text) == reference.name for text in new):
        response = _pushed(reference, doubt.now)
        return applied("the registry has given it a digest", response, satisfied=True, ours=True)
    if not doubt.settled:
        return Finding(
            Verdict.UNDECIDED, "the registry has given it no digest, but Docker may still be at it"
        )
    # It may have had that digest before; to send the same once more does no harm.
    return Finding(Verdict.NOT_APPLIED, "nothing shows that it has arrived")


VERIFIERS = {
    "image_pull": Verifier(
        _pull_pre_image, _verify_pull, settles_in(SETTLE_SECONDS), _find_pulled, resume=_tag_only
    ),
    "image_push": Verifier(_push_pre_image, _verify_push, settles_in(SETTLE_SECONDS), find_image),
}
