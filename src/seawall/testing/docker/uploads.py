"""What a fake Docker Engine does with archives: files in its containers, images loaded and built."""

from __future__ import annotations

import json
from pathlib import Path

from seawall.agent.docker.archives import BuildOptions
from seawall.agent.docker.images import OnEvent
from seawall.operations.image_reference import parse_reference
from seawall.testing import faults
from seawall.testing.docker.archives import loaded, unpacked
from seawall.testing.docker.images import FakeImage
from seawall.testing.docker.streams import FakeStreams
from seawall.testing.effects import Work
from seawall.testing.registry import digest_of

_BAD_REQUEST = 400


class FakeUploads(FakeStreams):
    """`agent.docker.archives.Archives` in memory. A build knows the steps FROM and RUN; `RUN false` fails."""

    async def container_unpack(
        self, container: str, *, path: str, archive: Path, timeout_seconds: float
    ) -> None:
        """See `Archives.container_unpack`; every path is a directory that is there."""

        async def unpack(work: Work) -> None:
            found = self._find(container)
            for name, content in unpacked(archive).items():
                found.files[f"{path.rstrip('/')}/{name}"] = content
            work.done("unpack", found.container_id)

        await self._change("container_unpack", unpack, timeout_seconds)

    async def image_load(self, archive: Path, *, progress: OnEvent, timeout_seconds: float) -> None:
        """See `Archives.image_load`."""

        async def load(work: Work) -> None:
            try:
                images = loaded(archive)
            except LookupError:
                raise faults.refused(_BAD_REQUEST, "the archive has no manifest.json") from None
            for image_id, tags in images:
                known = image_id in self.images
                image = self.images.setdefault(image_id, FakeImage(image_id))
                for tag in tags:
                    self._tag(image, parse_reference(tag))
                    progress({"stream": f"Loaded image: {tag}\n"})
                work.done("load", image_id, changed=not known)

        await self._change("image_load", load, timeout_seconds)

    async def image_build(
        self, archive: Path, *, options: BuildOptions, progress: OnEvent, timeout_seconds: float
    ) -> None:
        """See `Archives.image_build`."""

        async def build(work: Work) -> None:
            files = unpacked(archive)
            if options.dockerfile not in files:
                raise faults.refused(
                    _BAD_REQUEST, f"Cannot locate specified Dockerfile: {options.dockerfile}"
                )
            steps = [line for line in files[options.dockerfile].decode().splitlines() if line.strip()]
            for number, step in enumerate(steps, 1):
                progress({"stream": f"Step {number}/{len(steps)} : {step}\n"})
                if step.startswith("FROM "):
                    self.find_image(step.split()[1])
                if step == "RUN false":
                    raise faults.server_error("image_build", changes=True)
            labels = dict(options.labels)
            content = sorted((name, digest_of(data.decode("latin-1"))) for name, data in files.items())
            image_id = digest_of(json.dumps([content, sorted(options.args.items()), sorted(labels.items())]))
            image = self.images.setdefault(image_id, FakeImage(image_id, labels=labels))
            for tag in options.tags:
                self._tag(image, parse_reference(tag))
            progress({"aux": {"ID": image_id}})
            work.done("build", image_id)

        await self._change("image_build", build, timeout_seconds)
