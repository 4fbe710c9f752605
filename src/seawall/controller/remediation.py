"""Remediation, connected: the file with its rules, and what decides by them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from seawall.clock import Clock
from seawall.controller.toml_file import TomlFile
from seawall.engine.alerts import AlertKeeper
from seawall.engine.audit import CONTROLLER, Action, Caller, Detail, Entry
from seawall.engine.ports import Subscriber
from seawall.engine.remediation import Accept, Remediation
from seawall.engine.remediation_settings import (
    REMEDIATION_FILE,
    RemediationSettings,
    read_remediation_settings,
)
from seawall.engine.store import Store


class Rules(Detail, frozen=True, gc=False):
    """Which rules there are, which of them act, and the digest of the file's text."""

    rules: list[str]
    acting: list[str]
    sha256: str


class RemediationFile(TomlFile[RemediationSettings]):
    """Keeps the rules that hold now; without a file there are none. They are recorded before they hold."""

    def __init__(self, path: Path, clock: Clock, remediation: Remediation, store: Store) -> None:
        """See `TomlFile`."""
        self._store = store
        none = RemediationSettings()
        super().__init__(path, clock, read_remediation_settings, none, remediation.hold, "remediation")

    async def record(self) -> None:
        """Record what holds from the start on, if it is anything."""
        if self.text:
            await self._record(Action.REMEDIATION_LOADED, CONTROLLER, self.text, self.current)

    async def will_hold(self, text: str, content: RemediationSettings, caller: Caller) -> None:
        """See `TomlFile.will_hold`."""
        await self._record(Action.REMEDIATION_CHANGED, caller, text, content)

    async def _record(self, action: Action, caller: Caller, text: str, settings: RemediationSettings) -> None:
        detail = Rules(
            [remedy.name for remedy in settings.remedies],
            [remedy.name for remedy in settings.remedies if remedy.acts],
            hashlib.sha256(text.encode()).hexdigest(),
        )
        await self._store.record(Entry(self._clock.wall(), caller, action, self._path.name, detail))


class RemediationDesk:
    """See the module's text. Raises InvalidToml if the file can't be used."""

    def __init__(
        self, store: Store, alerts: AlertKeeper, accept: Accept, clock: Clock, emit: Subscriber, data: Path
    ) -> None:
        self.remediation = Remediation(store, alerts, accept, clock, emit)
        self.file = RemediationFile(data / REMEDIATION_FILE, clock, self.remediation, store)

    async def run(self) -> None:
        """Decide and act, until cancelled. Raises StoreFailed if what an earlier run left can't be read."""
        await self.file.record()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.remediation.run(), name="remediation")
            group.create_task(self.file.watch(), name="remediation file")
