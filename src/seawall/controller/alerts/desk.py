"""Everything about alerts, connected: what watches and decides, what keeps the settings, and what sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from seawall.clock import Clock
from seawall.controller.alerts.channels import Channels
from seawall.controller.alerts.sender import AlertSender
from seawall.controller.toml_file import TomlFile
from seawall.core.alert_rules import AlertKind
from seawall.core.events import AlertSaid, Event
from seawall.engine.alert_settings import ALERT_FILE, AlertSettings, read_alert_settings
from seawall.engine.alerts import AlertKeeper
from seawall.engine.fleet import Fleet
from seawall.engine.ports import Subscriber
from seawall.engine.secrets import Vault
from seawall.engine.store import Store


class AlertDesk:
    """See the module's text. Raises InvalidToml if the alert file can't be used."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        clock: Clock,
        emit: Subscriber,
        vault: Vault,
        data: Path,
        certificates: Mapping[str, datetime],
    ) -> None:
        self.channels = Channels(store, vault, clock, data, lambda: self.file.current.allow)
        self.keeper = AlertKeeper(store, fleet, clock, emit, certificates, self.channels.names)
        self.file: TomlFile[AlertSettings] = TomlFile(
            data / ALERT_FILE, clock, read_alert_settings, AlertSettings(), self.keeper.hold, "alert"
        )
        self.sender = AlertSender(store, clock, self.channels.deliver)

    def observe(self, event: Event) -> None:
        """See `ports.Subscriber`."""
        if isinstance(event, AlertSaid):
            self.sender.stir()
        else:
            self.keeper.observe(event)

    def open_alerts(self) -> Mapping[AlertKind, int]:
        """See `telemetry.prometheus.AlertCounters`."""
        return self.keeper.open_alerts()

    def deliveries(self) -> AlertSender:
        """See `telemetry.prometheus.AlertCounters`."""
        return self.sender

    async def run(self) -> None:
        """Watch, decide and send, until cancelled. Raises StoreFailed if what an earlier run left can't be read."""
        await self.channels.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.run(), name="alert keeper")
            group.create_task(self.sender.run(), name="alert sender")
            group.create_task(self.file.watch(), name="alert file")
