"""The methods of the client that are about alerts."""

from __future__ import annotations

from collections.abc import Sequence

from seawall.client.alert_models import Alert, AskedSilence, Channel, ChannelTest, RulesView
from seawall.client.answers import decoded
from seawall.client.send import Send, part

_TEST_SECONDS = 90.0


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
        return decoded(await self._send("GET", f"/alerts/{part(alert_id)}", repeatable=True), Alert)

    async def acknowledge(self, alert_id: str, reason: str = "") -> Alert:
        """Say that you take care of it."""
        path = f"/alerts/{part(alert_id)}/acknowledge"
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
        await self._send("DELETE", f"/alert-silences/{part(silence_id)}")

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
        await self._send("DELETE", f"/alert-channels/{part(name)}")

    async def test_channel(self, name: str) -> ChannelTest:
        """Send a test message, now and once."""
        path = f"/alert-channels/{part(name)}/test"
        return decoded(await self._send("POST", path, body={}, answer_seconds=_TEST_SECONDS), ChannelTest)
