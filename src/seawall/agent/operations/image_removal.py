"""Images that get a name, lose one, or go: by id, never by a name that may mean another one by now."""

from __future__ import annotations

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.image_records import (
    digests_of,
    id_of,
    look,
    refused,
    repository_of,
    resolve_image,
    tag_meant,
    tags_of,
)
from seawall.agent.operations.image_transfer import find_image
from seawall.agent.operations.runner import Arguments, Execution, Target, argument, if_there, target_of
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    at_once,
    nothing_before,
)
from seawall.core.errors import Circumstance
from seawall.operations.image_reference import parse_reference


async def image_tag(execution: Execution) -> object:
    """See `operations.images.IMAGE_TAG`."""
    target = target_of(execution)
    reference = parse_reference(argument(execution.arguments, "reference", str)).familiar
    await execution.docker.image_tag(
        target.object_id, reference=reference, timeout_seconds=execution.timeout_seconds
    )
    return {"id": target.object_id, "reference": reference, "taken_from": _taken_from(target.record)}


async def resolve_tag(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The image that is meant, and the one that has the new reference so far."""
    target = await resolve_image(docker, arguments, timeout_seconds)
    record = {**target.record, "Holder": await _holder(docker, arguments, timeout_seconds)}
    return Target(target.object_id, target.name, record)


async def image_remove(execution: Execution) -> object:
    """See `operations.images.IMAGE_REMOVE`."""
    target = target_of(execution)
    record = await look(execution.docker, target.object_id, execution.timeout_seconds)
    if record is None:  # it was there a moment ago: whoever removed it, it is gone
        return _removed(target, [], [])
    tag = untagged_only(execution.arguments, target.record)
    if tag is not None:
        return await _untag(execution, target, tag)
    force = argument(execution.arguments, "force", bool)
    tags, gone = tags_of(record), []
    if len(tags) > 1 and not force:
        raise refused(
            f"image {target.name} has the references {', '.join(tags)}: remove one of them by its name, or all with "
            "force"
        )
    if not force:
        # Docker removes no image by its id that several repositories refer to.
        own = repository_of(tags[0]) if tags else None
        for digest in digests_of(record)[0 if tags else 1 :]:
            if repository_of(digest) != own:
                gone += await _remove(execution, digest, force=False)
    gone += await _remove(execution, target.object_id, force=force)
    return _removed(target, gone, [])


async def image_prune(execution: Execution) -> object:
    """See `operations.images.IMAGE_PRUNE`."""
    removed: list[str] = []
    kept: list[dict[str, object]] = []
    images = argument(execution.arguments, "images", list[str])
    for number, image in enumerate(images, 1):
        try:
            await _remove(execution, image, force=False, prune=False)
        except DockerFailure as failure:
            if failure.circumstance is not Circumstance.DOCKER_REFUSED:
                raise
            kept.append({"id": image, "reason": failure.message})
        else:
            removed.append(image)
        execution.progress(
            f"removing images: {number} of {len(images)}", {"done": number, "total": len(images)}
        )
    return {"removed": removed, "kept": kept}


def untagged_only(arguments: Arguments, record: Record) -> str | None:
    """The tag that a removal takes away, if the image stays because it has others."""
    tag = tag_meant(argument(arguments, "image", str), record)
    others = len(tags_of(record)) > 1
    return tag if others and not argument(arguments, "force", bool) else None


async def _untag(execution: Execution, target: Target, tag: str) -> object:
    now = await look(execution.docker, tag, execution.timeout_seconds)
    gone: list[dict[str, object]] = []
    if now is not None and id_of(now) == target.object_id:
        if tags_of(now) == [tag]:
            raise refused(
                f"{tag} has become the only reference of image {target.object_id}: remove it again if the image "
                "itself shall go"
            )
        gone = await _remove(execution, tag, force=False)
    left = await look(execution.docker, target.object_id, execution.timeout_seconds)
    return _removed(target, gone, tags_of(left) if left is not None else [])


async def _remove(
    execution: Execution, image: str, *, force: bool, prune: bool = True
) -> list[dict[str, object]]:
    gone = await if_there(
        execution.docker.image_remove(
            image, force=force, prune=prune, timeout_seconds=execution.timeout_seconds
        )
    )
    return gone or []


def _removed(target: Target, gone: list[dict[str, object]], left: list[str]) -> dict[str, object]:
    return {
        "image": target.name,
        "id": target.object_id,
        "untagged": [step["Untagged"] for step in gone if "Untagged" in step],
        "deleted": [step["Deleted"] for step in gone if "Deleted" in step],
        "removed": not left,
        "remaining": left,
    }


async def _holder(docker: Docker, arguments: Arguments, timeout_seconds: float) -> str | None:
    reference = parse_reference(argument(arguments, "reference", str))
    record = await look(docker, reference.familiar, timeout_seconds)
    return id_of(record) if record is not None else None


def _taken_from(record: Record) -> object:
    holder = record.get("Holder")
    return holder if holder != id_of(record) else None


# What became of a change that is in doubt


def _pre_image(record: Record) -> PreImage:
    return {
        "id": id_of(record),
        "tags": tags_of(record),
        "digests": digests_of(record),
        "holder": record.get("Holder"),
    }


async def _find_tagged(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    target = await find_image(docker, sought, timeout_seconds)
    if target is None:
        return None
    holder = await _holder(docker, sought.arguments, timeout_seconds)
    return Target(target.object_id, target.name, {**target.record, "Holder": holder})


def _verify_tag(doubt: Doubt) -> Finding:
    before, now = doubt.pre_image, doubt.now
    if now is None:
        return Finding(Verdict.UNKNOWABLE, "the image has been removed since")
    holder = now.get("Holder")
    if holder == before.get("id"):
        mine = before.get("holder") != holder
        response = {
            "id": holder,
            "reference": parse_reference(argument(doubt.arguments, "reference", str)).familiar,
            "taken_from": before.get("holder") if mine else None,
            "state_satisfied": True,
            "attributed": "seawall" if mine else "unknown",
        }
        return Finding(Verdict.APPLIED, "the image has that reference", response)
    if holder != before.get("holder"):
        return Finding(Verdict.UNKNOWABLE, "another image has got that reference since")
    return doubt.once_settled(Verdict.NOT_APPLIED, "the image doesn't have that reference")


def _verify_remove(doubt: Doubt) -> Finding:
    before, now = doubt.pre_image, doubt.now
    response: dict[str, object] = {
        "image": argument(doubt.arguments, "image", str),
        "id": before.get("id"),
        "state_satisfied": True,
        "attributed": "unknown",
    }
    if now is None:
        return Finding(Verdict.APPLIED, "it is gone", {**response, "removed": True, "remaining": []})
    tags, digests = argument(before, "tags", list[str]), argument(before, "digests", list[str])
    tag = untagged_only(doubt.arguments, {"RepoTags": tags})
    if tag is not None and tag not in tags_of(now):
        left: dict[str, object] = {"removed": False, "remaining": tags_of(now)}
        return Finding(Verdict.APPLIED, "it has lost that reference", {**response, **left})
    if tag is None and not {*tags, *digests} <= {*tags_of(now), *digests_of(now)}:
        return doubt.once_settled(Verdict.PARTIAL, "it has lost references, and is still there")
    return doubt.once_settled(Verdict.NOT_APPLIED, "it is still there")


async def _find_pruned(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """Those of the images that are still there; a target of its own kind."""
    wanted = argument(sought.arguments, "images", list[str])
    records = await docker.image_list(intermediate=True, filters={}, timeout_seconds=timeout_seconds)
    present = {id_of(record) for record in records}
    return Target("", "images", {"present": [image for image in wanted if image in present]})


def _verify_prune(doubt: Doubt) -> Finding:
    images = argument(doubt.arguments, "images", list[str])
    present = argument(doubt.now or {"present": []}, "present", list[str])
    if not present:
        response = {
            "removed": images,
            "kept": [],
            "state_satisfied": True,
            "attributed": "unknown",
        }
        return Finding(Verdict.APPLIED, "all of them are gone", response)
    return doubt.once_settled(Verdict.PARTIAL, f"{len(present)} of {len(images)} are still there")


VERIFIERS = {
    "image_tag": Verifier(_pre_image, _verify_tag, at_once, _find_tagged),
    "image_remove": Verifier(
        _pre_image, _verify_remove, at_once, find_image, resume=image_remove, in_time=True
    ),
    "image_prune": Verifier(
        nothing_before, _verify_prune, at_once, _find_pruned, resume=image_prune, in_time=True
    ),
}
