"""What is kept of alerts, of what was said of them, and of where to. Times are aware, UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct, field

from seawall.engine.audit import CONTROLLER, Caller, Entry


class AlertRecord(Struct):
    """An alert that is open, or was; see `core.alert.Alert`."""

    alert_id: str
    key: str
    kind: str
    severity: str
    agent_id: str
    host: str
    text: str
    active: bool
    openings: int
    opened_at: datetime
    told_at: datetime | None = None
    escalated_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledgement: str = ""


class MessageRecord(Struct):
    """What was decided to be said, once. A receiver that gets it twice knows it by its `message_id`."""

    message_id: str
    at: datetime
    said: str
    kind: str
    severity: str
    title: str
    body: str
    alerts: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


class DeliveryRecord(Struct):
    """A message on its way to one channel. It is over once it was delivered or given up."""

    sequence: int
    channel: str
    message: MessageRecord
    attempts: int = 0
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    error: str = ""


class SilenceRecord(Struct):
    """A silence that somebody asked for, until a moment. Without kinds or hosts it is for all."""

    silence_id: str
    until: datetime
    kinds: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    reason: str = ""
    created_by: str = ""


class ChannelRecord(Struct):
    """Where messages go. `shown` is as much of its address as may be seen; the address and its secret are sealed."""

    name: str
    kind: str
    shown: str
    sealed_url: str
    sealed_secret: str
    created_at: datetime
    created_by: str = ""


class AlertStore(Protocol):
    """Alerts, the outbox of what is said of them, silences and channels."""

    async def keep_alerts(
        self,
        alerts: Sequence[AlertRecord],
        messages: Sequence[tuple[MessageRecord, Sequence[str]]] = (),
        entries: Sequence[Entry] = (),
    ) -> None:
        """Keep alerts as they are now, and each message with a delivery to each of its channels: all, or nothing.

        So are the entries for the audit log.
        """

    async def alerts(
        self, *, unresolved: bool = False, told_since: datetime | None = None, limit: int = 100
    ) -> list[AlertRecord]:
        """The newest first: all, those that are open, or those of which was spoken since a moment."""

    async def alert(self, alert_id: str) -> AlertRecord | None:
        """One alert."""

    async def undelivered(self) -> list[DeliveryRecord]:
        """What is still to be delivered, in the order of its decision."""

    async def note_delivery(self, delivery: DeliveryRecord) -> None:
        """Keep how a delivery stands."""

    async def deliveries(self, *, limit: int = 100) -> list[DeliveryRecord]:
        """The newest first."""

    async def forget_alerts(self, before: datetime) -> None:
        """Drop alerts that were over, silences that had ended, and what was said or decided before a moment."""

    async def add_silence(self, record: SilenceRecord, now: datetime, caller: Caller = CONTROLLER) -> None:
        """Keep a silence."""

    async def silences(self, now: datetime) -> list[SilenceRecord]:
        """Those that aren't over, by their end."""

    async def end_silence(self, silence_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """End a silence now; False if there is none to end."""

    async def add_channel(self, record: ChannelRecord, caller: Caller = CONTROLLER) -> bool:
        """Keep a channel; False if its name is taken."""

    async def channels(self) -> list[ChannelRecord]:
        """All channels by name."""

    async def remove_channel(self, name: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """Forget a channel and what waits for it; False if there is none of this name."""
