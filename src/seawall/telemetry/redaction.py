"""What is taken out of every text before it leaves the process as a line of a log, an error or a span.

Tokens, and passwords in URLs, are known by how they look. Other secrets look like any word: whoever works with some
holds them here meanwhile, so that no failure that quotes them tells them.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable

from seawall.wire.join import API_TOKEN_PREFIX, JOIN_TOKEN_PREFIX
from seawall.wire.secret import REDACTED

SHORTEST_SECRET = 6
"""Shorter ones are words like any others."""

_TOKEN = re.compile(rf"(?:{API_TOKEN_PREFIX}|{JOIN_TOKEN_PREFIX})[A-Za-z0-9_-]{{8,}}(?:\.[0-9A-Fa-f]*)?")

_IN_URL = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]+(?=@)")

_held: dict[int, tuple[str, ...]] = {}


def hold(owner: object, secrets: Iterable[str]) -> None:
    """These are secrets for as long as `owner` lives."""
    long_enough = tuple(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)
    if long_enough:
        _held[id(owner)] = long_enough
        weakref.finalize(owner, _held.pop, id(owner), None)


def redact_text(text: str) -> str:
    """The text without tokens of ours, passwords in URLs, and the secrets that are held."""
    if _held:
        # The longest first: one may be a part of another. Threads log too, so what is held is copied at once.
        for secret in sorted({each for held in list(_held.values()) for each in held}, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
    return _IN_URL.sub(REDACTED, _TOKEN.sub(REDACTED, text))


def texts_in(value: object) -> list[str]:
    """Every text in what MessagePack can carry, but for the keys of maps."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts_in(each)]
    return []
