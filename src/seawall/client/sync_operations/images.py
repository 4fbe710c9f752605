"""Look at images, pull, tag and remove them, on one host or on many.

Made from `operations/images.py` by `make generate`: change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.parcels import Source
from seawall.client.results import Results
from seawall.client.sync_operations.group import Group
from seawall.client.sync_streams import SyncStream


class SyncImages(Group):
    """Look at images, pull, tag and remove them, on one host or on many."""

    def list(
        self,
        *,
        on: On = None,
        all: bool = False,
        dangling: bool | None = None,
        label: Sequence[str] | None = None,
        reference: Sequence[str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """List the host's images.

        - `all`: those as well that are only steps of others
        - `dangling`: only those without a tag; false: only those with one
        - `label`: only images with these labels, each as name or name=value
        - `reference`: only images with one of these references; * and ? stand for what may vary
        """
        return self._perform(
            "image_list",
            on,
            {"all": all, "dangling": dangling, "label": label, "reference": reference},
            delivery,
        )

    def inspect(self, image: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Everything that Docker knows about an image.

        - `image`: the image's reference, such as nginx:1.27, or its id
        """
        return self._perform("image_inspect", on, {"image": image}, delivery)

    def pull(
        self,
        reference: str,
        *,
        on: On = None,
        username: str | None = None,
        password: str | None = None,
        mirror: str | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Fetch an image from its registry: exactly the one that its reference means when the command begins.

        - `reference`: the image's reference, such as registry.example.com/team/app:1.2, with a tag or a
          digest
        - `username`: who to be at the registry, if it wants to know
        - `password`: the password or token for the registry; it is kept sealed until the command is over, and
          never shown
        - `mirror`: a registry such as mirror.example.com:5000 that is asked where the image's own can't be
          reached
        """
        return self._perform(
            "image_pull",
            on,
            {"reference": reference, "username": username, "password": password, "mirror": mirror},
            delivery,
        )

    def push(
        self,
        reference: str,
        *,
        on: On = None,
        username: str | None = None,
        password: str | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Send an image to its registry.

        - `reference`: the image's reference, such as registry.example.com/team/app:1.2, with a tag or a
          digest
        - `username`: who to be at the registry, if it wants to know
        - `password`: the password or token for the registry; it is kept sealed until the command is over, and
          never shown
        """
        return self._perform(
            "image_push", on, {"reference": reference, "username": username, "password": password}, delivery
        )

    def tag(self, image: str, reference: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Give an image one more reference; whatever had that reference loses it.

        - `image`: the image's reference, such as nginx:1.27, or its id
        - `reference`: the new reference, such as registry.example.com/team/app:1.2
        """
        return self._perform("image_tag", on, {"image": image, "reference": reference}, delivery)

    def remove(
        self, image: str, *, on: On = None, force: bool = False, **delivery: Unpack[Delivery]
    ) -> Results:
        """Take a reference away, and the image with it if that was the last one.

        - `image`: the image's reference, such as nginx:1.27, or its id
        - `force`: the image with all its references, even if containers that don't run are made of it
        """
        return self._perform("image_remove", on, {"image": image, "force": force}, delivery)

    def prune_plan(self, *, on: On = None, all: bool = False, **delivery: Unpack[Delivery]) -> Results:
        """List the images that no container is made of, and how much room they take: what image_prune may be
        given.

        - `all`: images with a tag as well, not only those without one
        """
        return self._perform("image_prune_plan", on, {"all": all}, delivery)

    def prune(self, images: Sequence[str], *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Remove exactly these images; one that a container is made of by now is kept.

        - `images`: whole ids, as image_prune_plan lists them
        """
        return self._perform("image_prune", on, {"images": images}, delivery)

    def load(self, source: Source, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Take the images of an archive that image_save or docker save has made, with their tags.

        - `source`: the archive's file
        """
        return self._send("image_load", source, on, {}, delivery)

    def build(
        self,
        source: Source,
        *,
        on: On = None,
        tags: Sequence[str] | None = None,
        dockerfile: str = "Dockerfile",
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        labels: Mapping[str, str] | None = None,
        no_cache: bool = False,
        pull: bool = False,
        network: str = "default",
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Build an image of a context that was sent to the host, with Docker's classic builder.

        - `tags`: what it is named, such as team/app:1.2
        - `dockerfile`: the file with the steps, named from the context on
        - `build_args`: values for what its steps declare with ARG; kept sealed, but what uses them may write
          them into the image
        - `target`: the stage to build, if not the last one
        - `labels`: its labels: names of letters, digits, '.', '_', '/' and '-', not beginning with 'seawall.'
        - `no_cache`: do every step anew
        - `pull`: ask the registry for newer images to build on
        - `network`: what its steps see of the network: Docker's default, or none
        - `source`: the directory of the context; what its .dockerignore names is left out
        """
        return self._send(
            "image_build",
            source,
            on,
            {
                "tags": tags,
                "dockerfile": dockerfile,
                "build_args": build_args,
                "target": target,
                "labels": labels,
                "no_cache": no_cache,
                "pull": pull,
                "network": network,
            },
            delivery,
        )

    def stream_save(self, images: Sequence[str], *, on: str) -> SyncStream:
        """Images with their tags as one tar archive, which image_load takes, as a stream of the one host `on`:
        see `SyncStream`.

        - `images`: the images' references, such as nginx:1.27, or their ids; the archive keeps what names
          them here
        """
        return self._stream("image_save", on, {"images": images})
