"""All operations by name."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.operations import (
    commands,
    compose,
    container_update,
    containers,
    image_build,
    images,
    networks,
    system,
    uploads,
    volumes,
)
from seawall.operations.operation import Operation


def by_name(operations: Iterable[Operation]) -> dict[str, Operation]:
    """The operations by their names; raises ValueError for a name declared twice or an argument that isn't there."""
    registry: dict[str, Operation] = {}
    for operation in operations:
        if operation.name in registry:
            raise ValueError(f"operation {operation.name} is declared twice")
        names = {argument.name for argument in operation.arguments}
        for named in (operation.container, operation.project):
            if named is not None and named not in names:
                raise ValueError(f"operation {operation.name} has no argument {named!r}")
        if operation.upload is not None and not names.issuperset(uploads.ARCHIVE_NAMES):
            raise ValueError(f"operation {operation.name} takes an upload, and has no arguments that name it")
        registry[operation.name] = operation
    return registry


OPERATIONS = by_name(
    (
        *system.OPERATIONS,
        *containers.OPERATIONS,
        *container_update.OPERATIONS,
        *images.OPERATIONS,
        *image_build.OPERATIONS,
        *networks.OPERATIONS,
        *volumes.OPERATIONS,
        *compose.OPERATIONS,
        *commands.OPERATIONS,
        *uploads.OPERATIONS,
    )
)
