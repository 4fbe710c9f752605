"""How a message to a webhook is signed, and how its receiver can tell that it is ours, whole, fresh and new.

The signature is the HMAC-SHA256, with the channel's secret, of the timestamp, a full stop and the body's bytes. A
receiver refuses timestamps that are too far from its own clock, and passes over a message that it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

MESSAGE_ID_HEADER = "Seawall-Message-Id"
TIMESTAMP_HEADER = "Seawall-Timestamp"
SIGNATURE_HEADER = "Seawall-Signature"

REPLAY_WINDOW_SECONDS = 300.0
"""How old, or how far ahead, a timestamp may be for a receiver that has nothing better to go by."""

_VERSION = "v1="


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What goes with a body, sent at this time (seconds since 1970)."""
    return {
        MESSAGE_ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: _VERSION + _signature(secret, str(timestamp), body),
    }


def is_genuine(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    window_seconds: float = REPLAY_WINDOW_SECONDS,
) -> bool:
    """Whether a message was signed with this secret, and within the window. Header names count in any case."""
    found = {name.lower(): value for name, value in headers.items()}
    timestamp = found.get(TIMESTAMP_HEADER.lower(), "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now - int(timestamp)) > window_seconds:
        return False
    given = found.get(SIGNATURE_HEADER.lower(), "")
    return hmac.compare_digest(given.encode(), (_VERSION + _signature(secret, timestamp, body)).encode())


def _signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
