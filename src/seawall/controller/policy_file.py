"""The policies: a file in the data directory that is taken over when it changes, and written through the API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from seawall.clock import Clock
from seawall.controller.toml_file import TomlFile
from seawall.engine.audit import CONTROLLER, Action, Caller, Detail, Entry
from seawall.engine.policies import Policies, read_policies
from seawall.engine.store import AuditStore

POLICY_FILE = "policy.toml"


class PolicyText(Detail, frozen=True, gc=False):
    """Which policies they are."""

    preset: str
    sha256: str


class PolicyFile(TomlFile[Policies]):
    """Keeps the policies that hold now; without a file, those of the default preset. Changes are recorded in `log`."""

    def __init__(
        self, path: Path, clock: Clock, apply: Callable[[Policies], object], log: AuditStore | None = None
    ) -> None:
        """See `TomlFile`."""
        self._log = log
        super().__init__(path, clock, read_policies, Policies(), apply, "policy")

    async def record(self) -> None:
        """Record what holds from the start on."""
        await self._record(Action.POLICY_LOADED, CONTROLLER, self.text, self.current)

    async def will_hold(self, text: str, content: Policies, caller: Caller) -> None:
        """See `TomlFile.will_hold`."""
        await self._record(Action.POLICY_CHANGED, caller, text, content)

    async def was_not_written(self, text: str, content: Policies, caller: Caller) -> None:
        """See `TomlFile.was_not_written`."""
        await self._record(Action.POLICY_NOT_CHANGED, caller, text, content)

    async def _record(self, action: Action, caller: Caller, text: str, policies: Policies) -> None:
        if self._log is not None:
            detail = PolicyText(policies.preset, hashlib.sha256(text.encode()).hexdigest())
            await self._log.record(Entry(self._clock.wall(), caller, action, self._path.name, detail))
