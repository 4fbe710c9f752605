"""The registries that a fake Docker Engine pulls from: whatever is asked for is there, unless a test says otherwise."""

from __future__ import annotations

import hashlib

from seawall.agent.docker.images import RegistryCredentials
from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.image_reference import ImageReference, parse_reference
from seawall.testing import faults

LAYERS = 3
"""How many each image has, unless a test says otherwise."""

_UNAUTHORIZED, _NOT_FOUND, _SERVER_ERROR = 401, 404, 500


class FakeRegistries:
    """All registries of the world.

    Every reference exists and has a digest that is made of it. `missing` holds references that don't, `locked` the
    credentials that a registry wants, `down` the registries that can't be reached; `pushed` is what was sent to them,
    `layers` how many an image has that is pulled.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.locked: dict[str, RegistryCredentials] = {}
        self.down: set[str] = set()
        self.pushed: dict[str, str] = {}
        self.layers = LAYERS
        self._versions: dict[str, int] = {}

    def publish(self, reference: str) -> str:
        """A tag moves to another image; the new digest."""
        parsed = parse_reference(reference)
        self._versions[parsed.full] = self._versions.get(parsed.full, 0) + 1
        self.pushed.pop(parsed.full, None)
        return self.digest(parsed)

    async def serve(self, layer: int) -> None:
        """Called before each layer of a pull is sent; a registry that is slow doesn't return at once."""

    def digest(self, reference: ImageReference) -> str:
        """What a reference means there."""
        if reference.digest is not None:
            return reference.digest
        full = reference.full
        return self.pushed.get(full) or digest_of(f"{full} {self._versions.get(full, 0)}")

    def admit(self, registry: str, credentials: RegistryCredentials | None) -> None:
        """Raises DockerFailure for a registry that is down, and for credentials that it doesn't take."""
        if registry in self.down:
            raise unreachable(registry)
        wanted = self.locked.get(registry)
        if wanted is not None and wanted != credentials:
            raise faults.refused(_UNAUTHORIZED, "unauthorized: authentication required")

    def find(self, reference: ImageReference, credentials: RegistryCredentials | None) -> str:
        """The digest of a reference that can be pulled. Raises DockerFailure."""
        self.admit(reference.registry, credentials)
        if {reference.full, reference.familiar, reference.name} & self.missing:
            raise faults.refused(_NOT_FOUND, f"manifest for {reference.familiar} not found: manifest unknown")
        return self.digest(reference)


def unreachable(registry: str) -> DockerFailure:
    """What the Engine says of a registry that doesn't answer it."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.REGISTRY_UNREACHABLE,
        f"Docker answered 500: the registry {registry} can't be reached. Nothing was changed",
        _SERVER_ERROR,
    )


def digest_of(text: str) -> str:
    """A digest that stands for what the text tells."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
