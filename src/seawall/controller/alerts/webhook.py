"""A signed POST to a webhook, over a connection to an address that was looked at before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from seawall.clock import Clock
from seawall.controller.alerts.delivery import (
    DELIVERY_SECONDS,
    DeliveryFailed,
    Destination,
    without_address,
)
from seawall.engine.alert_records import MessageRecord
from seawall.wire.webhook import signed_headers

MOST_NAMED = 200
"""So many alerts and hosts are named in one message; a receiver's limit isn't met by a large fleet."""

AddressInfo = tuple[int, str]
"""A family and an address."""
Resolve = Callable[[str, int], Awaitable[list[AddressInfo]]]


async def resolve(host: str, port: int) -> list[AddressInfo]:
    """All addresses of a host, as this machine finds them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


class WebhookSender:
    """Sends messages to webhooks. A name is resolved once for each delivery, and not asked again for the connection."""

    def __init__(self, clock: Clock, resolve: Resolve = resolve) -> None:
        self._clock = clock
        self._resolve = resolve

    async def send(self, destination: Destination, message: MessageRecord) -> None:
        """Deliver it: the receiver has answered 2xx. Raises DeliveryFailed."""
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await self._send(destination, message)
        except TimeoutError:
            raise DeliveryFailed(f"the receiver took longer than {DELIVERY_SECONDS:g} s") from None
        except (OSError, aiohttp.ClientError, ValueError) as error:
            raise DeliveryFailed(without_address(str(error), destination.url)) from None

    async def _send(self, destination: Destination, message: MessageRecord) -> None:
        url = URL(destination.url)
        host, port = url.raw_host or "", url.port or 0
        addresses = await self._resolve(host, port)
        refusal = destination.reach.refusal(host, [address for _, address in addresses])
        if refusal is not None:
            raise DeliveryFailed(refusal)
        body = msgspec.json.encode(
            msgspec.structs.replace(
                message, alerts=message.alerts[:MOST_NAMED], hosts=message.hosts[:MOST_NAMED]
            )
        )
        timestamp = int(self._clock.wall().timestamp())
        headers = signed_headers(destination.secret, message.message_id, timestamp, body)
        connector = aiohttp.TCPConnector(resolver=_Pinned(host, addresses), use_dns_cache=False)
        # No proxy of the environment: it would resolve the name anew. The answer's body isn't read.
        async with (
            aiohttp.ClientSession(connector=connector, trust_env=False) as session,
            session.post(
                url,
                data=body,
                headers=headers | {"Content-Type": "application/json", "User-Agent": "seawall"},
                allow_redirects=False,
            ) as answer,
        ):
            if not 200 <= answer.status < 300:
                raise DeliveryFailed(f"the receiver answered {answer.status}")


class _Pinned(AbstractResolver):
    """Knows one host, by the addresses that were found for it."""

    def __init__(self, host: str, addresses: list[AddressInfo]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError("another host than the one that was looked at")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=of,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for of, address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""
