"""Compose on a fake host: there is no such program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seawall.agent.docker.compose import Down, Up
from seawall.agent.docker.compose_program import Watch
from seawall.agent.docker.compose_projects import Kept
from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.docker.engine import FakeEngine


class FakeCompose(FakeEngine):
    """`agent.docker.compose.Compose` of a host that has none."""

    compose_absent: str | None = "a simulated host has no Compose program"

    async def compose_config(
        self, project: str, *, files: Mapping[str, str], use: Sequence[str], timeout_seconds: float
    ) -> str:
        """See `Compose.compose_config`."""
        raise self._no_compose()

    async def compose_hashes(
        self, project: str, *, model: Mapping[str, object], timeout_seconds: float
    ) -> dict[str, str]:
        """See `Compose.compose_hashes`."""
        raise self._no_compose()

    async def compose_kept(self, project: str) -> Kept:
        """See `Compose.compose_kept`."""
        return Kept(None, busy=False)

    async def compose_up(
        self, project: str, *, model: Mapping[str, object] | None, how: Up, watch: Watch
    ) -> str:
        """See `Compose.compose_up`."""
        raise self._no_compose()

    async def compose_down(self, project: str, *, how: Down, watch: Watch) -> str:
        """See `Compose.compose_down`."""
        raise self._no_compose()

    def _no_compose(self) -> DockerFailure:
        text = f"{self.compose_absent}: nothing was done"
        return DockerFailure(CommandErrorCode.UNSUPPORTED_OPERATION, Circumstance.NONE, text)
