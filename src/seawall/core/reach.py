"""Which addresses a message may be sent to: those of the world, and those that the operator has allowed by name.

Whoever may name a destination could otherwise have the controller speak to what only it can reach: its own loopback,
the machines beside it, the metadata service of a cloud. So what a name stands for is judged by the addresses that a
connection would really be made to, each of them, and never by the name.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_UNICAST = IPv6Network("2000::/3")
"""What is given to the world of IPv6. All else there is local, is for groups, or carries an IPv4 address within."""


class Reach:
    """`allowed` are hosts by name, addresses, and networks such as `10.0.0.0/8`. Raises ValueError for another text."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self.hosts: set[str] = set()
        """Those that are allowed by name, whatever their addresses are."""
        for text in allowed:
            if any(c in text for c in "/:") or not text.strip("0123456789."):
                self._networks.append(ip_network(text))
            else:
                self.hosts.add(_plain(text))

    def refusal(self, host: str, addresses: Iterable[str]) -> str | None:
        """Why no connection is made to a host of these addresses; None if one may be, to any of them."""
        found = list(addresses)
        if not found:
            return f"{host} has no address"
        if _plain(host) in self.hosts:
            return None
        for address in found:
            if not self.permits(address):
                return (
                    f"{host} stands for {address}, which isn't an address of the open internet; if messages should go "
                    "there, add the host or its network to 'allow' in the alert file"
                )
        return None

    def permits(self, address: str) -> bool:
        """Whether a connection to this address may be made, whatever name it was found by."""
        try:
            found = _unwrapped(address)
        except ValueError:
            return False
        return _is_of_the_world(found) or any(found in network for network in self._networks)


def _unwrapped(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped if mapped is not None else address


def _is_of_the_world(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        # 6to4 and Teredo are within, and carry an IPv4 address that could be anyone's.
        tunnelled = address.sixtofour is not None or address.teredo is not None
        return address in _UNICAST and address.is_global and not tunnelled
    return address.is_global and not address.is_multicast and not address.is_reserved


def _plain(host: str) -> str:
    return host.rstrip(".").lower()
