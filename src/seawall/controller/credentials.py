"""Tokens, their hashes, roles, and the check of an agent's signature."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from seawall.wire.join import API_TOKEN_PREFIX
from seawall.wire.secret import Secret

_SECRET_BYTES = 32


def new_api_token() -> Secret:
    """A new API token: `swt_` and 256 random bits. It is shown once; only its hash is stored."""
    return Secret(API_TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES))


def new_join_secret() -> Secret:
    """The secret of a new join token (256 random bits), to be wrapped in a `JoinToken`."""
    return Secret(secrets.token_urlsafe(_SECRET_BYTES))


def hash_secret(text: str) -> str:
    """The SHA-256 of a token as 64 hex digits: the only form in which a token is stored.

    A plain hash is right here. Slow, salted hashes such as argon2 protect passwords, which people choose
    from a small set that can be tried out. Our tokens are 256 random bits: nobody can try them all however
    fast the hash is, and no two are equal, so there is nothing for a salt to hide. A slow hash would only
    make every API call slow, and a salt would make it impossible to find a token by its hash.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify_hello(public_key: bytes, signature: bytes, signing_bytes: bytes) -> bool:
    """Whether `signature` is the Ed25519 signature of `signing_bytes` under the raw 32-byte `public_key`.

    A malformed key or signature is a wrong one: the answer is False, never an exception.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signing_bytes)
    except (ValueError, InvalidSignature):
        return False
    return True
