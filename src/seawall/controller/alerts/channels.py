"""The channels that there are, with their addresses and secrets sealed, and the one way to deliver to each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from seawall.clock import Clock
from seawall.controller.alerts.apprise_channel import AppriseSender
from seawall.controller.alerts.delivery import DeliveryFailed, Destination
from seawall.controller.alerts.webhook import WebhookSender
from seawall.core.alert_rules import Severity
from seawall.core.reach import Reach
from seawall.engine.alert_records import ChannelRecord, MessageRecord
from seawall.engine.alert_settings import CHANNEL_NAME
from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.engine.secrets import SecretLost, Vault
from seawall.engine.store import Store

WEBHOOK, APPRISE = "webhook", "apprise"
_SECRET_BYTES = 32
_LONGEST_URL = 2_048


class InvalidChannel(ValueError):
    """No channel can be made of this. The text says why, and holds no part of the address."""


class UnknownChannel(LookupError):
    """There is no channel of this name."""


class Channels:
    """Makes, lists and removes channels, and delivers to them. `allow` says which private destinations are allowed."""

    def __init__(
        self, store: Store, vault: Vault, clock: Clock, data: Path, allow: Callable[[], tuple[str, ...]]
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._allow = allow
        self._webhooks = WebhookSender(clock)
        self._apprise = AppriseSender(data)
        self._channels: dict[str, ChannelRecord] = {}

    async def load(self) -> None:
        """Learn which there are. Raises StoreFailed."""
        self._channels = {channel.name: channel for channel in await self._store.channels()}

    def names(self) -> list[str]:
        """Of all channels."""
        return list(self._channels)

    def all(self) -> list[ChannelRecord]:
        """All channels by name."""
        return [self._channels[name] for name in sorted(self._channels)]

    async def add(
        self, name: str, url: str, by: str, caller: Caller = CONTROLLER
    ) -> tuple[ChannelRecord, str]:
        """Make a channel; its secret is "" unless it is a webhook, and is never shown again.

        Raises InvalidChannel and StoreFailed.
        """
        if not re.fullmatch(CHANNEL_NAME, name):
            raise InvalidChannel(
                "a channel's name is made of 1 to 40 small letters, digits, '-' and '_', such as 'ops'"
            )
        if name in self._channels:
            raise InvalidChannel(
                f"there is a channel {name!r} already; remove it first, or choose another name"
            )
        scheme = await self._checked(url)
        webhook = scheme in ("http", "https")
        secret = secrets.token_urlsafe(_SECRET_BYTES) if webhook else ""
        record = ChannelRecord(
            name,
            WEBHOOK if webhook else APPRISE,
            f"{scheme}://…",
            self._vault.seal(url, _bound(name, "url")),
            self._vault.seal(secret, _bound(name, "secret")),
            self._clock.wall(),
            by,
        )
        if not await self._store.add_channel(record, caller):
            raise InvalidChannel(
                f"there is a channel {name!r} already; remove it first, or choose another name"
            )
        self._channels[name] = record
        return record, secret

    async def remove(self, name: str, caller: Caller = CONTROLLER) -> None:
        """Forget a channel and what waits for it. Raises UnknownChannel and StoreFailed."""
        known = self._channels.pop(name, None)
        removed = await self._store.remove_channel(name, self._clock.wall(), caller)
        if not removed and known is None:
            raise UnknownChannel(name)

    async def deliver(self, name: str, message: MessageRecord) -> None:
        """Deliver a message to a channel. Raises DeliveryFailed and UnknownChannel."""
        channel = self._channels.get(name)
        if channel is None:
            raise UnknownChannel(name)
        allow = self._allow()
        try:
            url = self._vault.open(channel.sealed_url, _bound(name, "url"))
            secret = self._vault.open(channel.sealed_secret, _bound(name, "secret"))
        except SecretLost:
            raise DeliveryFailed(
                f"the address of the channel {name!r} was sealed with another key than this controller's; remove the "
                "channel and add it again"
            ) from None
        destination = Destination(url, secret, Reach(allow))
        if channel.kind == WEBHOOK:
            await self._webhooks.send(destination, message)
        else:
            await self._apprise.send(destination, message, allow)

    async def test(self, name: str, by: str, caller: Caller) -> None:
        """Send a message that says that it is only a test. Raises DeliveryFailed, UnknownChannel and StoreFailed."""
        if name not in self._channels:
            raise UnknownChannel(name)
        await self._store.record(Entry(self._clock.wall(), caller, Action.CHANNEL_TESTED, name))
        await self.deliver(name, self._test_message(by))

    def _test_message(self, by: str) -> MessageRecord:
        text = f"{by} tests this channel. Nothing has happened."
        new_id, now = self._clock.new_id(), self._clock.wall()
        return MessageRecord(new_id, now, "test", "test", Severity.INFO.value, "a test", text)

    async def _checked(self, url: str) -> str:
        """The scheme of an address that can be used."""
        if not url.isprintable() or not url.isascii() or len(url) > _LONGEST_URL:
            raise InvalidChannel(
                f"an address is made of up to {_LONGEST_URL} ASCII characters; encode others with %"
            )
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise InvalidChannel("this is no address; one is such as https://hooks.example.com/x") from None
        scheme = parts.scheme.lower()
        if not scheme or "://" not in url:
            raise InvalidChannel("an address begins with its kind, such as https:// or slack://")
        if scheme in ("http", "https"):
            if not host:
                raise InvalidChannel(
                    "the address of a webhook has a host, such as https://hooks.example.com/x"
                )
            return scheme
        try:
            await self._apprise.check(url)
        except DeliveryFailed as error:
            raise InvalidChannel(str(error)) from None
        return scheme


def _bound(name: str, part: str) -> str:
    return f"alert channel/{name}/{part}"
