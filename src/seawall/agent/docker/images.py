"""Images, as the agent asks for them and as the real Engine is asked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiodocker

from seawall.agent.docker.engine import a_list, an_object, understood
from seawall.agent.docker.transfers import AioTransfers
from seawall.agent.docker.transfers import OnEvent as OnEvent
from seawall.agent.failure import DockerFailure, Request
from seawall.operations.image_reference import DEFAULT_REGISTRY, ImageReference, parse_reference

_HUB = "https://index.docker.io/v1/"  # how Docker's own registry is called where a password is for it
_AUTHORITY = "X-Registry-Auth"

_SERVER_ERROR = 500


@dataclass(frozen=True)
class RegistryCredentials:
    """Who pulls or pushes. The password shows in no representation."""

    username: str
    password: str = field(repr=False)

    def header(self, registry: str) -> str:
        """What Docker takes as X-Registry-Auth."""
        return base64.urlsafe_b64encode(json.dumps(self.body(registry)).encode()).decode()

    def body(self, registry: str) -> dict[str, str]:
        """What Docker takes to check them."""
        address = _HUB if registry == DEFAULT_REGISTRY else registry
        return {"username": self.username, "password": self.password, "serveraddress": address}


_STRANGER = RegistryCredentials("nobody", "none")


class Images(Protocol):
    """See `Docker`. An `image` is a reference, an id or an unambiguous beginning of one.

    What fails at an image's registry has the circumstance REGISTRY_UNREACHABLE, what that one refuses DOCKER_REFUSED.
    """

    async def image_list(
        self, *, intermediate: bool, filters: Mapping[str, list[str]], timeout_seconds: float
    ) -> list[dict[str, object]]:
        """The images that Docker's `filters` let through; with `intermediate` also those that others are built on."""

    async def image_inspect(self, image: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about an image."""

    async def image_resolve(
        self, reference: str, *, credentials: RegistryCredentials | None, timeout_seconds: float
    ) -> str:
        """The digest that a reference has at its registry now."""

    async def image_pull(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None,
        progress: OnEvent,
        timeout_seconds: float,
    ) -> None:
        """Fetch an image. `timeout_seconds` is how long Docker may say nothing."""

    async def image_push(
        self,
        reference: str,
        *,
        credentials: RegistryCredentials | None,
        progress: OnEvent,
        timeout_seconds: float,
    ) -> None:
        """Send the image of this reference to its registry. `timeout_seconds` as for a pull."""

    async def image_tag(self, image: str, *, reference: str, timeout_seconds: float) -> None:
        """Give an image one more reference; whatever had it loses it."""

    async def image_remove(
        self, image: str, *, force: bool, prune: bool, timeout_seconds: float
    ) -> list[dict[str, object]]:
        """Take a reference from an image, or with an id remove it; with `prune` also its parents that nobody uses.

        What Docker did: objects with `Untagged` or `Deleted`.
        """


class AioImages(AioTransfers):
    """`Images` over the Engine's HTTP API."""

    async def image_list(
        self, *, intermediate: bool, filters: Mapping[str, list[str]], timeout_seconds: float
    ) -> list[dict[str, object]]:
        """See `Images.image_list`."""
        return await self.query(
            self.request("list the images"),
            "images/json",
            a_list,
            params={"all": intermediate, "digests": True, "filters": dict(filters) or None},
            timeout_seconds=timeout_seconds,
        )

    async def image_inspect(self, image: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Images.image_inspect`."""
        return await self.query(
            self.request(f"inspect image {image}", "image", image),
            f"images/{image}/json",
            an_object,
            timeout_seconds=timeout_seconds,
        )

    async def image_resolve(
        self, reference: str, *, credentials: RegistryCredentials | None, timeout_seconds: float
    ) -> str:
        """See `Images.image_resolve`."""
        parsed = parse_reference(reference)
        request = self.request(f"look up {reference} at its registry", registry=parsed.registry)
        try:
            async with asyncio.timeout(timeout_seconds):  # for all calls together
                return await self._look_up(request, parsed, credentials, timeout_seconds)
        except TimeoutError:
            raise request.silent(timeout_seconds) from None

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
        await self.transfer(
            self.request(f"pull {reference}", changes=True, registry=parsed.registry),
            "images/create",
            {"fromImage": parsed.familiar_name, "tag": parsed.digest or parsed.tag},
            _authority(parsed.registry, credentials),
            progress,
            timeout_seconds,
        )

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
        # Docker wants to be told who pushes, even if it is nobody.
        nobody = {_AUTHORITY: base64.urlsafe_b64encode(b"{}").decode()}
        await self.transfer(
            self.request(f"push {reference}", changes=True, registry=parsed.registry),
            f"images/{parsed.familiar_name}/push",
            {"tag": parsed.tag},
            _authority(parsed.registry, credentials) or nobody,
            progress,
            timeout_seconds,
        )

    async def image_tag(self, image: str, *, reference: str, timeout_seconds: float) -> None:
        """See `Images.image_tag`."""
        parsed = parse_reference(reference)
        await self.change(
            self.request(f"tag image {image} as {reference}", "image", image, changes=True),
            "POST",
            f"images/{image}/tag",
            params={"repo": parsed.familiar_name, "tag": parsed.tag},
            timeout_seconds=timeout_seconds,
        )

    async def image_remove(
        self, image: str, *, force: bool, prune: bool, timeout_seconds: float
    ) -> list[dict[str, object]]:
        """See `Images.image_remove`."""
        request = self.request(f"remove image {image}", "image", image, changes=True)
        answer = await self.change(
            request,
            "DELETE",
            f"images/{image}",
            params={"force": force, "noprune": not prune},
            timeout_seconds=timeout_seconds,
        )
        return understood(request, answer, a_list)

    async def _look_up(
        self,
        request: Request,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        timeout_seconds: float,
    ) -> str:
        try:
            return await self._digest(request, reference, credentials, timeout_seconds)
        except DockerFailure as failure:
            if credentials is not None or failure.status != _SERVER_ERROR:
                raise
            # Docker says the same of a registry that has failed and of one that wants to know who asks. One that lets
            # nobody in has a status for a stranger.
            if not await self._lets_anybody_in(request, reference.registry, timeout_seconds):
                await self._digest(request, reference, _STRANGER, timeout_seconds)
            raise

    async def _digest(
        self,
        request: Request,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        timeout_seconds: float,
    ) -> str:
        async def work(client: aiodocker.Docker) -> str:
            path = f"distribution/{reference.familiar}/json"
            answer = await client._query_json(path, headers=_authority(reference.registry, credentials))
            digest = an_object(an_object(answer)["Descriptor"])["digest"]
            if not isinstance(digest, str):
                raise TypeError("the digest is no text")
            return digest

        return await self.call(request, work, timeout_seconds)

    async def _lets_anybody_in(self, request: Request, registry: str, timeout_seconds: float) -> bool:
        """Whether the registry is there for whoever doesn't say who he is."""

        async def work(client: aiodocker.Docker) -> None:
            body = json.dumps(RegistryCredentials("", "").body(registry))
            async with client._query("auth", "POST", data=body) as response:
                await response.read()

        try:
            await self.call(request, work, timeout_seconds)
        except DockerFailure:
            return False
        return True


def _authority(registry: str, credentials: RegistryCredentials | None) -> dict[str, str]:
    return {_AUTHORITY: credentials.header(registry)} if credentials is not None else {}
