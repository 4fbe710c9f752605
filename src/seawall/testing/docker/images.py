"""The images of a fake Docker Engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from seawall.agent.docker.images import OnEvent, RegistryCredentials
from seawall.clock import Clock
from seawall.operations.image_reference import ImageReference, parse_reference
from seawall.testing import faults
from seawall.testing.docker.engine import FakeEngine
from seawall.testing.effects import Work
from seawall.testing.faults import Latency
from seawall.testing.registry import LAYERS, FakeRegistries, digest_of

_BAD_REQUEST, _NOT_FOUND, _CONFLICT = 400, 404, 409
_SHORTEST_ID = 4
_LAYER_BYTES = 4 * 1024 * 1024
_SAMPLES = ("busybox:latest", "nginx:1.27", "postgres:16", "redis:7")


@dataclass
class FakeImage:
    """An image of a `FakeDocker`: its references as Docker shows them, and `digests`, each with its repository."""

    image_id: str
    tags: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    size: int = LAYERS * _LAYER_BYTES
    created: int = 0

    @property
    def repositories(self) -> set[str]:
        """Of all its references."""
        return {parse_reference(reference).name for reference in (*self.tags, *self.digests)}

    def untag(self, tag: str) -> None:
        """It loses a tag, and with the last of a repository what refers to it there by its digest."""
        self.tags.remove(tag)
        left = {parse_reference(other).name for other in self.tags}
        self.digests = [digest for digest in self.digests if parse_reference(digest).name in left]

    def inspected(self) -> dict[str, object]:
        """What inspect says."""
        return {
            "Id": self.image_id,
            "RepoTags": list(self.tags),
            "RepoDigests": list(self.digests),
            "Size": self.size,
            "Os": "linux",
            "Architecture": "amd64",
            "Config": {"Labels": dict(self.labels), "Cmd": ["sh"], "Env": ["PATH=/usr/bin:/bin"]},
        }

    def listed(self) -> dict[str, object]:
        """What a list says."""
        return {
            "Id": self.image_id,
            "RepoTags": list(self.tags) or None,
            "RepoDigests": list(self.digests) or None,
            "Size": self.size,
            "Labels": dict(self.labels),
            "Created": self.created,
        }


class FakeImages(FakeEngine):
    """`agent.docker.images.Images` in memory. `registries` is what it pulls from and pushes to."""

    def __init__(
        self, clock: Clock, *, hostname: str = "simulated", latency: Callable[[str], Latency] | None = None
    ) -> None:
        super().__init__(clock, hostname=hostname, latency=latency)
        self.registries = FakeRegistries()
        self.images: dict[str, FakeImage] = {}
        for reference in _SAMPLES:
            self.add_image(reference)

    # What a test does to it

    def add_image(self, reference: str, *, labels: Mapping[str, str] | None = None) -> FakeImage:
        """Have the image that this reference means at its registry, without an effect in the log."""
        parsed = parse_reference(reference)
        digest = self.registries.digest(parsed)
        image = self._store(parsed, digest)
        image.labels.update(labels or {})
        if parsed.tag is not None:
            self._tag(image, parsed)
        return image

    def find_image(self, image: str) -> FakeImage:
        """The image of this reference, id or beginning of an id. Raises DockerFailure, with status 404."""
        bare = image.removeprefix("sha256:")
        if len(bare) >= _SHORTEST_ID:
            matches = [found for found in self.images.values() if found.image_id[7:].startswith(bare)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise faults.refused(_BAD_REQUEST, f"several images have ids that begin with {image}")
        try:
            reference = parse_reference(image)
        except ValueError:
            reference = None
        if reference is not None:
            wanted = reference.pinned(reference.digest) if reference.digest is not None else reference
            for found in self.images.values():
                if wanted.familiar in (*found.tags, *found.digests):
                    return found
        raise faults.refused(_NOT_FOUND, f"No such image: {image}")

    # agent.docker.Images

    async def image_list(
        self, *, intermediate: bool, filters: Mapping[str, list[str]], timeout_seconds: float
    ) -> list[dict[str, object]]:
        """See `Images.image_list`; of the filters it knows dangling, label and reference (whole ones)."""

        def read() -> list[dict[str, object]]:
            return [image.listed() for image in self.images.values() if _fits(image, filters)]

        return await self._look("image_list", read, timeout_seconds)

    async def image_inspect(self, image: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Images.image_inspect`."""
        return await self._look("image_inspect", lambda: self.find_image(image).inspected(), timeout_seconds)

    async def image_resolve(
        self, reference: str, *, credentials: RegistryCredentials | None, timeout_seconds: float
    ) -> str:
        """See `Images.image_resolve`."""
        parsed = parse_reference(reference)
        return await self._look(
            "image_resolve", lambda: self.registries.find(parsed, credentials), timeout_seconds
        )

    async def image_pull(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None,
        progress: OnEvent,
        timeout_seconds: float,
    ) -> None:
        """See `Images.image_pull`."""
        parsed = parse_reference(reference)

        async def pull(work: Work) -> None:
            digest = self.registries.find(parsed, credentials)
            known = digest_of(digest) in self.images
            progress({"status": f"Pulling from {parsed.repository}", "id": parsed.digest or parsed.tag})
            for number in range(self.registries.layers):
                await self.registries.serve(number)
                for event in _layer_events(f"{digest} {number}", known=known):
                    progress(event)
            image = self._store(parsed, digest)
            if parsed.digest is None:
                self._tag(image, parsed)
            progress({"status": f"Digest: {digest}"})
            work.done("pull", image.image_id, changed=not known)

        await self._change("image_pull", pull, timeout_seconds)

    async def image_push(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None,
        progress: OnEvent,
        timeout_seconds: float,
    ) -> None:
        """See `Images.image_push`."""
        parsed = parse_reference(reference)

        async def push(work: Work) -> None:
            image = self.find_image(parsed.familiar)
            self.registries.admit(parsed.registry, credentials)
            digest = next(
                (known.partition("@")[2] for known in image.digests), digest_of(f"manifest {image.image_id}")
            )
            progress({"status": f"The push refers to repository [{parsed.name}]"})
            for number in range(self.registries.layers):
                layer = digest_of(f"{digest} {number}")[7:19]
                progress({"status": "Preparing", "id": layer, "progressDetail": {}})
                detail = {"current": _LAYER_BYTES, "total": _LAYER_BYTES}
                progress({"status": "Pushing", "id": layer, "progressDetail": detail})
                progress({"status": "Pushed", "id": layer, "progressDetail": {}})
            self.registries.pushed[parsed.full] = digest
            self._add_digest(image, parsed.pinned(digest))
            work.done("push", image.image_id)

        await self._change("image_push", push, timeout_seconds)

    async def image_tag(self, image: str, *, reference: str, timeout_seconds: float) -> None:
        """See `Images.image_tag`."""
        parsed = parse_reference(reference)

        async def tag(work: Work) -> None:
            found = self.find_image(image)
            self._tag(found, parsed)
            work.done("tag", found.image_id)

        await self._change("image_tag", tag, timeout_seconds)

    async def image_remove(
        self, image: str, *, force: bool, prune: bool, timeout_seconds: float
    ) -> list[dict[str, object]]:
        """See `Images.image_remove`."""

        async def remove(work: Work) -> list[dict[str, object]]:
            found = self.find_image(image)
            if not found.image_id.removeprefix("sha256:").startswith(image.removeprefix("sha256:")):
                name = parse_reference(image).familiar
                if len({*found.tags, name}) > 1:
                    found.untag(name)
                    work.done("untag", found.image_id)
                    return [{"Untagged": name}]
            elif len(found.repositories) > 1 and not force:
                raise faults.refused(_CONFLICT, f"image {image} is referenced in multiple repositories")
            running, stopped = self._users_of(found)
            if running or (stopped and not force):
                raise faults.refused(
                    _CONFLICT, f"image {image} is being used by container {(running + stopped)[0]}"
                )
            del self.images[found.image_id]
            work.done("remove", found.image_id)
            gone: list[dict[str, object]] = [{"Untagged": name} for name in (*found.tags, *found.digests)]
            return [*gone, {"Deleted": found.image_id}]

        return await self._change("image_remove", remove, timeout_seconds)

    # What the daemon does

    def _users_of(self, image: FakeImage) -> tuple[list[str], list[str]]:
        """The containers that are made of an image: those that run, and the others."""
        return [], []

    def _store(self, reference: ImageReference, digest: str) -> FakeImage:
        image_id = digest_of(digest)
        created = int(self._clock.wall().timestamp())
        image = self.images.setdefault(image_id, FakeImage(image_id, created=created))
        self._add_digest(image, reference.pinned(digest))
        return image

    def _add_digest(self, image: FakeImage, reference: ImageReference) -> None:
        if reference.familiar not in image.digests:
            image.digests.append(reference.familiar)

    def _tag(self, image: FakeImage, reference: ImageReference) -> None:
        for other in self.images.values():
            if reference.familiar in other.tags:
                other.tags.remove(reference.familiar)
        image.tags.append(reference.familiar)


def _fits(image: FakeImage, filters: Mapping[str, list[str]]) -> bool:
    dangling, labels, references = (filters.get(name, []) for name in ("dangling", "label", "reference"))
    if dangling and (dangling[0] in ("true", "1")) == bool(image.tags):
        return False
    if references and not any(parse_reference(text).familiar in image.tags for text in references):
        return False
    for label in labels:
        key, equals, value = label.partition("=")
        if key not in image.labels or (equals and image.labels[key] != value):
            return False
    return True


def _layer_events(layer: str, *, known: bool) -> list[dict[str, object]]:
    """What Docker tells of one layer, in its order."""
    name = digest_of(layer)[7:19]
    if known:
        return [{"status": "Already exists", "id": name, "progressDetail": {}}]
    half, whole = ({"current": size, "total": _LAYER_BYTES} for size in (_LAYER_BYTES // 2, _LAYER_BYTES))
    return [
        {"status": "Pulling fs layer", "id": name, "progressDetail": {}},
        {"status": "Downloading", "id": name, "progressDetail": half},
        {"status": "Download complete", "id": name, "progressDetail": {}},
        {"status": "Extracting", "id": name, "progressDetail": whole},
        {"status": "Pull complete", "id": name, "progressDetail": {}},
    ]
