"""What the API says of alerts, typed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field


class Delivery(Struct):
    """A message about an alert, on its way to one channel or there."""

    message_id: str
    at: datetime
    said: str
    title: str
    channel: str
    attempts: int = 0
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    error: str = ""


class Alert(Struct):
    """An alert. `state` is open or over; `active` says whether its cause is there now, `openings` how often it came.

    `told_at` is when it was decided to be told; None while a silence, a cool-down or a mass failure holds it back.
    """

    alert_id: str
    kind: str
    severity: str
    state: str
    text: str
    opened_at: datetime
    host: str = ""
    agent_id: str = ""
    active: bool = False
    flapping: bool = False
    openings: int = 1
    told_at: datetime | None = None
    escalated_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledgement: str = ""
    deliveries: list[Delivery] = field(default_factory=list)


class Rule(Struct):
    """A rule that holds. `sources` say where a value comes from that isn't built in."""

    severity: str
    enabled: bool = True
    for_seconds: float = 0.0
    calm_seconds: float = 0.0
    cool_down_seconds: float = 0.0
    escalate_after_seconds: float | None = None
    threshold: float = 0.0
    threshold_means: str = ""
    channels: list[str] | None = None
    escalate_to: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)


class SilenceWindow(Struct, rename={"begin": "from", "end": "to"}):
    """A silence of the alert file: each day from a time to a time. `days` count from 0 (Monday); none means all."""

    name: str
    begin: str
    end: str
    zone: str = "UTC"
    days: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


class RulesView(Struct):
    """What holds. `channels=None` means all that there are. `text` is the alert file."""

    rules: dict[str, Rule]
    text: str = ""
    silences: list[SilenceWindow] = field(default_factory=list)
    channels: list[str] | None = None
    group_seconds: float = 0.0
    allow: list[str] = field(default_factory=list)


class AskedSilence(Struct):
    """A silence that somebody asked for. Without kinds or hosts it is for all."""

    silence_id: str
    until: datetime
    kinds: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    reason: str = ""
    created_by: str = ""


class Channel(Struct):
    """Where messages go. `address` shows the kind of address only; `secret` is a new webhook's, shown this once."""

    name: str
    kind: str
    address: str
    created_at: datetime | None = None
    created_by: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"Channel(name={self.name!r}, kind={self.kind!r}, address={self.address!r})"


class ChannelTest(Struct):
    """Whether a test message got through, and if not, why."""

    channel: str
    delivered: bool
    error: str = ""
