"""The bytes that an agent signs in its hello."""

from __future__ import annotations

# The domain keeps a signature over a hello from ever being valid for another message of ours.
_DOMAIN = b"seawall agent hello, version 1"
_TERM_LIMIT = 1 << 64


def hello_signing_bytes(*, nonce: bytes, controller_id: str, agent_id: str, term: int) -> bytes:
    """Encode what a hello's signature covers, so that two different hellos never give equal bytes.

    Every field is preceded by its length in bytes (4 bytes, big endian), `term` is 8 bytes, big endian.
    The nonce makes a recorded hello worthless, `controller_id` and `term` make it worthless elsewhere.

    Raises `ValueError` for an empty nonce (the signature would be over a constant) and for a term
    outside 0 .. 2**64 - 1.
    """
    if not nonce:
        raise ValueError("the nonce of a hello is empty; the controller must send a fresh one")
    if not 0 <= term < _TERM_LIMIT:
        raise ValueError(f"the term of a hello must be in 0 .. 2**64 - 1, not {term}")
    fields = (
        _DOMAIN,
        nonce,
        controller_id.encode("utf-8"),
        agent_id.encode("utf-8"),
        term.to_bytes(8, "big"),
    )
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)
