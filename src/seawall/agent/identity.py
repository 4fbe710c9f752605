"""Who this host is: its name, its key, and the one CA that it trusts."""

from __future__ import annotations

import hashlib
import json
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from seawall.files import CHANGING, READING, Exposed, read_small, write_whole

IDENTITY_FILE = "identity.json"
KEY_FILE = "agent.key"
CA_FILE = "ca.pem"

_JOIN_AGAIN = "join again with 'seawall agent join' and a new token"


class IdentityError(Exception):
    """This host's identity can't be used. The message says what, which file, and what to do."""


class _IdentityRecord(msgspec.Struct, frozen=True):
    """The content of identity.json. The two fingerprints bind the three files to each other."""

    agent_id: str
    name: str
    controller_url: str
    controller_id: str
    labels: dict[str, str]
    public_key_sha256: str
    ca_sha256: str


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """An agent that has joined. The private key never leaves this host."""

    agent_id: str
    name: str
    controller_url: str
    controller_id: str
    labels: Mapping[str, str]
    ca_pem: str
    private_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def load(cls, directory: Path) -> AgentIdentity:
        """Read the identity of this host. Raises `IdentityError`."""
        record_path = directory / IDENTITY_FILE
        record_bytes = _read_file(record_path)
        if record_bytes is None:
            raise IdentityError(
                f"this host has not joined a controller: there is no {record_path}; make a token on the "
                "controller "
                "with 'seawall token join' and run 'seawall agent join' here"
            )
        record = _parse_record(record_path, record_bytes)
        key = _load_key(directory / KEY_FILE)
        ca_pem = _load_ca(directory / CA_FILE)
        if record.public_key_sha256 != _sha256(_raw_public_key(key)) or record.ca_sha256 != _sha256(
            ca_pem.encode("ascii")
        ):
            raise IdentityError(
                f"{KEY_FILE}, {CA_FILE} and {IDENTITY_FILE} in {directory} don't belong together (was a "
                "join or a "
                f"restore interrupted?): restore all three from one backup, or {_JOIN_AGAIN}"
            )
        return cls(
            agent_id=record.agent_id,
            name=record.name,
            controller_url=record.controller_url,
            controller_id=record.controller_id,
            labels=record.labels,
            ca_pem=ca_pem,
            private_key=key,
        )

    def save(self, directory: Path) -> None:
        """Write the identity durably, with identity.json last: without it, nothing has happened.

        Raises `IdentityError` when the directory or a file can't be written.
        """
        record = _IdentityRecord(
            agent_id=self.agent_id,
            name=self.name,
            controller_url=self.controller_url,
            controller_id=self.controller_id,
            labels=dict(self.labels),
            public_key_sha256=_sha256(self.public_key),
            ca_sha256=_sha256(self.ca_pem.encode("ascii")),
        )
        key_pem = self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        record_json = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
        prepare_directory(directory)
        try:
            write_whole(directory / CA_FILE, self.ca_pem.encode("ascii"), 0o644)
            write_whole(directory / KEY_FILE, key_pem, 0o600)
            write_whole(directory / IDENTITY_FILE, record_json, 0o600)
        except OSError as error:
            raise _not_writable(directory, error) from error

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        return _raw_public_key(self.private_key)

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`, 64 bytes."""
        return self.private_key.sign(message)

    def ssl_context(self) -> ssl.SSLContext:
        """A context that trusts only this controller's CA; connect with `CONTROLLER_SERVER_NAME`."""
        return pinned_context(self.ca_pem)


def new_private_key() -> Ed25519PrivateKey:
    """A new key for a host that is about to join."""
    return Ed25519PrivateKey.generate()


def pinned_context(ca_pem: str) -> ssl.SSLContext:
    """A client context that trusts the one given CA and nothing that the system trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    return context


def prepare_directory(directory: Path) -> None:
    """Make the directory (mode 0700) and prove that it can be written. Raises `IdentityError`."""
    probe = directory / ".writable"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & CHANGING:
            raise IdentityError(
                f"other users can replace this host's key in {directory} (mode {mode:04o}): run "
                f"'chmod 700 {directory}'"
            )
        write_whole(probe, b"", 0o600)
        probe.unlink()
    except OSError as error:
        raise _not_writable(directory, error) from error


def _parse_record(path: Path, content: bytes) -> _IdentityRecord:
    try:
        text = content.decode("utf-8")
        return msgspec.convert(json.loads(text), _IdentityRecord)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{path}, line {line}: this isn't UTF-8 text"
    except json.JSONDecodeError as error:
        problem = f"{path}, line {error.lineno}: {error.msg}"
    except (msgspec.ValidationError, RecursionError) as error:
        problem = f"{path}: {error}"
    raise IdentityError(
        f"this host's identity is damaged: {problem}; restore the file from a backup, or {_JOIN_AGAIN}"
    )


def _load_key(path: Path) -> Ed25519PrivateKey:
    content = _read_file(path, private=True)
    if content is None:
        raise IdentityError(f"this host's key {path} is missing: restore it from a backup, or {_JOIN_AGAIN}")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise IdentityError(
            f"this host's key {path} isn't a private key in PEM format: restore it from a backup, or "
            f"{_JOIN_AGAIN}"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError(
            f"this host's key {path} isn't an Ed25519 key: restore it from a backup, or {_JOIN_AGAIN}"
        )
    return key


def _load_ca(path: Path) -> str:
    content = _read_file(path)
    if content is None:
        raise IdentityError(f"the controller's certificate {path} is missing: restore it, or {_JOIN_AGAIN}")
    try:
        x509.load_pem_x509_certificate(content)
        return content.decode("ascii")
    except ValueError as error:
        raise IdentityError(
            f"the controller's certificate {path} isn't a certificate in PEM format: restore it, or "
            f"{_JOIN_AGAIN}"
        ) from error


def _read_file(path: Path, *, private: bool = False) -> bytes | None:
    try:
        return read_small(path, kept_from=READING if private else CHANGING)
    except Exposed as error:
        if not private:
            raise IdentityError(str(error)) from error
        raise IdentityError(
            f"this host's key {error}; if others have had access to this host, revoke it on the controller and join "
            "again"
        ) from error
    except OSError as error:
        raise IdentityError(
            f"{path} can't be read: {error.strerror or error}; run the agent as the user who joined this host"
        ) from error


def _not_writable(directory: Path, error: OSError) -> IdentityError:
    return IdentityError(
        f"this host's identity can't be written to {directory}: {error.strerror or error}; choose a "
        "directory that "
        "the agent's user may write to, or give that user the right"
    )


def _raw_public_key(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
