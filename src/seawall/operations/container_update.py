"""A container replaced by one of a new image."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.core.command import SafetyClass
from seawall.operations.containers import CONTAINER_START
from seawall.operations.image_reference import LONGEST_REFERENCE, InvalidReference, image_id, parse_reference
from seawall.operations.images import IMAGE_PULL
from seawall.operations.operation import Argument, Lane, Operation


def _is_image(arguments: Mapping[str, object]) -> list[str]:
    """A whole id, or a reference that parses."""
    image = str(arguments["image"])
    if image_id(image) is not None:
        return []
    try:
        _ = parse_reference(image)
    except InvalidReference as problem:
        return [f"argument 'image': {problem}"]
    return []


CONTAINER_UPDATE = Operation(
    "container_update",
    "Replace a container by one of a new image, with everything else as it is; undone if the new one isn't well.",
    SafetyClass.VERIFIABLE,
    (
        *CONTAINER_START.arguments,
        Argument(
            "image",
            str,
            "the new image's reference, such as nginx:1.27, or its whole id (sha256:...)",
            required=True,
            max_length=LONGEST_REFERENCE,
        ),
        Argument(
            "pull",
            str,
            "fetch the image from its registry: always, only if it is missing on the host, or never",
            default="always",
            choices=("always", "missing", "never"),
        ),
        Argument(
            "health_timeout_seconds",
            float,
            "how long the new container may take until it is healthy, before the old one is put back",
            default=120.0,
            minimum=1,
            maximum=3600,
            option="health-timeout",
        ),
        *(argument for argument in IMAGE_PULL.arguments if argument.secret),
    ),
    lane=Lane.BULK,
    timeout_seconds=600.0,
    image="image",
    container="container",
    check=_is_image,
    prints=True,
)

OPERATIONS = (CONTAINER_UPDATE,)
