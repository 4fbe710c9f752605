"""What all ways out have in common: where to, what comes of it, and what may be said of it."""

from __future__ import annotations

import re

from msgspec import Struct, field

from seawall.core.reach import Reach

DELIVERY_SECONDS = 20.0
"""No delivery takes longer."""

_LONGEST_ERROR = 300
_SHORTEST_SECRET = 5


class DeliveryFailed(Exception):
    """A message didn't get through, as far as is known. The text says why and holds no part of the address."""


class Destination(Struct, frozen=True):
    """An opened channel: its address and secret, for the moment of a delivery. Neither is in its repr."""

    url: str
    secret: str = ""
    reach: Reach = field(default_factory=Reach)

    def __repr__(self) -> str:
        return "Destination(…)"


def without_address(text: str, url: str) -> str:
    """A text about a delivery, on one line and without any part of the address that could be a secret."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    parts = {part for part in re.split(r"[/:@?&=#,%+]+", url) if len(part) >= _SHORTEST_SECRET}
    for part in sorted(parts, key=len, reverse=True):
        line = line.replace(part, "…")
    return line[:_LONGEST_ERROR]
