"""What the API says of alerts, typed, and the methods that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

import httpx
from msgspec import Struct, field

from seawall.client.answers import decoded

_TEST_SECONDS = 90.0


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


class Send(Protocol):
    """One request to the API."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        repeatable: bool = False,
        answer_seconds: float = 30.0,
    ) -> httpx.Response:
        """See `client.Client`."""


class Alerts:
    """The part of the client that is about alerts: `client.alerts`. Its methods raise what those of the client do."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def list(self, *, every: bool = False, limit: int = 100) -> list[Alert]:
        """The alerts that are open, the newest first; with `every` those that are over too."""
        params = [("all", "true" if every else "false"), ("limit", str(limit))]
        return decoded(await self._send("GET", "/alerts", params=params, repeatable=True), list[Alert])

    async def show(self, alert_id: str) -> Alert:
        """One alert, with its deliveries."""
        return decoded(await self._send("GET", f"/alerts/{_part(alert_id)}", repeatable=True), Alert)

    async def acknowledge(self, alert_id: str, reason: str = "") -> Alert:
        """Say that you take care of it."""
        path = f"/alerts/{_part(alert_id)}/acknowledge"
        return decoded(await self._send("POST", path, body={"reason": reason}, repeatable=True), Alert)

    async def rules(self) -> RulesView:
        """What holds, and where it comes from."""
        return decoded(await self._send("GET", "/alert-rules", repeatable=True), RulesView)

    async def silences(self) -> tuple[AskedSilence, ...]:
        """The silences that somebody asked for."""
        answer = await self._send("GET", "/alert-silences", repeatable=True)
        return decoded(answer, tuple[AskedSilence, ...])

    async def silence(
        self, seconds: float, *, rules: Sequence[str] = (), hosts: Sequence[str] = (), reason: str = ""
    ) -> AskedSilence:
        """Keep quiet for so long."""
        body = {"seconds": seconds, "rules": [*rules], "hosts": [*hosts], "reason": reason}
        return decoded(await self._send("POST", "/alert-silences", body=body), AskedSilence)

    async def end_silence(self, silence_id: str) -> None:
        """End a silence before its time."""
        await self._send("DELETE", f"/alert-silences/{_part(silence_id)}")

    async def channels(self) -> tuple[Channel, ...]:
        """The channels, without their addresses."""
        answer = await self._send("GET", "/alert-channels", repeatable=True)
        return decoded(answer, tuple[Channel, ...])

    async def add_channel(self, name: str, url: str) -> Channel:
        """Add a channel; its secret is shown this once."""
        body = {"name": name, "url": url}
        return decoded(
            await self._send("POST", "/alert-channels", body=body, answer_seconds=_TEST_SECONDS), Channel
        )

    async def remove_channel(self, name: str) -> None:
        """Remove a channel, and what waits for it."""
        await self._send("DELETE", f"/alert-channels/{_part(name)}")

    async def test_channel(self, name: str) -> ChannelTest:
        """Send a test message, now and once."""
        path = f"/alert-channels/{_part(name)}/test"
        return decoded(await self._send("POST", path, body={}, answer_seconds=_TEST_SECONDS), ChannelTest)


def _part(text: str) -> str:
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted
