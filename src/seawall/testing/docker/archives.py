"""Archives as a fake Docker Engine packs and reads them, in Docker's own layouts."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

_MANIFEST = "manifest.json"


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar archive of these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def unpacked(archive: Path) -> dict[str, bytes]:
    """The files of a tar archive by their names."""
    with tarfile.open(archive) as tar:
        return {
            member.name: opened.read()
            for member in tar.getmembers()
            if (opened := tar.extractfile(member)) is not None
        }


def saved(images: Iterable[tuple[str, list[str]]]) -> bytes:
    """What `docker save` makes of images, each an id with its tags; a layer holds the image's id."""
    entries: list[dict[str, object]] = []
    files: list[tuple[str, bytes]] = []
    for image_id, tags in images:
        name = image_id.removeprefix("sha256:")
        files += [(f"{name}.json", b"{}"), (f"{name}/layer.tar", image_id.encode())]
        entries.append({"Config": f"{name}.json", "RepoTags": tags, "Layers": [f"{name}/layer.tar"]})
    return packed([*files, (_MANIFEST, json.dumps(entries).encode())])


def loaded(archive: Path) -> list[tuple[str, list[str]]]:
    """The images of such an archive, each an id with its tags. Raises KeyError for another archive."""
    entries = json.loads(unpacked(archive)[_MANIFEST])
    return [(f"sha256:{each['Config'].removesuffix('.json')}", each["RepoTags"] or []) for each in entries]
