"""How the operations about images run on a host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from seawall.agent.operations import image_removal, image_transfer
from seawall.agent.operations.image_records import bytes_of, digests_of, id_of, resolve_image, tags_of
from seawall.agent.operations.runner import Execution, Resolver, Runner, argument, limited
from seawall.agent.operations.verification import Verifier
from seawall.operations.images import MOST_PRUNED


async def image_list(execution: Execution) -> object:
    """See `operations.images.IMAGE_LIST`."""
    filters: dict[str, list[str]] = {}
    for name in ("label", "reference"):
        if execution.arguments.get(name):
            filters[name] = argument(execution.arguments, name, list[str])
    if execution.arguments.get("dangling") is not None:
        filters["dangling"] = ["true" if argument(execution.arguments, "dangling", bool) else "false"]
    records = await execution.docker.image_list(
        intermediate=argument(execution.arguments, "all", bool),
        filters=filters,
        timeout_seconds=execution.timeout_seconds,
    )
    return limited(
        [_summary(record) for record in records], "ask for fewer images, with label, reference or dangling"
    )


async def image_inspect(execution: Execution) -> object:
    """See `operations.images.IMAGE_INSPECT`."""
    record = await execution.docker.image_inspect(
        argument(execution.arguments, "image", str), timeout_seconds=execution.timeout_seconds
    )
    return limited(record, "image_list tells the image in less")


async def image_prune_plan(execution: Execution) -> object:
    """See `operations.images.IMAGE_PRUNE_PLAN`."""
    tagged = argument(execution.arguments, "all", bool)
    seconds = execution.timeout_seconds
    # First the images: one that a container is made of in between is then seen to be used.
    images = await execution.docker.image_list(intermediate=False, filters={}, timeout_seconds=seconds)
    containers = await execution.docker.container_list(stopped=True, timeout_seconds=seconds)
    unused = [
        image
        for image in images
        if (tagged or not tags_of(image)) and not any(_made_of(image, container) for container in containers)
    ]
    unused.sort(key=bytes_of, reverse=True)
    planned = [_summary(image) for image in unused[:MOST_PRUNED]]
    return {
        "images": planned,
        "ids": [image["id"] for image in planned],
        "size_bytes": sum(map(bytes_of, unused[:MOST_PRUNED])),
        "more": len(unused) > MOST_PRUNED,
    }


def _made_of(image: Mapping[str, object], container: Mapping[str, object]) -> bool:
    made_of = container.get("ImageID")
    if isinstance(made_of, str) and made_of:
        return made_of == id_of(image)
    return container.get("Image") in (id_of(image), *tags_of(image), *digests_of(image))


def _summary(record: Mapping[str, object]) -> dict[str, object]:
    created = record.get("Created")
    return {
        "id": id_of(record),
        "tags": tags_of(record),
        "digests": digests_of(record),
        "size_bytes": bytes_of(record),
        "created": datetime.fromtimestamp(created, UTC).isoformat() if isinstance(created, int) else None,
        "labels": record.get("Labels") or {},
    }


RUNNERS: dict[str, Runner] = {
    "image_list": image_list,
    "image_inspect": image_inspect,
    "image_pull": image_transfer.image_pull,
    "image_push": image_transfer.image_push,
    "image_tag": image_removal.image_tag,
    "image_remove": image_removal.image_remove,
    "image_prune_plan": image_prune_plan,
    "image_prune": image_removal.image_prune,
}
RESOLVERS: dict[str, Resolver] = {
    "image_pull": image_transfer.resolve_pull,
    "image_push": image_transfer.resolve_push,
    "image_tag": image_removal.resolve_tag,
    "image_remove": resolve_image,
}
VERIFIERS: dict[str, Verifier] = {**image_transfer.VERIFIERS, **image_removal.VERIFIERS}
