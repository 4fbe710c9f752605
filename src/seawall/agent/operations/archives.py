"""What is done with uploaded archives: files into containers, images onto the host."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.container_verifiers import container_by_id
from seawall.agent.operations.containers import resolve_container
from seawall.agent.operations.image_progress import Layers
from seawall.agent.operations.image_records import id_of, look, tags_of
from seawall.agent.operations.runner import Execution, Resolver, Runner, Target, argument, target_of
from seawall.agent.operations.uploads import archive_of
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    nothing_before,
    settles_in,
)
from seawall.agent.spool import refused
from seawall.archives import MANIFESTS, ArchiveRefused, images_of
from seawall.core.errors import Circumstance, CommandErrorCode

SETTLE_SECONDS = 10.0
"""How long Docker may go on unpacking what it has after whoever sent it is gone."""

_MOST_LINES, _LONGEST_LINE = 64, 512


class Expected(Struct, frozen=True):
    """An image that an archive promises; `held` if the host has it already."""

    image_id: str
    tags: list[str]
    held: bool


_expected = msgspec.json.Decoder(list[Expected])


# Files into a container


async def container_copy_in(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_COPY_IN`."""
    target, path = target_of(execution), argument(execution.arguments, "path", str)
    archive, _ = await archive_of(execution)
    try:
        await execution.docker.container_unpack(
            target.object_id, path=path, archive=archive, timeout_seconds=execution.timeout_seconds
        )
    except DockerFailure as failure:
        if failure.circumstance is not Circumstance.DOCKER_ERRED:
            raise
        # It is through with it, and leaves what it had unpacked before it met the error.
        text = f"{failure.message}. Some of the files may be there"
        raise DockerFailure(failure.code, Circumstance.DOCKER_REFUSED, text, failure.status) from failure
    return _copied(execution.arguments, target.record, target.name)


async def _copy_again(execution: Execution) -> object:
    """What a copy lacks that broke off: all of it, which does no harm to what is there."""
    try:
        return await container_copy_in(execution)
    except DockerFailure as failure:
        if failure.code is not CommandErrorCode.UPLOAD_MISSING:
            raise
        # It was here when the copy began, and now nothing can finish that.
        text = f"some of the files may be there, and the archive was taken away: {failure.message}"
        raise DockerFailure(CommandErrorCode.OUTCOME_UNKNOWN, Circumstance.NONE, text) from failure


def _copied(arguments: Mapping[str, object], record: Record, name: str) -> dict[str, object]:
    return {
        "container": name.removeprefix("/"),
        "id": record.get("Id"),
        "path": argument(arguments, "path", str),
        "archive_bytes": argument(arguments, "size", int),
    }


def _verify_copy(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return Finding(Verdict.UNKNOWABLE, "the container has been removed since")
    return doubt.once_settled(Verdict.PARTIAL, "nothing shows that all of the files are there")


# Images out of an archive


async def image_load(execution: Execution) -> object:
    """See `operations.images.IMAGE_LOAD`."""
    archive, captured = await archive_of(execution, MANIFESTS)
    try:
        promised = images_of(captured)
    except ArchiveRefused as error:
        text = f"the archive is refused, and nothing was done: {error}"
        raise refused(CommandErrorCode.INVALID_ARGUMENT, text) from error
    docker, seconds = execution.docker, execution.timeout_seconds
    expected = [
        Expected(each.image_id, list(each.tags), await look(docker, each.image_id, seconds) is not None)
        for each in promised
    ]
    if execution.journal is not None:
        await execution.journal.record(msgspec.json.encode(expected).decode())
    progress = _Load(Layers("loading images", execution.progress))
    await docker.image_load(archive, progress=progress, timeout_seconds=seconds)
    images = [await _found(docker, each, seconds) for each in expected]
    return {"images": [image for image in images if image is not None], "output": progress.lines}


class _Load:
    """Docker's events of a load: layers as they come, and what it says at the end."""

    def __init__(self, layers: Layers) -> None:
        self.lines: list[str] = []
        self._layers = layers

    def __call__(self, event: Mapping[str, object]) -> None:
        text = event.get("stream")
        if isinstance(text, str) and len(self.lines) < _MOST_LINES:
            self.lines += [line[:_LONGEST_LINE] for line in text.splitlines() if line.strip()]
        self._layers(event)


async def _found(docker: Docker, image: Expected, seconds: float) -> dict[str, object] | None:
    # Where images are kept by another kind of id, they are found by their tags.
    for name in (image.image_id, *image.tags[:1]):
        record = await look(docker, name, seconds)
        if record is not None:
            return {"id": id_of(record), "tags": tags_of(record), "held_before": image.held}
    return None


async def _find_loaded(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """Those of the promised images that are there, each with its tags; a target of its own kind."""
    present: dict[str, list[str]] = {}
    for image in _expected.decode(sought.step or "[]"):
        record = await look(docker, image.image_id, timeout_seconds)
        if record is not None:
            present[image.image_id] = tags_of(record)
    return Target("", "images", {"present": present})


def _verify_load(doubt: Doubt) -> Finding:
    if doubt.step is None:
        return Finding(Verdict.NOT_APPLIED, "Docker was not given the archive yet")
    expected = _expected.decode(doubt.step)
    present = argument(doubt.now or {"present": {}}, "present", dict[str, list[str]])
    if not expected:
        return doubt.once_settled(Verdict.PARTIAL, "the archive doesn't tell which images it has")
    if not present:
        return doubt.once_settled(Verdict.NOT_APPLIED, "the host has none of the images")
    whole = [each for each in expected if {*each.tags} <= {*present.get(each.image_id, [])}]
    if len([each for each in whole if each.image_id in present]) < len(expected):
        return doubt.once_settled(Verdict.PARTIAL, "the host has not all of the images with their tags")
    images = [
        {"id": each.image_id, "tags": present[each.image_id], "held_before": each.held} for each in expected
    ]
    ours = not all(each.held for each in expected)
    return applied("the host has them", {"images": images, "output": []}, satisfied=True, ours=ours)


def _copy_pre_image(record: Record) -> PreImage:
    return {"id": record.get("Id")}


RUNNERS: dict[str, Runner] = {"container_copy_in": container_copy_in, "image_load": image_load}
RESOLVERS: dict[str, Resolver] = {"container_copy_in": resolve_container}
VERIFIERS = {
    "container_copy_in": Verifier(
        _copy_pre_image, _verify_copy, settles_in(SETTLE_SECONDS), container_by_id, resume=_copy_again
    ),
    "image_load": Verifier(
        nothing_before,
        _verify_load,
        settles_in(SETTLE_SECONDS),
        _find_loaded,
        resume=image_load,
        journaled=True,
    ),
}
