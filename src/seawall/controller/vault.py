"""Seals secrets with a key in the data directory: whoever has only the database, or only the key, has nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from seawall.engine.secrets import SecretLost
from seawall.files import READING, Exposed, read_small, write_whole
from seawall.storage.archive import VAULT_KEY

_KEY_BYTES, _NONCE_BYTES = 32, 12


class VaultError(Exception):
    """The key can't be used. The message says which file, why, and what to do."""


class KeyVault:
    """`engine.secrets.Vault` by AES-256-GCM and HMAC-SHA256, each with a key of its own made of the one in the file."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derived(key, b"seal"))
        self._marking = _derived(key, b"mark")

    @classmethod
    def of(cls, data: Path) -> KeyVault:
        """With the key in this directory, which the first start makes. Raises VaultError."""
        path = data / VAULT_KEY
        try:
            key = _read(path)
            if key is None:
                key = secrets.token_bytes(_KEY_BYTES)
                write_whole(path, key)
        except OSError as error:
            raise VaultError(
                f"the key {path} can't be read or written: {error.strerror or error}; the controller's user must own it"
            ) from error
        return cls(key)

    def seal(self, text: str, bound_to: str) -> str:
        """See `Vault.seal`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(
            nonce + self._cipher.encrypt(nonce, text.encode(), bound_to.encode())
        ).decode()

    def open(self, sealed: str, bound_to: str) -> str:
        """See `Vault.open`."""
        try:
            content = base64.b64decode(sealed, validate=True)
            nonce, rest = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, bound_to.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretLost(
                f"the secret {bound_to} can't be opened: {VAULT_KEY} isn't the key that it was sealed with. Give the "
                "command again"
            ) from error

    def mark(self, text: str) -> str:
        """See `Vault.mark`."""
        return hmac.new(self._marking, text.encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        key = read_small(path, kept_from=READING)
    except Exposed as error:
        raise VaultError(
            f"the key {error}; if others have had access to this machine, change the passwords that commands were given"
        ) from error
    if key is not None and len(key) != _KEY_BYTES:
        raise VaultError(f"{path} isn't a key of {_KEY_BYTES} bytes; restore it from a backup")
    return key


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, b"seawall vault " + purpose, hashlib.sha256).digest()
