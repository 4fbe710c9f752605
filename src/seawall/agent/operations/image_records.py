"""An image as Docker's records tell it."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.runner import Arguments, Target, argument, if_there
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.image_reference import InvalidReference, parse_reference

_CONFLICT = 409
_NONE = "<none>"  # stands in Docker's lists for a repository or a tag that isn't there


def id_of(record: Mapping[str, object]) -> str:
    """The image's id, sha256:..."""
    return str(record.get("Id", ""))


def tags_of(record: Mapping[str, object]) -> list[str]:
    """Its references with a tag, as Docker writes them."""
    return _texts(record.get("RepoTags"))


def digests_of(record: Mapping[str, object]) -> list[str]:
    """Its references by digest, each with its repository."""
    return _texts(record.get("RepoDigests"))


def bytes_of(record: Mapping[str, object]) -> int:
    """Its size with all layers, those as well that it shares."""
    size = record.get("Size")
    return size if isinstance(size, int) else 0


def repository_of(reference: str) -> str:
    """The repository of one of Docker's own references."""
    try:
        return parse_reference(reference).name
    except InvalidReference:
        return reference


def tag_meant(text: str, record: Mapping[str, object]) -> str | None:
    """The one of the image's tags that a text names; None if it names the image by its id or digest."""
    try:
        familiar = parse_reference(text).familiar
    except InvalidReference:
        return None
    return familiar if familiar in tags_of(record) else None


async def look(docker: Docker, image: str, timeout_seconds: float) -> dict[str, object] | None:
    """What inspect says of an image, None if it isn't there. Raises DockerFailure."""
    return await if_there(docker.image_inspect(image, timeout_seconds=timeout_seconds))


async def resolve_image(docker: Docker, arguments: Arguments, timeout_seconds: float) -> Target:
    """The image that `image` means now."""
    name = argument(arguments, "image", str)
    record = await docker.image_inspect(name, timeout_seconds=timeout_seconds)
    return Target(id_of(record), name, record)


def refused(message: str) -> DockerFailure:
    """What this agent doesn't ask of Docker, in the way in which Docker would refuse it."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, f"{message}. Nothing was done", _CONFLICT
    )


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        return []
    return [text for text in value if isinstance(text, str) and _NONE not in text]
